"""The CustomResourceDefinitions of the repository, put into a cluster."""

from pathlib import Path
from typing import Any

import yaml

from support.kube import Kube, Object

REPOSITORY = Path(__file__).resolve().parents[2]
CRDS = REPOSITORY / "crds"
_API = "apiextensions.k8s.io/v1"


def definitions() -> list[Object]:
    """The definitions as they are committed."""
    return [yaml.safe_load(path.read_text()) for path in sorted(CRDS.glob("*.yaml"))]


def install(kube: Kube) -> None:
    """Apply them, and wait until the API server serves them."""
    for definition in definitions():
        kube.apply(definition, force=True)
    for definition in definitions():
        name = definition["metadata"]["name"]
        kube.wait_object(_API, "customresourcedefinitions", name, established, what=f"CRD {name} to be Established")
        served(kube, definition)


def served(kube: Kube, definition: Object) -> None:
    """Wait until requests for the kind are answered: discovery lags behind the condition."""
    spec = definition["spec"]
    path = f"/apis/{spec['group']}/{spec['versions'][0]['name']}/{spec['names']['plural']}"
    kube.wait_for(lambda: kube.raw("GET", path, params={"limit": "1"}), what=f"the API server to serve {path}")


def established(definition: Object) -> Any:
    """Whether the API server has accepted the names and the schema, without a complaint about either."""
    conditions = {c["type"]: c for c in definition.get("status", {}).get("conditions") or []}
    if "NonStructuralSchema" in conditions:
        raise AssertionError(f"{definition['metadata']['name']}: {conditions['NonStructuralSchema']['message']}")
    return all(conditions.get(kind, {}).get("status") == "True" for kind in ("Established", "NamesAccepted"))
