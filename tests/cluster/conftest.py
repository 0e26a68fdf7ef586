"""What cluster tests share: a control plane for each worker, an administrator, a namespace for each test."""

import os
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.cluster import VARIABLE, Cluster, NamedCluster
from support.kube import Kube
from support.localcluster import ControlPlane


@pytest.fixture(scope="session")
def control_plane() -> Iterator[Cluster]:
    """The cluster named by AIAGENT_TEST_KUBECONFIG, else a local control plane of this worker's own."""
    named = os.environ.get(VARIABLE)
    if named:
        cluster = NamedCluster(Path(named))
        yield cluster
        cluster.close()
        return
    with ControlPlane() as plane:
        yield plane
        plane.check()


@pytest.fixture
def admin(control_plane: Cluster) -> Kube:
    """A client with the administrator's rights."""
    return control_plane.admin


@pytest.fixture
def namespace(admin: Kube) -> Iterator[str]:
    """A fresh namespace that takes pods; its deletion is asked for after the test, but not waited for."""
    name = f"test-{uuid.uuid4().hex[:10]}"
    admin.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
    what = f"the account `default` in {name}, without which no pod can be created"
    admin.wait_object("v1", "serviceaccounts", "default", bool, what=what, namespace=name)
    yield name
    admin.delete("v1", "namespaces", name)
