"""AgentPolicies of one test: made, changed and waited for, and removed with its workplace."""

from collections.abc import Callable
from typing import Any

from support import agents
from support.kube import Object
from support.workplace import Workplace


def new_policy(place: Workplace, what: str, selector: Object, **spec: Any) -> str:
    """An AgentPolicy; its selector has to keep it to this test's agents. Returns its name."""
    name = place.name(what)
    place.admin.create(agents.policy(name, selector, **spec))
    place._made.append((agents.API, "agentpolicies", name))
    return name


def change(place: Workplace, name: str, **spec: Any) -> None:
    """Replace fields of a policy's spec."""
    place.admin.patch(agents.API, "agentpolicies", name, {"spec": spec})


def until_policy(place: Workplace, name: str, holds: Callable[[Object], Any], *, what: str) -> Object:
    """Wait until something is true of a policy."""
    return place.admin.wait_object(agents.API, "agentpolicies", name, holds, what=what)


def here(place: Workplace) -> Object:
    """A selector of the test's own namespace."""
    return {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": place.namespace}}}
