"""Drift of an agent that works, measured by a real Prometheus, on a real API server."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any

import pytest

from support import agents
from support.kube import Object
from support.measured import Measured
from support.operator import Installation, OperatorProcess
from support.prometheus import PrometheusServer
from support.trainings import jobs, trains
from support.versions import revisions, states

pytestmark = [pytest.mark.cluster, pytest.mark.xdist_group("gates")]

QUERY = "wrong{namespace={{namespace}},revision={{revision}}}"
# The shortest interval that there may be.
DRIFT = {"query": QUERY, "max": "0.25", "recovery": "0.15", "for": "15s", "interval": "10s"}
LONG = 120.0


class Ward(Measured):
    """One with an agent that is watched for drift."""

    def watched(self, *triggers: str, **drift: Any) -> None:
        """The agent, onboarded."""
        how = trains() | {"triggers": list(triggers)}
        self.employ("triage", self.new_role(), retraining=how, supervision={"drift": {**DRIFT, **drift}})
        self.until_ready("triage")

    def until_asked(self, times: int) -> None:
        """Wait until Prometheus has been asked so often since now, and something was made of the answers."""
        asked = self.server.asked()
        self.admin.wait_for(lambda: self.server.asked() >= asked + times, what=f"{times} questions", timeout=LONG)
        self.operator.until_idle()

    def until_drift(self, state: str | None, *, what: str) -> Object:
        """Wait until status.drift has a state, None for no drift that is known of."""

        def holds(agent: Object) -> bool:
            return (agent["status"].get("drift") or {}).get("state") == state

        return self.admin.wait_object(
            agents.API, "aiagents", "triage", holds, what=what, namespace=self.namespace, timeout=LONG
        )

    def until_said(self, reason: str | None, *texts: str) -> Object:
        """Wait until DriftDetected has a reason, None where it is absent."""

        def holds(agent: Object) -> bool:
            found = agents.condition(agent, "DriftDetected")
            return found is None if reason is None else bool(found and found["reason"] == reason)

        agent = self.admin.wait_object(
            agents.API, "aiagents", "triage", holds, what=f"drift: {reason}", namespace=self.namespace, timeout=LONG
        )
        message = (agents.condition(agent, "DriftDetected") or {}).get("message", "")
        assert not [text for text in texts if text not in message], message
        return agent


@pytest.fixture
def ward(installed: Installation, asking: OperatorProcess, server: PrometheusServer) -> Iterator[Ward]:
    with Ward.beside(installed, asking, server) as place:
        yield place


def test_drift_trains_once_and_what_comes_of_it_is_measured_anew(ward: Ward) -> None:
    ward.measured(r1="0.10", r2="0.12")
    ward.watched("Drift")
    ward.operator.until_idle()
    mark = ward.plane.audit_mark()
    ward.until_asked(3)
    assert ward.writes(mark) == [], "without drift nothing is written, however often it is measured"

    ward.measured(r1="0.31", r2="0.12")
    crossed = ward.until_drift("Crossed", what="the bound to be crossed")["status"]["drift"]
    assert (crossed["value"], agents.condition(ward.get("triage"), "DriftDetected")["status"]) == ("0.31", "False")  # type: ignore[index]
    ward.operator.restart()
    ward.admin.wait_for(lambda: 2 in states(ward), what="a training", timeout=LONG)
    ward.admin.wait_for(lambda: states(ward) == {1: "Superseded", 2: "Stable"}, what="its result to serve")
    assert revisions(ward)[2]["spec"]["trigger"] == "Drift"
    begun = revisions(ward)[2]["metadata"]["creationTimestamp"]
    assert begun >= crossed["since"], "the window goes on over a restart"

    ward.until_drift(None, what="drift to be over")
    ward.until_said(None)
    ward.until_ready("triage")
    ward.admin.wait_for(lambda: jobs(ward) == [], what="the Job to be gone")
    ward.operator.until_idle()
    mark = ward.plane.audit_mark()
    ward.until_asked(3)
    assert ward.writes(mark) == []
    assert len(states(ward)) == 2

    # Drift of what was trained is another one.
    ward.measured(r2="0.40")
    ward.admin.wait_for(lambda: 3 in states(ward), what="another training", timeout=LONG)
    assert revisions(ward)[3]["spec"]["trigger"] == "Drift"
    spec = {"retraining": {"suspend": True}}
    ward.change("triage", **spec)


def test_without_the_trigger_it_is_told_and_ends_at_the_recovery(ward: Ward) -> None:
    ward.measured(r1="0.31")
    ward.watched(**{"for": "0s"})
    ward.until_said("Drifting", "gave 0.31, above max 0.25", "Nothing follows from it")
    events = [event for event in ward.events("triage") if event["reason"] == "Drifting"]
    assert len(events) == 1
    ward.operator.until_idle()
    mark = ward.plane.audit_mark()
    ward.measured(r1="0.20")
    ward.until_asked(2)
    assert ward.writes(mark) == [], "within the bound, and not recovered"
    ward.measured(r1="0.15")
    ward.until_said(None)
    assert states(ward) == {1: "Stable"}


def test_what_is_no_number_is_said_once_and_changes_nothing(ward: Ward) -> None:
    ward.measured(r7="0.31")
    ward.watched("Drift", **{"for": "0s"})
    ward.until_said("NotMeasured", "the answer is empty")
    ward.operator.until_idle()
    mark = ward.plane.audit_mark()
    ward.measured(r1="NaN")
    ward.until_asked(2)
    ward.server.stop()
    try:
        time.sleep(12)  # longer than an interval: nobody counts what is asked of a server that is not there
        assert ward.writes(mark) == []
    finally:
        ward.server.start()
    ward.measured(r1="0.10")
    ward.until_said(None)
    assert states(ward) == {1: "Stable"}


def test_an_agent_that_is_suspended_is_not_measured_and_does_not_drift(ward: Ward) -> None:
    ward.measured(r1="0.31")
    ward.watched(**{"for": "0s"})
    ward.until_said("Drifting")
    ward.change("triage", suspended=True)
    ward.until_said(None)
    ward.until_reason("triage", "Ready", "Suspended")
    ward.operator.until_idle()
    mark = ward.plane.audit_mark()
    time.sleep(15)  # longer than an interval: nothing is to be asked
    assert ward.writes(mark) == []
    assert "drift" not in ward.get("triage")["status"]
    assert json.dumps(states(ward)) == json.dumps({1: "Stable"})


def test_what_was_measured_of_it_last_is_in_its_archive(ward: Ward) -> None:
    ward.measured(r1="0.10")
    ward.watched()
    ward.until_asked(1)
    uid = ward.get("triage")["metadata"]["uid"]
    ward.dismiss("triage")
    ward.until_gone("triage")
    archive = ward.installed.archive
    assert archive.verified(uid)["notCaptured"] == []
    (line,) = archive.archived(uid)["kpis.jsonl"].splitlines()
    told = json.loads(line)
    assert told["query"] == f'wrong{{namespace="{ward.namespace}",revision="1"}}'
    assert told["name"] == "drift"
    assert "0.1" in {value for _, value in told["values"]}


def test_a_prometheus_that_is_away_keeps_nobody(ward: Ward) -> None:
    ward.measured(r1="0.10")
    ward.watched()
    uid = ward.get("triage")["metadata"]["uid"]
    with ward.server.down():
        ward.dismiss("triage")
        ward.until_gone("triage")
    (gap,) = ward.installed.archive.verified(uid)["notCaptured"]
    assert (gap["path"], gap["reason"]) == ("kpis.jsonl", "Unreachable")
    assert "1 of 1 series, drift" in gap["message"]
