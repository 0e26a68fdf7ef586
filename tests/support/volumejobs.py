"""What a thief of the operator's token may make of a Job that reads or fills an agent's volume."""

from typing import Any

from support.kube import Object
from support.operator import IMAGE

POD = "/spec/template/spec"
CONTAINER = f"{POD}/containers/0"
MISUSE: dict[str, tuple[str, Any]] = {
    "another image": (f"{CONTAINER}/image", "registry.example/evil:1"),
    "another command": (f"{CONTAINER}/command", ["sh", "-c", "cat /memory/*"]),
    "arguments": (f"{CONTAINER}/args", ["-c", "import os"]),
    "a variable that is not the program's": (f"{CONTAINER}/env/-", {"name": "PYTHONPATH", "value": "/memory"}),
    "a variable from a Secret": (
        f"{CONTAINER}/env/-",
        {"name": "WORKFORCE_X", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}},
    ),
    "a container beside it": (f"{POD}/containers/-", {"name": "b", "image": IMAGE}),
    "one before it": (f"{POD}/initContainers", [{"name": "b", "image": IMAGE}]),
    "a Secret as files": (f"{POD}/volumes/-", {"name": "s", "secret": {"secretName": "s"}}),
    "a token of the API server": (
        f"{POD}/volumes/-",
        {"name": "t", "projected": {"sources": [{"serviceAccountToken": {"path": "token"}}]}},
    ),
    "root": (f"{POD}/securityContext/runAsUser", 0),
    "more rights": (f"{CONTAINER}/securityContext/allowPrivilegeEscalation", True),
}
"""Each a path in the Job, and what is put there: refused whatever the Job does with the volume."""


def put(job: Object, path: str, value: Any) -> Object:
    """The Job with this at a path, as in a JSON patch."""
    *folders, leaf = path.strip("/").split("/")
    at: Any = job
    for folder in folders:
        at = at[int(folder)] if isinstance(at, list) else at[folder]
    if leaf == "-":
        at.append(value)
    else:
        at[leaf] = value
    return job
