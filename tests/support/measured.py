"""Places whose agents are measured by a real Prometheus, and by Jobs on fake nodes.

Pods of Jobs run nothing there: kwok, in the kubelet's place, ends them with the message that their annotation says.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Self

from support import agents
from support.kube import Object
from support.operator import Installation, OperatorProcess
from support.prometheus import PrometheusServer
from support.workplace import Workplace

BRIEF, HONEST = ({"instructions": {"inline": text}} for text in ("Be brief.", "Be honest."))
GOOD = json.dumps(
    {"measurements": [{"name": "accuracy", "value": "0.91", "stableValue": "0.90"}], "notes": "3 tickets."}
)
BAD = json.dumps({"measurements": [{"name": "accuracy", "value": "0.71", "stableValue": "0.90"}]})


class Measured(Workplace):
    """A workplace where agents are measured: what Prometheus knows of the agents' revisions is said here."""

    def __init__(self, installed: Installation, operator: OperatorProcess, server: PrometheusServer) -> None:
        super().__init__(installed)
        self.operator, self.server = operator, server

    @classmethod
    @contextmanager
    def beside(cls, installed: Installation, operator: OperatorProcess, server: PrometheusServer) -> Iterator[Self]:
        """A place of a test's own, with the operator at work whatever the test before has left."""
        if not operator.running():
            operator.restart()
        place = cls(installed, operator, server)
        try:
            yield place
        finally:
            place.clean()

    def measured(self, **values: str) -> None:
        """The share of wrong answers of each revision, such as r1="0.01"; revisions that are left out have none."""
        self.server.expose(
            *(f'wrong{{namespace="{self.namespace}",revision="{name[1:]}"}} {value}' for name, value in values.items())
        )


class Bench(Measured):
    """One where agents have evaluations."""

    def gated(self, *permissions: Object, **metric: Any) -> None:
        """An agent with one evaluation by Prometheus, `live`."""
        self.employ("triage", self.new_role(), *permissions, retraining={"evaluations": [live(**metric)]})

    def evaluations(self) -> dict[str, Object]:
        """The evaluations of all agents here, by name."""
        found = self.admin.list(agents.API, "agentevaluations", namespace=self.namespace)
        return {each["metadata"]["name"]: each for each in found}

    def until_measured(self, name: str, count: int, field: str = "count") -> Object:
        """Wait until so many measurements of an evaluation's one metric are written down."""

        def enough(found: Object) -> bool:
            results: list[Object] = found["status"].get("metricResults", [])
            return sum(int(result.get(field, 0)) for result in results) >= count

        what = f"{count} measurements of {name}"
        return self.admin.wait_object(
            agents.API, "agentevaluations", name, enough, what=what, namespace=self.namespace, timeout=90
        )

    def states(self) -> dict[int, str]:
        """States of the revisions by number."""
        found = self.admin.list(agents.API, "agentrevisions", namespace=self.namespace)
        return {each["spec"]["number"]: each["status"]["state"] for each in found}

    def deployments(self) -> set[str]:
        """Deployments that are not on their way out."""
        found = self.admin.list("apps/v1", "deployments", namespace=self.namespace)
        return {each["metadata"]["name"] for each in found if "deletionTimestamp" not in each["metadata"]}

    def jobs(self) -> dict[str, Object]:
        """Jobs by name."""
        return {job["metadata"]["name"]: job for job in self.admin.list("batch/v1", "jobs", namespace=self.namespace)}

    def until_serves(self, number: int) -> None:
        """Wait until this revision serves and there is nothing more to do."""
        self.until("triage", lambda a: (a["status"].get("revision") or {}).get("stable") == number, what=f"{number}")
        self.until_ready("triage")
        self.operator.until_idle()

    def writes_after_restart(self) -> list[Any]:
        """What a new operator writes about this test's objects, once the one before has nothing more to do."""
        self.operator.until_idle()
        mark = self.plane.audit_mark()
        self.operator.restart()
        self.operator.until_idle()
        return self.writes(mark)


def live(**metric: Any) -> Object:
    query = "wrong{namespace={{namespace}},revision={{revision}}}"
    return {"name": "live", "prometheus": {}, "metrics": [{"name": "wrong", "query": query, "max": "0.10", **metric}]}


def held_out(message: str, *, hold: bool = False, code: int = 0) -> Object:
    """An evaluation by a Job whose pod ends with this message, or not at all."""
    annotations = {"localcluster/message": message, "localcluster/exit-code": str(code)}
    annotations |= {"localcluster/hold": "true"} if hold else {}
    pod = {"containers": [{"name": "measure", "image": "registry.example/measure:1"}]}
    job = {"spec": {"backoffLimit": 0, "template": {"metadata": {"annotations": annotations}, "spec": pod}}}
    return {"name": "held-out", "job": job, "metrics": [{"name": "accuracy", "min": "0.80", "maxDecrease": "0.02"}]}
