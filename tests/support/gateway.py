"""The real definitions of the Gateway API, of which most tests need HTTPRoute alone, and routes for tests.

It comes with the pinned Go module through the user's own module proxy, once into the cache. Nothing of the module is
built, so its dependencies are not needed, and the digest below says that it is what it was.
"""

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import yaml

from support.definitions import established, served
from support.kube import Kube, Object
from support.localcluster.build import say
from support.localcluster.cache import cache_dir, exclusive
from support.localcluster.errors import BuildError
from support.localcluster.toolchain import find_go

MODULE, VERSION = "sigs.k8s.io/gateway-api", "v1.4.1"
# What go.sum would say; the command itself asks the checksum database of the user, where there is one.
SUM = "h1:NPxFutNkKNa8UfLd2CMlEuhIPMQgDQ6DXNKG9sHbJU8="
CHANNEL = "config/crd/standard"
GROUP = "gateway.networking.k8s.io"
API = f"{GROUP}/v1"
NAME = f"httproutes.{GROUP}"
_DEFINITIONS = "apiextensions.k8s.io/v1"


def definition(resource: str) -> Object:
    """A CustomResourceDefinition of the standard channel. Raises BuildError where it cannot be had."""
    path = cache_dir() / f"gateway-api-{VERSION}" / "standard" / f"{GROUP}_{resource}.yaml"
    if not path.exists():
        with exclusive("gateway-api", say):
            if not path.exists():
                _fetch(path.parent)
    found: Object = yaml.safe_load(path.read_text(encoding="utf-8"))
    found.pop("status", None)
    return found


def _fetch(folder: Path) -> None:
    say(f"fetching {MODULE} {VERSION} (once)")
    folder.parent.mkdir(parents=True, exist_ok=True)
    command = [str(find_go(say)), "mod", "download", "-json", f"{MODULE}@{VERSION}"]
    env = {**os.environ, "GOFLAGS": "-mod=mod", "GOWORK": "off", "GOTOOLCHAIN": "local", "GO111MODULE": "on"}
    done = subprocess.run(command, cwd=folder.parent, env=env, capture_output=True, text=True, check=False)
    if done.returncode:
        raise BuildError(f"{' '.join(command)} failed: {done.stdout[-500:]} {done.stderr[-500:]}")
    module = json.loads(done.stdout)
    if module["Sum"] != SUM:
        raise BuildError(f"{MODULE} {VERSION} has the digest {module['Sum']}, and not {SUM}")
    partial = folder.with_suffix(".partial")
    shutil.rmtree(partial, ignore_errors=True)
    # Not the modes: the files of a module cannot be written to.
    shutil.copytree(Path(module["Dir"]) / CHANNEL, partial, copy_function=shutil.copyfile)
    partial.chmod(0o755)
    partial.rename(folder)


def install(kube: Kube, *resources: str) -> None:
    """Put definitions into the cluster, that of HTTPRoute where none is named, and wait until they are served."""
    for found in [definition(resource) for resource in resources or ("httproutes",)]:
        name = found["metadata"]["name"]
        kube.apply(found, force=True)
        kube.wait_object(
            _DEFINITIONS, "customresourcedefinitions", name, established, what=f"CRD {name} to be Established"
        )
        served(kube, found)


def remove(kube: Kube) -> None:
    """Take that of HTTPRoute out again, with all routes."""
    kube.delete(_DEFINITIONS, "customresourcedefinitions", NAME)
    kube.wait_gone(_DEFINITIONS, "customresourcedefinitions", NAME)


def route(namespace: str, *services: str, name: str = "triage", **rule: Any) -> Object:
    """A route whose one rule names these Services, the first with all requests; `rule` are more of its fields."""
    refs = [{"name": each, "port": 80, "weight": 0 if number else 100} for number, each in enumerate(services)]
    spec = {"hostnames": ["triage.example"], "rules": [{"backendRefs": refs, **rule}]}
    metadata = {"name": name, "namespace": namespace}
    return {"apiVersion": API, "kind": "HTTPRoute", "metadata": metadata, "spec": spec}


def weights(live: Object) -> dict[str, int]:
    """The weight of each Service in the first rule."""
    return {ref["name"]: ref["weight"] for ref in live["spec"]["rules"][0]["backendRefs"]}
