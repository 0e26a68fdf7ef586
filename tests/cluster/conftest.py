"""What cluster tests share: a control plane for each worker, an administrator, a namespace for each test."""

import os
import uuid
from collections.abc import Generator, Iterator
from pathlib import Path

import pytest

from support import chart
from support.cluster import VARIABLE, Cluster, NamedCluster
from support.kube import Kube
from support.localcluster import ControlPlane
from support.measured import Bench
from support.operator import Installation, OperatorProcess, installation
from support.prometheus import NoPrometheusError, PrometheusServer
from support.tenancy import Office, open_office
from support.terminal import Terminal
from support.workplace import Workplace

# For what is started here. The control plane is written in Go, which collects garbage whenever its memory has doubled;
# where it may grow fivefold, the tests take a tenth less of the processors' time. The limit is for each program.
os.environ.setdefault("GOGC", "400")
os.environ.setdefault("GOMEMLIMIT", "1GiB")


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


@pytest.fixture(scope="session")
def kernel(control_plane: Cluster) -> Cluster:
    """The cluster with the chart installed: kinds, roles and policies, but no operator."""
    chart.install(control_plane.admin)
    return control_plane


@pytest.fixture(scope="session")
def installed(kernel: Cluster) -> Iterator[Installation]:
    """The cluster with the chart installed, and the operators that tests run in it; none is started by this."""
    yield from installation(kernel)


@pytest.fixture
def office(installed: Installation, namespace: str) -> Iterator[Office]:
    """A namespace with tenants, under the policies of the chart, while no operator works."""
    installed.end_shared()
    office = open_office(installed.admin, namespace)
    yield office
    office.leave()
    installed.vacated.add(namespace)


@pytest.fixture
def operator(installed: Installation) -> OperatorProcess:
    """The operator that tests share, running and ready."""
    return installed.operator()


@pytest.fixture(scope="module")
def server() -> Iterator[PrometheusServer]:
    """A Prometheus for the tests of a module."""
    try:
        prometheus = PrometheusServer()
    except NoPrometheusError as error:
        pytest.skip(str(error))
    with prometheus:
        yield prometheus


@pytest.fixture(scope="module")
def asking(installed: Installation, server: PrometheusServer) -> Iterator[OperatorProcess]:
    """An operator of the module's own that may ask this Prometheus."""
    with installed.alone(prometheus_addresses=server.url, kpi_step="1") as process:
        yield process


@pytest.fixture
def bench(installed: Installation, asking: OperatorProcess, server: PrometheusServer) -> Iterator[Bench]:
    """Where agents are evaluated, by this Prometheus and by Jobs."""
    with Bench.beside(installed, asking, server) as place:
        yield place


@pytest.fixture
def vacant(installed: Installation) -> Iterator[Workplace]:
    """Namespaces, roles and agents of the test's own, while nothing is said about an operator."""
    place = Workplace(installed)
    yield place
    place.clean()


@pytest.fixture
def place(vacant: Workplace, operator: OperatorProcess) -> Workplace:
    """The same, with the shared operator at work."""
    return vacant


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Function) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """A test that fails shows what the operator said last."""
    report = yield
    for value in item.funcargs.values() if report.failed else ():
        found = getattr(value, "operator", value)
        if isinstance(found, OperatorProcess):
            report.sections.append(("the operator's log ends with", found.tail(60)))
    return report


@pytest.fixture(scope="session")
def terminal(control_plane: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Terminal:
    """A terminal in which `kubectl aiagent` works."""
    return Terminal.beside(control_plane, tmp_path_factory.mktemp("terminal"))
