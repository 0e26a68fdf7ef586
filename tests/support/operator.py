"""The operator as tests run it: the real process, under the chart's own account and rights, and nothing more.

`Installation` puts everything of the chart but its pods into a cluster; `OperatorProcess` is one run of the operator.
"""

import os
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import urllib3
from prometheus_client.parser import text_string_to_metric_families

from aiagent_operator import __version__
from aiagent_operator.api import meta
from support import archiverecords, chart
from support.archivefolder import ArchiveFolder
from support.cluster import Cluster
from support.forked import Forked
from support.kube import Kube, Object, wait_for
from support.localcluster.ports import Ports
from support.localcluster.process import Component

SOURCES = Path(__file__).parents[2] / "operator"
LEASE = "aiagent-operator"
# The one that the chart names, where no value says another.
IMAGE = f"aiagent-operator:{__version__}"
# What tests make grantable from the beginning; the API group exists nowhere, as RBAC allows.
GRANTABLE_NAME = "workforce-tests-grantable"
GRANTABLE_GROUP = "crm.example"
GRANTABLE_RULES: list[Object] = [
    {
        "apiGroups": [GRANTABLE_GROUP],
        "resources": ["tickets", "articles", "refunds", "invoices", "contracts"],
        "verbs": ["get", "list", "watch", "create", "update", "delete"],
    },
    {"apiGroups": [""], "resources": ["configmaps"], "verbs": ["get", "list", "watch"]},
]

Samples = Mapping[tuple[str, tuple[tuple[str, str], ...]], float]


def parse_metrics(text: str) -> Samples:
    """Samples of the Prometheus text format, by name and sorted labels."""
    families = text_string_to_metric_families(text)
    return {(s.name, tuple(sorted(s.labels.items()))): s.value for family in families for s in family.samples}


def total(samples: Samples, name: str, **labels: str) -> float:
    """Sum of one metric's samples that have these labels; 0 where there is none."""
    wanted = set(labels.items())
    return sum(value for (sample, have), value in samples.items() if sample == name and wanted <= set(have))


def _busy(samples: Samples) -> list[float]:
    """What waits for a pass, what has one now, and agents whose events are about to be recorded."""
    recording = total(samples, "aiagent_journal_agents_waiting") * total(samples, "aiagent_archive_store_ready")
    return [total(samples, "aiagent_queue_depth"), total(samples, "aiagent_queue_working"), recording]


