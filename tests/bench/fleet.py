"""A control plane with the chart, the operator under its own account, and agents that are applied to it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from aiagent_operator.api import meta
from bench import agents
from bench.load import Client, Request
from bench.watcher import PATIENCE, Agent, Watcher, granted, ready, trained
from support import chart
from support.archivefolder import ArchiveFolder
from support.kube import Kube, Object
from support.localcluster import ControlPlane
from support.operator import Installation, OperatorProcess

# Enough for namespaces, aggregated roles and accounts. Pods are not what is measured.
PLAIN = "namespace-controller,serviceaccount-controller,clusterrole-aggregation-controller"
# And for Jobs that really run, and Deployments that follow each other: with a scheduler and fake nodes.
WORKING = f"{PLAIN},job-controller,deployment-controller,replicaset-controller,garbage-collector-controller"
WORKING += ",node-lifecycle-controller"


class Fleet:
    """One control plane, made for one measurement."""

    def __init__(self, *, controllers: str = PLAIN, pods: bool = False) -> None:
        """`pods`: controllers are at work, there are nodes, though no real ones, and a scheduler."""
        self._works = pods
        self.plane = ControlPlane(controllers=controllers, scheduler=pods, kwok=pods)
        self._installation = Installation(self.plane)
        self._operators: list[OperatorProcess] = []

    def __enter__(self) -> Self:
        self.plane.start()
        try:
            self._installation.install()
            for obj in agents.prerequisites():
                self.admin.create(obj)
            self.load = Client(self.plane.kubeconfig)
        except BaseException:
            self.plane.stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for operator in self._operators:
            operator.close()
        self._installation.close()
        self.plane.stop()

    @property
    def admin(self) -> Kube:
        """The administrator's client."""
        return self.plane.admin

    def account(self) -> Path:
        """A kubeconfig of the operator's own account, with a fresh token."""
        return self.plane.kubeconfig_for_serviceaccount(chart.NAMESPACE, chart.ACCOUNT, seconds=7200)

    @property
    def archive(self) -> ArchiveFolder:
        """Where the journals are."""
        return self._installation.archive

    def operator(self, *, ready: bool = True, kubeconfig: Path | None = None, **settings: str) -> OperatorProcess:
        """Starts the operator with its own defaults and a directory for journals; `ready` waits until it works."""
        chosen = {"log_format": "json", "log_level": "INFO", **settings}
        operator = self._installation.process(kubeconfig or self.account(), **chosen)
        self._operators.append(operator)
        operator.start(wait_ready=False)
        if ready:
            operator.wait_ready(seconds=PATIENCE)
        return operator

    def namespaces(self, names: Iterable[str]) -> None:
        """Makes namespaces, and waits for the controllers to have filled them."""
        wanted = sorted(set(names))
        self.load.send(
            (self.load.request("POST", "/api/v1/namespaces", agents.namespace(n)) for n in wanted), connections=32
        )

        def filled() -> bool:
            accounts = self.admin.list("v1", "serviceaccounts", fields="metadata.name=default")
            return set(wanted) <= {account["metadata"]["namespace"] for account in accounts}

        self.admin.wait_for(filled, what=f"{len(wanted)} namespaces to have their default account", timeout=300)

    def apply(self, wanted: Sequence[Agent], *, connections: int = 32, **spec: Any) -> None:
        """Creates agents as fast as the API server takes them."""
        self.load.send(self.requests(wanted, **spec), connections=connections)

    def requests(self, wanted: Sequence[Agent], **spec: Any) -> list[Request]:
        """The requests that create agents."""
        path = f"/apis/{meta.API_VERSION}/namespaces/{{}}/aiagents"
        made = [(where, agents.agent(name, where, **spec)) for name, where in wanted]
        return [self.load.request("POST", path.format(where), body) for where, body in made]

    def change(self, wanted: Iterable[tuple[Agent, Object]], *, connections: int = 32) -> None:
        """Changes fields of agents' specs, each its own."""
        path, content = f"/apis/{meta.API_VERSION}/namespaces/{{}}/aiagents/{{}}", "application/merge-patch+json"
        self.load.send(
            (
                self.load.request("PATCH", path.format(where, name), {"spec": spec}, content=content)
                for (name, where), spec in wanted
            ),
            connections=connections,
        )

    def complete(self, wanted: Sequence[Agent], *, connections: int = 32) -> None:
        """Says of agents' Deployments what their controller says of one that needs no pods.

        The controller itself would write five times for each (a ReplicaSet, annotations, statuses), which on one
        machine is half as much again as the whole onboarding.
        """
        path = agents.COLLECTIONS["deployments"] + "/{}/status"
        body, content = {"status": {"observedGeneration": 1}}, "application/merge-patch+json"
        self.load.send(
            (
                self.load.request("PATCH", path.format(where, f"{name}-1"), body, content=content)
                for name, where in wanted
            ),
            connections=connections,
        )

    def forget(self, wanted: Sequence[Agent]) -> None:
        """Takes agents that no operator has seen away: without their finalizer, so that nobody is waited for."""
        path = f"/apis/{meta.API_VERSION}/namespaces/{{}}/aiagents/{{}}"
        bare = {"metadata": {"finalizers": None}}
        content = "application/merge-patch+json"
        paths = [path.format(where, name) for name, where in wanted]
        self.load.send((self.load.request("PATCH", each, bare, content=content) for each in paths), connections=32)
        self.load.send((self.load.request("DELETE", each) for each in paths), connections=32)

    def clear(self, namespaces: Iterable[str]) -> None:
        """Removes children, however they came there, from namespaces: the operator would take them for left-overs."""
        paths = (collection.format(where) for where in sorted(namespaces) for collection in agents.COLLECTIONS.values())
        selector = f"?labelSelector={meta.LABEL_AGENT_UID}"
        self.load.send((self.load.request("DELETE", path + selector) for path in paths), connections=32)

    def onboard(self, operator: OperatorProcess, wanted: Sequence[Agent], **spec: Any) -> float:
        """Applies agents and waits until they are Ready; seconds from the first POST to the last right in force."""
        with ExitStack() as watches:
            onboarded = watches.enter_context(self.watching(granted))
            # Where controllers are at work, some are Ready before the last one is onboarded.
            done = watches.enter_context(self.watching(ready)) if self._works else None
            began = time.monotonic()
            self.apply(wanted, **spec)
            seconds = onboarded.wait(wanted, what="onboarded", operator=operator) - began
            if done is not None:
                done.wait(wanted, what="Ready", operator=operator)
        if not self._works:
            with self.watching(ready) as done:
                self.complete(wanted)
                done.wait(wanted, what="Ready", operator=operator)
        operator.until_idle(seconds=300)
        return seconds

    def train(self, operator: OperatorProcess, wanted: Sequence[Agent]) -> datetime:
        """Lets agents be due at the next minute that leaves time to say so to all, waits for the end, and says when."""
        due = datetime.now(UTC) + timedelta(seconds=5 + len(wanted) / 25)
        due = due.replace(second=0, microsecond=0) + timedelta(minutes=1)
        plan: Object = {"retraining": {"schedule": f"{due.minute} {due.hour} * * *"}}
        with self.watching(trained) as done:
            self.change((agent, plan) for agent in wanted)
            operator.until_idle(seconds=60)
            if datetime.now(UTC) >= due:
                raise RuntimeError("the agents were due before all of them knew their plan: the machine is too slow")
            done.wait(wanted, what="trained", operator=operator)
        operator.until_idle(seconds=300)
        return due

    def watching(self, until: Callable[[Object], bool]) -> Watcher:
        """Follows agents from now on, in a thread of its own."""
        return Watcher(self.plane.kubeconfig, until)

    def children(self, namespaces: Iterable[str]) -> dict[str, int]:
        """How many children there are in these namespaces, by kind."""
        wanted = set(namespaces)
        counts = {}
        for kind in agents.KINDS:
            items = self.admin.list(agents.VERSIONS[kind], kind, labels=meta.LABEL_AGENT_UID)
            counts[kind] = sum(item["metadata"]["namespace"] in wanted for item in items)
        return counts
