"""A StatefulSet and its controller, as far as a partition goes by it: pods in order, one at a time, from the last one.

After Kubernetes' own (pkg/controller/statefulset, OrderedReady): no pod is made or renewed while another one is not
ready, none before the partition is renewed, and one that is made there gets the revision that was complete before.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from aiagent_operator.core.rollout.facts import Pods


@dataclass
class Pod:
    """One pod, and the work that it has."""

    work: str
    ready: bool = False


@dataclass
class StatefulSet:
    """`template`: the work that its pod template says; `complete`: that of which all pods were last; `broken`: work
    whose pods never become ready."""

    wanted: int
    template: str
    complete: str
    partition: int = 0
    pods: list[Pod] = field(default_factory=list)
    broken: set[str] = field(default_factory=set)
    seen: bool = True

    def change(self, wanted: int, template: str, partition: int) -> None:
        """Another spec, which its controller has not seen yet where anything of it differs."""
        if (wanted, template, partition) != (self.wanted, self.template, self.partition):
            self.wanted, self.template, self.partition, self.seen = wanted, template, partition, False

    def control(self) -> None:
        """One step of its controller."""
        self.seen = True
        if len(self.pods) > self.wanted:
            self.pods.pop()
        elif any(not pod.ready for pod in self.pods):
            return
        elif len(self.pods) < self.wanted:
            self.pods.append(self._made(len(self.pods)))
        else:
            self._renew()

    def become_ready(self) -> None:
        """Pods become ready, but for those that never do."""
        for pod in self.pods:
            pod.ready = pod.work not in self.broken

    def delete_unready(self) -> None:
        """Somebody deletes pods that are not ready."""
        self.pods = [pod if pod.ready else self._made(ordinal) for ordinal, pod in enumerate(self.pods)]

    def run(self, steps: int = 1000) -> None:
        """Until nothing changes any more."""
        for _ in range(steps):
            before = [(pod.work, pod.ready) for pod in self.pods]
            self.control()
            self.become_ready()
            if before == [(pod.work, pod.ready) for pod in self.pods]:
                return
        raise AssertionError(f"its controller goes on and on: {self}")

    def having(self, work: str) -> int:
        """How many pods have this work."""
        return sum(pod.work == work for pod in self.pods)

    def facts(self, number: int, name: str) -> Pods:
        """What its status says, under the number of the stable revision."""
        return Pods(
            number,
            name,
            wanted=self.wanted,
            replicas=len(self.pods),
            updated=self.having(self.template),
            ready=sum(pod.ready for pod in self.pods),
            observed=self.seen,
            kind="StatefulSet",
        )

    def _made(self, ordinal: int) -> Pod:
        return Pod(self.complete if ordinal < self.partition else self.template)

    def _renew(self) -> None:
        old = [n for n, pod in enumerate(self.pods) if n >= self.partition and pod.work != self.template]
        if old:
            self.pods[old[-1]] = Pod(self.template)
        elif self.having(self.template) == self.wanted:
            self.complete = self.template


def running(count: int, work: str) -> StatefulSet:
    """One all of whose pods are ready."""
    return StatefulSet(count, work, work, pods=[Pod(work, ready=True) for _ in range(count)])