class OperatorProcess:
    """One operator process. As a context manager it is started, and ended by SIGTERM.

    Where the block fails, the end of its log is shown.
    """

    def __init__(
        self,
        kubeconfig: Path,
        *,
        admin: Kube,
        folder: Path,
        settings: Mapping[str, str] | None = None,
        forked: bool = False,
    ) -> None:
        """`settings` are those of docs/settings.md, in lower case and without prefix: {"workers": "8"}.

        `forked`: it is not to import its program anew at each start, see support.forked.
        """
        self._ports = Ports()
        self.port = self._ports.take()
        self._admin = admin
        self.log = Path(tempfile.mkdtemp(prefix="operator-", dir=folder)) / "operator.log"
        chosen = {
            "namespace": chart.NAMESPACE,
            "health_host": "127.0.0.1",
            "health_port": str(self.port),
            "log_format": "text",
            "log_level": "DEBUG",
            "capture_deadline": "10",
            "pod_ip": "127.0.0.1",
            "image": IMAGE,
            "upload_port": "0",
            **(settings or {}),
        }
        inherited = {k: v for k, v in os.environ.items() if not k.startswith(("AIAGENT_", "KUBE"))}
        path = os.pathsep.join(filter(None, [str(SOURCES), os.environ.get("PYTHONPATH", "")]))
        variables = {f"AIAGENT_{name.upper()}": value for name, value in chosen.items()}
        self._component = Component(
            "the operator",
            [sys.executable, "-m", "aiagent_operator"],
            self.log,
            env={**inherited, **variables, "KUBECONFIG": str(kubeconfig), "PYTHONPATH": path},
            launch=Forked if forked else None,
        )
        self._http = urllib3.PoolManager(retries=False, timeout=5)

    # Life ---------------------------------------------------------------------------------------------------------

    def start(self, *, wait_ready: bool = True) -> Self:
        """Start it; with `wait_ready`, return when it leads, knows the cluster and works."""
        self._component.start()
        if wait_ready:
            self.wait_ready()
        return self

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._component.pid

    def running(self) -> bool:
        """Whether it was started and has not ended."""
        return self._component.running()

    def kill9(self) -> None:
        """Kill it at once, as a node that fails would. Its Lease stays, see `forget_lease`."""
        self._component.stop()

    def terminate(self, *, seconds: float = 30.0) -> int:
        """End it by SIGTERM as the kubelet does; returns the exit status."""
        process = self._component.process
        if process is None:
            raise AssertionError("the operator is not started, so it cannot be ended")
        process.terminate()
        status = process.wait(seconds)
        self._component.stop()
        return status

    def wait_exit(self, *, seconds: float = 60.0) -> int:
        """Wait until it has ended by itself; returns the exit status."""
        process = self._component.process
        if process is None:
            raise AssertionError("the operator is not started, so its end cannot be waited for")
        return process.wait(seconds)

    def forget_lease(self) -> None:
        """Remove the Lease of a process that is surely dead, so that the next one need not wait for its end."""
        if self.running():
            raise AssertionError("the operator still runs: a second one beside it would be no fair test")
        if self._admin.find("coordination.k8s.io/v1", "leases", LEASE, namespace=chart.NAMESPACE):
            self._admin.delete("coordination.k8s.io/v1", "leases", LEASE, namespace=chart.NAMESPACE)

    def restart(self) -> Self:
        """Kill it where it runs, and start it again at once."""
        if self.running():
            self.kill9()
        self.forget_lease()
        return self.start()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is not None:
            error.add_note(f"the operator's log ends with\n{self.tail(40)}")
        if self.running():
            self.terminate()
        self.close()

    def close(self) -> None:
        """Kill it where it still runs, and free its port."""
        self._component.stop()
        self._ports.close()

    def tail(self, lines: int = 40) -> str:
        """The end of its log."""
        return self._component.tail(lines)

    # What it says of itself ---------------------------------------------------------------------------------------

    def probe(self, path: str = "/readyz") -> tuple[int, str]:
        """Status and text of a probe; status 0 while nothing listens."""
        try:
            answer = self._http.request("GET", f"http://127.0.0.1:{self.port}{path}")
        except urllib3.exceptions.HTTPError as error:
            return 0, type(error).__name__
        return answer.status, answer.data.decode().strip()

    def wait_ready(self, *, seconds: float = 60.0) -> None:
        """Wait until it is ready and leads; raises with the end of its log where it ends instead."""

        def ready() -> bool:
            self._component.check()
            return self.is_leading()

        wait_for(
            ready,
            what="the operator to lead, know the cluster and work",
            timeout=seconds,
            state=lambda: f"readyz: {self.probe()}\n{self.tail()}",
        )

    def metrics(self) -> Samples:
        """Its metrics, by name and sorted labels."""
        status, text = self.probe("/metrics")
        if status != 200:
            raise AssertionError(f"/metrics of the operator answers {status} {text}\n{self.tail()}")
        return parse_metrics(text)

    def metrics_if_up(self) -> Samples | None:
        """The same where it answers; it may be killed at any moment, between two looks too."""
        status, text = self.probe("/metrics")
        return parse_metrics(text) if status == 200 else None

    def metric(self, name: str, **labels: str) -> float:
        """Sum of one metric's samples that have these labels; 0 where there is none."""
        return total(self.metrics(), name, **labels)

    def is_leading(self) -> bool:
        """Whether it is ready and leads; False where the process is gone."""
        if self.probe() != (200, "ready"):
            return False
        now = self.metrics_if_up()
        return now is not None and total(now, "aiagent_synced") == 1

    def is_idle(self) -> bool:
        """Whether nothing is queued or at work at this moment; False where the process is gone."""
        now = self.metrics_if_up()
        return now is not None and not any(_busy(now))

    def until_idle(self, *, seconds: float = 60.0) -> None:
        """Wait until nothing is queued or at work, and no pass was made between two looks."""
        last: list[float] = []

        def idle() -> bool:
            self._component.check()
            samples = self.metrics()
            now = [*_busy(samples), total(samples, "aiagent_reconcile_total")]
            same = now == last and not any(now[:-1])
            last[:] = now
            return same

        wait_for(
            idle,
            what="the operator to have nothing to do",
            timeout=seconds,
            state=lambda: f"waiting, at work, events to be recorded, passes: {last}\n{self.tail()}",
        )


