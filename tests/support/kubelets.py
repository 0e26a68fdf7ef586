"""Kubelets that do not answer."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from support.kube import Kube

_CLOSED = 1


@contextmanager
def away(admin: Kube, nodes: Iterable[str]) -> Iterator[None]:
    """Nobody listens where the API server looks for the kubelets of these nodes."""
    ports = {node: _moved(admin, node, _CLOSED) for node in nodes}
    try:
        yield
    finally:
        for node, port in ports.items():
            _moved(admin, node, port)


def _moved(admin: Kube, node: str, port: int) -> int:
    """Has the API server ask for the node's logs at this port; the one of before."""
    found = admin.get("v1", "nodes", node)["status"]["daemonEndpoints"]["kubeletEndpoint"]["Port"]
    body = {"status": {"daemonEndpoints": {"kubeletEndpoint": {"Port": port}}}}
    admin.patch("v1", "nodes", node, body, subresource="status")
    return int(found)
