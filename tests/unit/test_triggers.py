"""What makes an agent due beside its plan: each row of docs/triggers.md, and any course of events against a model."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from aiagent_operator.api.agentpolicy import AgentPolicy
from aiagent_operator.api.aiagent import AIAgent
from aiagent_operator.api.curriculum import MOST_CURRICULA
from aiagent_operator.core.children import run_job
from aiagent_operator.core.evaluation import measure
from aiagent_operator.core.evaluation.answer import Answer
from aiagent_operator.core.evaluation.asking import AskedFor
from aiagent_operator.core.objects import ChildKind
from aiagent_operator.core.plan import Plan
from aiagent_operator.core.versions.revisions import RetrainOrder, RollbackOrder
from support import agents
from support.decisions import compiled, said
from support.documents import ROOT, blocks, objects, table
from support.gates import template
from support.lessons import Desk, job_template, result
from support.policies import merged, policy

PAGE = ROOT / "docs" / "triggers.md"
DRIFT = {"query": "wrong", "max": "0.25", "recovery": "0.15", "for": "10m", "interval": "5m"}
ALL = ["Drift", "KnowledgeChange", "PolicyChange"]


class Class(Desk):
    """An agent with all triggers and no plan, under a policy; `value` is what Prometheus says of drift."""

    value = "0.1"

    def __init__(self, curriculum: str | None = "1", **retraining: Any) -> None:
        how = {"jobTemplate": job_template(), "triggers": ALL, **retraining}
        super().__init__(spec={"retraining": how, "supervision": {"drift": DRIFT}})
        self.curricula(corp=curriculum)
        self.settle()

    def curricula(self, **versions: str | None) -> None:
        """Policies of these names select it."""
        self.facts["policies"] = merged(*(policy(n, **({"curriculum": v} if v else {})) for n, v in versions.items()))

    def teach(self, name: str = "first", left: str = "") -> None:
        """A training by order that ends well."""
        self.order(name)
        self.learn(left)

    def order(self, name: str) -> None:
        """A training by order begins."""
        given_at = f"{self.now:%Y-%m-%dT%H:%M:%S}+00:00"
        self.facts["retrains"] = (RetrainOrder(name, f"uid-{name}", given_at, "2027-01-01T00:00:00+00:00"),)
        self.settle()
        del self.facts["retrains"]

    def learn(self, left: str = "") -> None:
        """The training under way ends well, by default with something new."""
        self.later(minutes=1)
        self.end(left or result(artifact=f"s3://models/triage/{max(self.states())}"))
        self.settle()

    def fail(self) -> None:
        """It fails."""
        self.later(minutes=1)
        self.end("", failed="BackoffLimitExceeded")
        self.settle()

    def edit(self, text: str = "Be brief.") -> None:
        """The handbook is edited."""
        self.spec = {**self.spec, "handbook": {"instructions": {"inline": text}}}
        self.settle()

    def roll_back(self) -> None:
        """An order goes back from what serves."""
        self.facts["rollback"] = RollbackOrder("back", "uid-back", "AgentAction back by jane")
        self.settle()
        del self.facts["rollback"]
        self.settle()

    def change(self, **fields: Any) -> None:
        """Fields of spec.retraining are changed."""
        self.spec = {**self.spec, "retraining": {**self.spec["retraining"], **fields}}

    def measure(self, *values: str) -> None:
        """Each five minutes, Prometheus answers one of these."""
        for value in values:
            self.later(minutes=5)
            self.settle()
            self.facts["measured"] = self.answers(self.plan(), value)
            self.settle()

    def answers(self, plan: Plan, value: str) -> dict[AskedFor, Any]:
        """Answers to what is asked about drift."""
        told = Answer("scalar", [self.now.timestamp(), value])
        return {
            (asking.uid, metric.name, number): measure.of_answers(metric, told, None, began=self.now, ended=self.now)
            for asking in plan.measure
            for metric, number in asking.metrics
        }

    # What is seen -----------------------------------------------------------------------------------------------------

    def due_by(self) -> list[str]:
        """The triggers that make it due."""
        return [entry["trigger"] for entry in self.status["training"].get("triggeredBy") or ()]

    def waits_for(self) -> str:
        """What the next training waits for."""
        found = self.status.get("training") or {}
        if found.get("current"):
            return "its training"
        if wait := found.get("waitsFor"):
            return str(wait["reason"])
        return "its turn" if self.due_by() else "nothing"

    def newest(self) -> str:
        """The newest revision."""
        number = max(self.states())
        return f"{number} {self.revision(number)['spec']['trigger']} {self.states()[number]}"


def taught(**retraining: Any) -> Class:
    """One that was trained once."""
    found = Class(**retraining)
    found.teach()
    return found


def _never() -> Class:
    found = Class()
    found.curricula(corp="2")
    found.edit()
    return found


def _edited() -> Class:
    found = taught()
    found.edit()
    return found


def _anew() -> Class:
    found = _edited()
    found.learn()
    return found


def _nothing_learned() -> Class:
    found = _edited()
    found.learn(result(artifact=found.handbook()["artifact"]))
    return found


def _failed() -> Class:
    found = _edited()
    found.fail()
    return found


def _rolled_back() -> Class:
    found = _anew()
    found.roll_back()
    return found


def _without_a_slot() -> Class:
    found = taught()
    found.facts["admitted"] = False
    found.edit()
    assert found.due_by() == ["KnowledgeChange"]
    return found


def _edited_back() -> Class:
    found = _without_a_slot()
    del found.spec["handbook"]
    found.settle()
    return found


def _in_training() -> Class:
    found = taught()
    found.order("second")
    found.edit()
    found.learn()
    return found


def _gated() -> Class:
    found = taught()
    found.change(evaluations=[template("live")])
    found.edit()
    return found


def _rejected() -> Class:
    found = _gated()
    (record,) = [body for key, body in found.manifests.items() if key.kind is ChildKind.AGENT_EVALUATION]
    record["status"] = {"phase": "Failed"}
    found.settle()
    return found


def _edit_rolled_back() -> Class:
    found = _without_a_slot()
    found.roll_back()
    return found


def _role() -> Class:
    found = taught()
    source = {"name": "kb", "uri": "https://kb.example/2"}
    found.facts["role"] = compiled(defaults={"handbook": {"knowledgeSources": [source]}})
    found.settle()
    return found


def _image() -> Class:
    found = taught()
    pods = agents.pod_template()
    pods["spec"]["containers"][0]["image"] = "registry.example/agent:2"
    found.spec = {**found.spec, "workload": {"template": pods, "replicas": 1}}
    found.settle()
    return found


def _paused() -> Class:
    found = taught()
    found.change(suspend=True)
    found.edit()
    return found


def _suspended() -> Class:
    found = _without_a_slot()
    found.facts["admitted"] = True
    found.spec["suspended"] = True
    found.settle()
    return found


def _frozen() -> Class:
    found = taught()
    freeze = {"name": "year-end", "kind": "Freeze", "schedule": "0 0 1 1 *", "duration": "48h"}
    found.facts["policies"] = merged(policy("corp", curriculum="2", windows=[freeze]))
    found.settle()
    return found


def _curriculum() -> Class:
    found = taught()
    found.curricula(corp="2")
    found.settle()
    return found


def _curriculum_taught() -> Class:
    found = _curriculum()
    found.learn()
    return found


def _changed_in_training() -> Class:
    found = _curriculum()
    found.curricula(corp="3")
    found.learn()
    return found


def _policy_added() -> Class:
    found = taught()
    found.curricula(corp="1", other="1")
    found.settle()
    return found


def _policy_gone() -> Class:
    found = taught()
    found.curricula()
    found.settle()
    return found


def _policy_edited() -> Class:
    found = taught()
    nights = {"name": "nights", "kind": "Allow", "schedule": "0 0 * * *", "duration": "6h"}
    found.facts["policies"] = merged(policy("corp", curriculum="1", windows=[nights], revisionHistoryLimit=3))
    found.settle()
    return found


def _both() -> Class:
    found = _without_a_slot()
    found.later(minutes=1)
    found.curricula(corp="2")
    found.settle()
    return found


def _both_taught() -> Class:
    found = _both()
    found.facts["admitted"] = True
    found.settle()
    found.learn()
    return found


def _drifts() -> Class:
    found = taught()
    found.measure("0.3", "0.3", "0.3")
    return found


def _drifts_untrained() -> Class:
    found = Class()
    found.measure("0.3", "0.3", "0.3")
    return found


def _drift_trained_away() -> Class:
    found = _drifts()
    found.learn()
    return found


def _drifts_again() -> Class:
    found = _drift_trained_away()
    found.measure("0.3", "0.3")
    assert found.due_by() == [], "it is measured anew from its promotion on"
    found.measure("0.3")
    return found


def _drift_not_trained_away() -> Class:
    found = _drifts()
    found.fail()
    return found


def _drift_over() -> Class:
    found = taught()
    found.facts["admitted"] = False
    found.measure("0.3", "0.3", "0.3")
    assert found.due_by() == ["Drift"]
    found.measure("0.2")
    assert found.due_by() == ["Drift"]
    found.measure("0.15")
    return found


def _drift_suspended() -> Class:
    found = taught()
    found.facts["admitted"] = False
    found.measure("0.3", "0.3", "0.3")
    found.spec["suspended"] = True
    found.settle()
    assert found.plan().measure == ()
    return found


CASES: dict[str, Callable[[], Class]] = {
    "never trained": _never,
    "trained": taught,
    "handbook edited": _edited,
    "taught anew": _anew,
    "nothing learned": _nothing_learned,
    "training failed": _failed,
    "training rolled back": _rolled_back,
    "edited back": _edited_back,
    "edited in training": _in_training,
    "edit evaluated": _gated,
    "edit rejected": _rejected,
    "edit rolled back": _edit_rolled_back,
    "role edited": _role,
    "image edited": _image,
    "paused": _paused,
    "suspended": _suspended,
    "window shut": _frozen,
    "curriculum changed": _curriculum,
    "curriculum taught": _curriculum_taught,
    "curriculum changed in training": _changed_in_training,
    "policy added": _policy_added,
    "policy gone": _policy_gone,
    "policy edited": _policy_edited,
    "both changed": _both,
    "both taught": _both_taught,
    "drifts": _drifts,
    "drifts untrained": _drifts_untrained,
    "drift trained away": _drift_trained_away,
    "drifts again": _drifts_again,
    "drift not trained away": _drift_not_trained_away,
    "drift over": _drift_over,
    "drift suspended": _drift_suspended,
}
ROWS = table(PAGE, "case")


def test_the_table_has_all_cases() -> None:
    assert [row[0] for row in ROWS] == list(CASES)


@pytest.mark.parametrize(("case", "_what", "due_by", "waits_for", "newest"), ROWS, ids=[row[0] for row in ROWS])
def test_row(case: str, _what: str, due_by: str, waits_for: str, newest: str) -> None:
    found = CASES[case]()
    assert (", ".join(found.due_by()) or "nothing", found.waits_for(), found.newest()) == (due_by, waits_for, newest)
    before = found.status
    assert found.settle().writes == ()
    assert found.status == before, "a second look changes nothing"
    expected = (False, due_by.split(", ", maxsplit=1)[0]) if due_by != "nothing" else None
    verdicts = [v for v in found.plan().verdicts if v.type.value == "TrainingCurrent"]
    assert ([(v.status, v.reason.value) for v in verdicts] or [None])[0] == expected


def test_the_samples_of_the_page_can_be_read_whole() -> None:
    agent, rules = (objects(block)[0] for block in blocks(PAGE, "yaml"))
    read = AIAgent.model_validate(agent)
    assert read.spec.retraining is not None
    assert [each.value for each in read.spec.retraining.triggers] == ALL
    assert read.spec.supervision is not None
    assert AgentPolicy.model_validate(rules).spec.curriculum == "2026-2"


def test_since_when_it_is_due_is_kept_for_as_long_as_it_is() -> None:
    found = _without_a_slot()
    since = found.status["training"]["due"]
    found.later(hours=5)
    found.settle()
    assert found.status["training"]["due"] == since == found.status["training"]["triggeredBy"][0]["since"]
    found.facts["admitted"] = True
    found.settle()
    found.fail()
    assert found.status["training"]["due"] == since, "a failure takes nobody's place away"


def test_it_says_why() -> None:
    found = _both()
    status, reason, message = said(found.plan(), "TrainingCurrent")
    assert (status, reason) == (False, "KnowledgeChange")
    assert message.startswith(
        "Due since 2026-01-01T00:01:00Z: the handbook of revision 3, which serves, is another than"
    )
    assert 'AgentPolicy "corp" asks for curriculum 2, and revision 2 was taught 1' in message
    drifting = _drifts()
    assert "the agent drifts: its query gave 0.3, above max 0.25" in said(drifting.plan(), "TrainingCurrent")[2]
    assert "status.training says what that waits for" in said(drifting.plan(), "DriftDetected")[2]


def test_a_training_records_what_it_is_about_and_tells_its_job() -> None:
    found = Class()
    found.curricula(corp="1", tone="2026-2")
    found.order("first")
    record = found.revision(2)["spec"]
    assert record["curricula"] == [{"policy": "corp", "version": "1"}, {"policy": "tone", "version": "2026-2"}]
    (job,) = found.jobs()
    env = {each["name"]: each["value"] for each in job["spec"]["template"]["spec"]["containers"][0]["env"]}
    assert env["WORKFORCE_CURRICULA"] == "corp=1 tone=2026-2"
    assert "`consumer-protection=2026-2`, separated by spaces" in PAGE.read_text()
    found.learn()
    found.edit()
    third = found.revision(3)["spec"]
    assert third["learned"]["knowledge"] == record["work"]["knowledge"] != third["work"]["knowledge"]
    assert third["learned"]["curricula"] == record["curricula"]


def test_what_was_taught_outlives_the_revision_that_was_trained() -> None:
    found = taught()
    found.spec["revisionHistoryLimit"] = 0
    found.facts["admitted"] = False
    for text in ("Be brief.", "Be kind.", "Be quick."):
        found.edit(text)
    assert 2 not in found.states()
    assert found.due_by() == ["KnowledgeChange"]
    found.curricula(corp="2")
    found.settle()
    assert found.due_by() == ["KnowledgeChange", "PolicyChange"]
    assert "and revision 2 was taught 1" in said(found.plan(), "TrainingCurrent")[2]


def test_what_the_handbook_teaches_is_not_its_order_its_purpose_or_its_model() -> None:
    rules = [{"name": name, "action": name, "decide": "Never"} for name in ("refund", "cancel")]
    sources = [{"name": name, "uri": f"https://{name}.example"} for name in ("kb", "faq")]
    book = {"rules": rules, "knowledgeSources": sources, "prohibited": ["Guess", "Swear"]}
    found = Class()
    found.spec["handbook"] = book
    found.settle()
    found.teach()
    turned = {name: entries[::-1] for name, entries in book.items()}
    found.spec |= {"handbook": turned, "purpose": "Other", "model": {"provider": "p", "name": "m"}}
    found.settle()
    assert (found.newest(), found.due_by()) == ("4 SpecChanged Stable", [])
    found.facts["admitted"] = False
    for change in (
        {"rules": rules[:1]},
        {"rules": [rules[0], {**rules[1], "decide": "Escalate"}]},
        {"knowledgeSources": [sources[0], {**sources[1], "uri": "https://faq.example/2"}]},
        {"prohibited": ["Guess"]},
        {"instructions": {"inline": "Be brief."}},
    ):
        found.spec = {**found.spec, "handbook": {**book, **change}}
        found.settle()
        assert found.due_by() == ["KnowledgeChange"], change
    found.spec = {**found.spec, "handbook": book}
    found.settle()
    assert found.due_by() == []


def test_more_curricula_than_are_recorded_train_nobody_again_and_again() -> None:
    found = taught()
    found.curricula(**{f"policy-{number:02}": "1" for number in range(MOST_CURRICULA + 8)})
    found.settle()
    assert found.due_by() == ["PolicyChange"]
    found.learn()
    assert len(found.revision(3)["spec"]["curricula"]) == MOST_CURRICULA
    assert (found.due_by(), found.waits_for()) == ([], "nothing")


def test_records_from_before_there_were_triggers_make_nobody_due_for_their_handbook() -> None:
    found = taught()
    del found.revision(2)["spec"]["work"]["knowledge"]
    found.edit()
    assert found.due_by() == []
    found.curricula(corp="2")
    found.settle()
    assert found.due_by() == ["PolicyChange"]


def test_only_what_its_owner_names_makes_it_due() -> None:
    found = taught(triggers=["PolicyChange"])
    found.edit()
    found.measure("0.3", "0.3", "0.3")
    assert found.due_by() == []
    status, _, message = said(found.plan(), "DriftDetected")
    assert status is True
    assert "Nothing follows from it" in message


def test_a_plan_that_is_due_longer_names_the_training() -> None:
    found = taught(every="1h")
    found.facts["admitted"] = False
    found.later(hours=2)
    found.settle()
    found.edit()
    found.facts["admitted"] = True
    found.settle()
    assert found.newest() == "4 Schedule Training"


def test_an_agent_without_drift_costs_no_write_and_is_asked_once_in_an_interval() -> None:
    found = taught()
    found.measure("0.1")
    settled = found.status
    for _ in range(10):
        plan = found.plan()
        assert (plan.writes, len(plan.measure)) == ((), 1)
        assert plan.requeue_after is not None
        assert 0 < plan.requeue_after <= 300
        assert {asked for asking in plan.measure for asked in asking.known_by()} == set(found.facts["measured"])
        found.measure("0.2")
        assert found.status == settled
        assert "drift" not in {key for key, value in found.status.items() if value}


def test_an_answer_that_comes_in_the_next_interval_counts_and_is_not_taken_for_that_ones() -> None:
    found = taught()
    plan = found.settle()
    found.later(minutes=5)
    found.facts["measured"] = found.answers(plan, "0.3")
    late = found.settle()
    assert found.status["drift"]["state"] == "Crossed"
    asked = {which for asking in late.measure for which in asking.known_by()}
    assert not asked & set(found.facts["measured"])


def test_drift_stands_in_the_status_before_what_follows_from_it() -> None:
    found = taught()
    found.measure("0.3", "0.3")
    found.later(minutes=5)
    found.facts["measured"] = found.answers(found.plan(), "0.3")
    plan = found.plan()
    assert [write.key.kind for write in plan.writes] == [ChildKind.AGENT_REVISION]
    assert plan.first["drift"]["state"] == "Drifting"


def test_a_rule_that_is_edited_and_a_status_of_a_newer_version_begin_anew() -> None:
    found = taught()
    found.facts["admitted"] = False
    found.measure("0.3", "0.3", "0.3")
    found.spec["supervision"] = {"drift": {**DRIFT, "max": "0.2"}}
    found.settle()
    assert found.status["drift"] is None
    assert found.due_by() == []
    found.status["drift"] = {"state": "Swaying", "digest": 7}
    found.settle()
    assert found.status["drift"] is None


def test_durations_that_came_past_the_schema_are_said() -> None:
    found = taught()
    found.spec["supervision"] = {"drift": {**DRIFT, "for": "90000h"}}
    plan = found.settle()
    status, reason, message = said(plan, "DriftDetected")
    assert (status, reason, plan.measure) == (None, "NotMeasured", ())
    assert 'spec.supervision.drift.for "90000h" is too long' in message
    found.later(hours=1)
    assert said(found.plan(), "DriftDetected")[2] == message


def test_the_environment_of_runs_has_curricula_in_every_run() -> None:
    found = taught()
    env = run_job.environment(found.observed().identity, run_job.RunKind.EVALUATION, 1, None)
    assert env["WORKFORCE_CURRICULA"] == ""


# Any course of events -------------------------------------------------------------------------------------------------

EVENTS = st.lists(st.sampled_from(("edit a", "edit b", "teach 1", "teach 2", "learn", "fail", "order")), max_size=8)


class Model:
    """What is to be trained, in the plainest words: what is taught, what a training began with, what it left."""

    def __init__(self) -> None:
        self.now: tuple[str, str] = ("", "1")
        self.taught: tuple[str, str] | None = None
        self.running: tuple[str, str] | None = None

    def due(self) -> list[str]:
        """By which triggers it is due."""
        if self.taught is None:
            return []
        names = ("KnowledgeChange", "PolicyChange")
        return [name for name, now, then in zip(names, self.now, self.taught, strict=True) if now != then]

    def begins(self) -> None:
        """A training that may begin does."""
        if self.running is None and self.due():
            self.running = self.now


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(EVENTS)
@example(["order", "teach 2", "learn", "edit a", "learn"])
def test_any_course_of_events_trains_what_has_changed_once(events: list[str]) -> None:
    found, model = Class(triggers=["KnowledgeChange", "PolicyChange"]), Model()
    for number, event in enumerate(events):
        what, _, value = event.partition(" ")
        if what == "edit":
            model.now = (value, model.now[1])
            model.begins()
            found.edit(value)
        elif what == "teach":
            model.now = (model.now[0], value)
            model.begins()
            found.curricula(corp=value)
            found.settle()
        elif what == "order" and model.running is None:
            model.running = model.now
            found.order(f"order-{number}")
        elif what == "learn" and model.running is not None:
            model.taught, model.running = model.running, None
            model.begins()
            found.learn()
        elif what == "fail" and model.running is not None:
            model.running = None
            found.fail()
            found.later(hours=7)
            model.begins()
            found.settle()
        assert sorted(found.due_by() if found.status.get("training") else []) == model.due()
        assert (found.waits_for() == "its training") == (model.running is not None)
    begun = [found.revision(number)["spec"]["trigger"] for number in found.states()]
    assert len(found.jobs()) == (model.running is not None)
    assert set(begun) <= {"Created", "SpecChanged", "Retrain", "KnowledgeChange", "PolicyChange"}
    assert json.dumps(found.status)