class Installation:
    """The chart in a cluster, and the operators that tests run with it.

    `operator()` is the one that most tests share. Tests that need one of their own take `alone()`, which ends the
    shared one first, since only one can lead.
    """

    def __init__(self, cluster: Cluster, *, values: Mapping[str, Any] | None = None, forked: bool = False) -> None:
        self.cluster = cluster
        self._forked = forked
        self.values: Mapping[str, Any] = values or {}
        self._folder = tempfile.TemporaryDirectory(prefix="aiagent-operators-")
        self.archive = ArchiveFolder(Path(self._folder.name) / "archive")
        self._shared: OperatorProcess | None = None
        self._own: list[OperatorProcess] = []
        self._probe = "default"
        self.vacated: set[str] = set()
        """Namespaces of tests that are over. What is left in them is nothing to an operator of a test's own."""

    @property
    def admin(self) -> Kube:
        """The administrator."""
        return self.cluster.admin

    def install(self, *, probe: str = "default") -> Self:
        """Put everything of the chart but its pods into the cluster, and wait until it is in force.

        `probe` is a namespace in which the operator may grant.
        """
        self._probe = probe
        chart.install(self.admin, self.values)
        self.make_grantable(GRANTABLE_NAME, GRANTABLE_RULES)
        return self

    def make_grantable(self, name: str, rules: list[Object]) -> None:
        """Label a ClusterRole with these rules, and wait until the operator holds the first right of each rule."""
        self.admin.apply(
            {
                "apiVersion": "rbac.authorization.k8s.io/v1",
                "kind": "ClusterRole",
                "metadata": {"name": name, "labels": {"workforce.dev/grantable": "true"}},
                "rules": rules,
            },
            force=True,
        )
        for rule in rules:
            wait_for(lambda rule=rule: self._holds(rule), what=f"the operator's account to hold {rule}")  # type: ignore[misc]

    def _holds(self, rule: Object) -> bool:
        return self.admin.allowed(
            chart.USERNAME,
            rule["verbs"][0],
            rule["resources"][0],
            group=rule["apiGroups"][0],
            groups=chart.GROUPS,
            namespace=self._probe,
            name=(rule.get("resourceNames") or [""])[0],
        )

    def token(self) -> str:
        """A fresh token of the operator's account."""
        return self.admin.token(chart.NAMESPACE, chart.ACCOUNT)

    def process(self, kubeconfig: Path | None = None, **settings: str) -> OperatorProcess:
        """An operator that is not started yet, as the chart's account; `kubeconfig` leads it through a proxy."""
        own = kubeconfig or self.cluster.kubeconfig_for_serviceaccount(chart.NAMESPACE, chart.ACCOUNT)
        folder = Path(self._folder.name)
        # In a file of its own: a test may have described the store otherwise, for its own operator after this one.
        chosen = {"archive_file": str(self.archive.described(file="stores-of-all.yaml")), **settings}
        return OperatorProcess(own, admin=self.admin, folder=folder, settings=chosen, forked=self._forked)

    def operator(self) -> OperatorProcess:
        """The shared operator, started where it does not run; never beside one of a test's own."""
        if own := next((each for each in self._own if each.running()), None):
            raise AssertionError(
                f"an operator of the test's own runs (process {own.pid}), and only one can lead: wait for what that "
                "one does, by its until_idle, and ask for the shared one after its end"
            )
        if self._shared is None or not self._shared.running():
            died = self._shared
            self._shared = self.process()
            self._shared.forget_lease()
            self._shared.start()
            if died is not None:
                raise AssertionError(f"the shared operator ended by itself; its log ended with\n{died.tail(60)}")
        return self._shared

    def alone(self, kubeconfig: Path | None = None, **settings: str) -> OperatorProcess:
        """An operator of the caller's own, not started yet; the shared one is ended, and starts again when wanted."""
        self._sweep()
        self.end_shared()
        own = self.process(kubeconfig, **settings)
        self._own.append(own)
        return own

    def _sweep(self) -> None:
        """Have the agents of earlier tests gone, by the shared operator, and then the records of their archives."""
        left = [
            found["metadata"]
            for found in self.admin.list(meta.API_VERSION, "aiagents")
            if found["metadata"]["namespace"] in self.vacated
        ]
        if left:
            self.operator()
            self.let_go(left)
        for found in self.admin.list(meta.API_VERSION, "agentarchives"):
            # One that is held stays, whatever a test thinks of it.
            held = (found.get("status") or {}).get("holds")
            if found["spec"]["agent"]["namespace"] in self.vacated and not held:
                archiverecords.clear(self.admin, found["metadata"]["name"])

    def let_go(self, agents: list[Object]) -> None:
        """Delete agents that no test needs any more, by their metadata, until they are gone: an operator must run."""
        # A namespace may go before its agents where one was made in its last moment, or where the API server, just
        # restarted, does not serve their kind yet. What it leaves can only be deleted while there is such a namespace:
        # policies select by its labels.
        homes = {agent["namespace"] for agent in agents}
        lost = sorted(home for home in homes if self.admin.find("v1", "namespaces", home) is None)
        for home in lost:
            self.admin.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": home}})
        for agent in agents:
            self.admin.delete_if_there(meta.API_VERSION, "aiagents", agent["name"], namespace=agent["namespace"])
        for agent in agents:
            self.admin.wait_gone(meta.API_VERSION, "aiagents", agent["name"], namespace=agent["namespace"], timeout=120)
        for home in lost:
            self.admin.delete_if_there("v1", "namespaces", home)

    def end_shared(self) -> None:
        """End the shared operator, as at a rollout."""
        if self._shared is not None and self._shared.running():
            self._shared.terminate()
        if self._shared is not None:
            self._shared.close()
            self._shared = None

    def close(self) -> None:
        """End everything; the cluster stays as it is."""
        self.end_shared()
        self._folder.cleanup()


def installation(cluster: Cluster) -> Iterator[Installation]:
    """For a fixture: the chart installed into a cluster, closed at the end."""
    installed = Installation(cluster, forked=True).install()
    try:
        yield installed
    finally:
        installed.close()
