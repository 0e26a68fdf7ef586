"""A training from its plan to what serves: what is written when, and what becomes of whatever a Job may leave."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from aiagent_operator.api.conditions import Reason
from aiagent_operator.core.children import revision
from aiagent_operator.core.objects import ChildKind, ObjectKey
from aiagent_operator.core.plan import Failure, Verb
from aiagent_operator.core.retraining.due import RunState
from aiagent_operator.core.versions import learning
from aiagent_operator.core.versions.revisions import RetrainOrder, RollbackOrder
from support import agents
from support.decisions import HOME, kinds
from support.documents import ROOT, table
from support.lessons import ARTIFACT, BEGIN, Desk, job_template, result, retraining

JOB = ObjectKey(ChildKind.JOB, HOME, "triage-2-train")


def employed(**fields: Any) -> Desk:
    """An agent that serves, and is due in an hour."""
    desk = Desk(spec={"retraining": retraining(**fields)})
    desk.settle()
    return desk


def begun(**fields: Any) -> Desk:
    """One whose training runs."""
    desk = employed(**fields)
    desk.later(hours=1)
    desk.settle()
    return desk


def order(name: str = "again", *, given: timedelta = timedelta(), until: timedelta = timedelta(days=1)) -> RetrainOrder:
    return RetrainOrder(name, f"uid-{name}", (BEGIN + given).isoformat(), (BEGIN + until).isoformat())


def test_nothing_begins_before_it_is_due() -> None:
    desk = employed()
    plan = desk.plan()

    assert plan.writes == ()
    assert plan.requeue_after == 3600
    assert plan.status["training"] == {
        "due": "2026-01-01T01:00:00Z",
        "waitsFor": {
            "reason": "NotDue",
            "message": "planned for 2026-01-01T01:00:00Z",
            "until": "2026-01-01T01:00:00Z",
        },
    }
    desk.later(minutes=59, seconds=59)
    assert desk.plan().writes == ()


def test_the_steps_of_a_training() -> None:
    desk = employed()
    desk.later(hours=1)

    steps = []
    while (plan := desk.plan()).writes:
        steps.append(kinds(plan))
        for write in plan.writes:
            desk.take(write)
    assert steps == [
        [("create", "AgentRevision", HOME)],
        [("create", "NetworkPolicy", HOME), ("create", "ServiceAccount", HOME)],
        [("create", "Job", HOME)],
        [("report", "AgentRevision", HOME)],
    ]
    assert desk.states() == {1: "Stable", 2: "Training"}
    assert plan.status["training"]["current"]["revision"] == 2
    assert plan.status["revision"] == {"latest": 2, "stable": 1}

    desk.later(minutes=10)
    desk.end(result())
    steps = []
    while (plan := desk.plan()).writes:
        steps.append(kinds(plan))
        for write in plan.writes:
            desk.take(write)
    assert steps == [
        [("report", "AgentRevision", HOME)],
        [("create", "ConfigMap", HOME), ("delete", "Job", HOME), ("report", "AgentRevision", HOME)],
        [("create", "Deployment", HOME)],
        [("report", "AgentRevision", HOME)],
        [("delete", "Deployment", HOME), ("report", "AgentRevision", HOME)],
    ]
    assert desk.states() == {1: "Superseded", 2: "Stable"}
    assert desk.jobs() == []


def test_what_is_learned_reaches_the_pods_through_the_handbook_and_the_next_training_through_its_environment() -> None:
    desk = begun()
    desk.end(result(model={"provider": "in-house", "name": "triage", "version": "7"}, metrics={"accuracy": "0.91"}))
    desk.later(minutes=5)
    desk.settle()

    assert desk.handbook()["artifact"] == ARTIFACT
    assert desk.handbook()["model"] == {"provider": "in-house", "name": "triage", "version": "7"}
    second = desk.revision(2)
    assert (second["spec"]["trigger"], second["spec"]["parent"]) == ("Schedule", 1)
    assert second["status"]["result"]["metrics"] == {"accuracy": "0.91"}
    assert second["status"]["completionTime"] == "2026-01-01T01:05:00Z"
    assert desk.status["training"]["last"] == {
        "revision": 2,
        "state": "Stable",
        "completionTime": "2026-01-01T01:05:00Z",
    }
    assert desk.status["training"]["due"] == "2026-01-01T02:05:00Z"

    desk.later(hours=1)
    desk.settle()
    (job,) = desk.jobs()
    env = {each["name"]: each["value"] for each in job["spec"]["template"]["spec"]["containers"][0]["env"]}
    assert (env["WORKFORCE_STABLE_REVISION"], env["WORKFORCE_STABLE_ARTIFACT"]) == ("2", ARTIFACT)
    assert (env["WORKFORCE_REVISION"], env["WORKFORCE_TRIGGER"]) == ("3", "Schedule")
    assert desk.revision(3)["spec"]["learned"]["artifact"] == ARTIFACT


def test_a_trained_image_runs_until_the_spec_asks_for_another() -> None:
    desk = begun()
    desk.end(result(image="registry.example/agent:trained"))
    desk.settle()
    assert desk.deployment()["spec"]["template"]["spec"]["containers"][0]["image"] == "registry.example/agent:trained"

    desk.spec = {**desk.spec, "workload": {"template": agents.pod_template(), "replicas": 1}}
    desk.settle()
    assert len(desk.states()) == 2, "the same image as before is no edit"

    template = agents.pod_template()
    template["spec"]["containers"][0]["image"] = "registry.example/agent:2"
    desk.spec = {**desk.spec, "workload": {"template": template, "replicas": 1}}
    desk.settle()
    assert desk.deployment()["spec"]["template"]["spec"]["containers"][0]["image"] == "registry.example/agent:2"
    assert desk.handbook()["artifact"] == ARTIFACT, "only what stands in the place of the edited field is dropped"
    assert desk.states() == {1: "Superseded", 2: "Superseded", 3: "Stable"}
    knowledge = desk.revision(2)["spec"]["work"]["knowledge"]
    learned = {"revision": 2, "time": "2026-01-01T01:00:00Z", "artifact": ARTIFACT, "knowledge": knowledge}
    assert desk.revision(3)["spec"]["learned"] == learned


def test_an_edit_while_it_trains_is_served_at_once_and_keeps_what_is_learned_afterwards() -> None:
    desk = begun()
    desk.spec = {**desk.spec, "handbook": {"instructions": {"inline": "Be brief."}}}
    desk.settle()
    assert desk.states() == {1: "Superseded", 2: "Training", 3: "Stable"}

    desk.end(result())
    desk.settle()
    assert desk.states() == {1: "Superseded", 2: "Stable", 3: "Superseded"}
    assert desk.handbook()["artifact"] == ARTIFACT
    plan = desk.plan()
    assert plan.writes == ()


@pytest.mark.parametrize(
    ("left", "failed", "text"),
    [
        ("Epoch 1/10", "", "its result is refused: the result is not JSON"),
        (result(image="registry.example/stranger:1"), "", "may be replaced only from registry.example/agent"),
        (result(accuracy="0.9"), "", 'unknown field "accuracy"'),
        ("", "", "left no termination message"),
        ("out of tickets", "BackoffLimitExceeded", "BackoffLimitExceeded"),
    ],
)
def test_what_may_not_come_into_force_changes_nothing(left: str, failed: str, text: str) -> None:
    desk = begun()
    before = desk.deployment()
    desk.end(left, failed=failed)
    plan = desk.settle()

    second = desk.revision(2)
    assert desk.states() == {1: "Stable", 2: "Rejected"}
    assert text in second["status"]["message"]
    assert second["status"].get("log", "") == ("out of tickets" if failed else "")
    assert desk.deployment() == before
    assert desk.jobs() == []
    assert plan.status["training"]["waitsFor"]["reason"] == "BackingOff"

    desk.later(minutes=10)
    desk.settle()
    assert desk.states() == {1: "Stable", 2: "Rejected", 3: "Training"}


@pytest.mark.parametrize(
    ("left", "state"),
    [(result(), "Stable"), ("Epoch 1/10", "Rejected"), ("", "Rejected")],
    ids=["learned", "garbage", "no result"],
)
def test_what_a_training_has_said_is_kept_with_its_revision(left: str, state: str) -> None:
    desk = begun()
    desk.log = "Epoch 10/10\nloss 0.3"
    desk.end(left)
    desk.settle()
    second = desk.revision(2)["status"]
    assert (second["state"], second["log"]) == (state, "Epoch 10/10\nloss 0.3")
    assert desk.plan().writes == ()


def test_what_was_learned_already_counts_as_trained() -> None:
    desk = begun()
    desk.end(result())
    desk.settle()
    desk.later(hours=1)
    desk.settle()
    desk.end(result())
    desk.later(minutes=1)
    desk.settle()

    assert desk.states() == {1: "Superseded", 2: "Stable", 3: "Superseded"}
    assert desk.status["training"]["due"] == "2026-01-01T03:01:00Z"


def test_a_rollback_goes_back_from_what_was_learned_until_the_next_training() -> None:
    desk = begun()
    desk.end(result())
    desk.settle()
    desk.facts = {"rollback": _back()}
    desk.settle()
    assert desk.states() == {1: "Stable", 2: "RolledBack"}
    assert "artifact" not in desk.handbook()

    desk.facts = {}
    desk.settle()
    assert desk.states() == {1: "Stable", 2: "RolledBack"}, "nothing but a new training or an edit changes it"
    desk.later(hours=2)
    desk.settle()
    desk.end(result(artifact="s3://models/triage/2"))
    desk.settle()
    assert desk.states() == {1: "Superseded", 2: "RolledBack", 3: "Stable"}
    assert desk.handbook()["artifact"] == "s3://models/triage/2"


def _back() -> RollbackOrder:
    return RollbackOrder("back", "uid-back", "AgentAction back by jane")


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"suspended": True}, "spec.suspended is true"),
        ({"retraining": None}, "spec.retraining says no more how to train"),
    ],
)
def test_a_training_that_may_not_go_on_is_stopped_and_is_no_failure(change: dict[str, Any], text: str) -> None:
    desk = begun()
    desk.spec = {key: value for key, value in {**desk.spec, **change}.items() if value is not None}
    desk.settle()

    assert desk.states() == {1: "Stable", 2: "Superseded"}
    assert text in desk.revision(2)["status"]["message"]
    assert desk.jobs() == []
    left = {key.name for key in desk.manifests if key.kind in (ChildKind.SERVICE_ACCOUNT, ChildKind.NETWORK_POLICY)}
    runs = {"aiagent.triage.training", "aiagent.triage.runs"}
    assert left & runs == (set() if "retraining" in change else runs)


def test_a_job_that_somebody_removes_is_a_failure_and_not_made_again() -> None:
    desk = begun()
    del desk.manifests[JOB]
    desk.settle()
    assert desk.states()[2] == "Rejected"
    assert "its Job was removed" in desk.revision(2)["status"]["message"]


def test_a_job_that_is_refused_ends_the_training() -> None:
    desk = employed()
    desk.later(hours=1)
    desk.settle(until=lambda: any(write.key == JOB for write in desk.plan().writes))
    (write,) = [write for write in desk.plan().writes if write.key == JOB]
    desk.failures = {JOB: Failure(write.digest, Reason.WORKLOAD_INVALID, "create of Job is invalid: no image")}
    desk.settle()
    assert desk.states() == {1: "Stable", 2: "Rejected"}
    assert "no image" in desk.revision(2)["status"]["message"]


def test_a_connection_that_is_not_declared_ends_the_training_and_says_where_to_declare_it() -> None:
    desk = begun(connections=["models"])
    assert desk.states() == {1: "Stable", 2: "Rejected"}
    assert 'spec.retraining.connections names "models"' in desk.revision(2)["status"]["message"]


def test_an_order_trains_before_it_is_due_once() -> None:
    desk = employed()
    desk.facts = {"retrains": (order(),)}
    desk.settle()
    second = desk.revision(2)
    assert (second["spec"]["trigger"], second["spec"]["order"]) == ("Retrain", {"name": "again", "uid": "uid-again"})

    desk.end(result())
    desk.settle()
    assert desk.states() == {1: "Superseded", 2: "Stable"}
    desk.settle()
    assert len(desk.states()) == 2


def test_an_order_trains_although_the_plan_pauses_or_backs_off_and_not_after_its_time() -> None:
    desk = employed(suspend=True)
    desk.later(hours=2)
    assert desk.settle().status["training"]["waitsFor"]["reason"] == "Paused"
    desk.facts = {"retrains": (order("late", until=timedelta(hours=2)),)}
    desk.settle()
    assert len(desk.states()) == 1
    desk.facts = {"retrains": (order(given=timedelta(hours=2)),)}
    desk.settle()
    desk.end("", failed="BackoffLimitExceeded")
    desk.settle()
    desk.facts = {"retrains": (order("once-more", given=timedelta(hours=2)),)}
    desk.settle()
    assert desk.states() == {1: "Stable", 2: "Rejected", 3: "Training"}


def test_without_a_slot_it_waits() -> None:
    desk = employed()
    desk.later(hours=1)
    desk.facts = {"admitted": False}
    desk.settle()
    assert desk.states() == {1: "Stable"}


def test_what_the_next_due_time_rests_on_is_not_history() -> None:
    desk = begun()
    desk.spec["revisionHistoryLimit"] = 0
    desk.end(result())
    desk.settle()
    for number in range(3):
        desk.later(hours=7)
        desk.settle()
        desk.end("", failed=f"Reason{number}")
        desk.settle()
    desk.spec = {**desk.spec, "handbook": {"instructions": {"inline": "Be brief."}}}
    desk.settle()

    assert desk.states() == {3: "Rejected", 4: "Rejected", 5: "Rejected", 6: "Stable"}
    assert desk.revision(6)["spec"]["learned"]["revision"] == 2, "and so it tells of the last success"
    assert desk.status["training"]["due"] == "2026-01-01T02:00:00Z"


def test_the_record_of_a_training_can_be_run_again() -> None:
    desk = begun()
    desk.end(result(image="registry.example/agent:trained"))
    desk.settle()
    template = revision.template(desk.revision(2))
    assert revision.first_image(template) == "registry.example/agent:trained"
    assert [write.key for write in desk.written if write.verb is Verb.CREATE and write.key == JOB] == [JOB]


def test_a_job_template_passes_through() -> None:
    desk = begun(jobTemplate=job_template(backoffLimit=0))
    (job,) = desk.jobs()
    assert job["spec"]["backoffLimit"] == 0


# The table of docs/training.md ----------------------------------------------------------------------------------------


def _due() -> Desk:
    desk = employed()
    desk.later(hours=1)
    for write in desk.plan().writes:
        desk.take(write)
    return desk


def _waiting() -> Desk:
    desk = begun()
    plan = desk.plan()
    assert plan.writes == ()
    assert plan.requeue_after == 30.0
    assert "has no pod" in plan.status["training"]["current"]["message"]
    return desk


def _ended(message: str = result(), *, failed: str = "") -> Desk:
    desk = begun()
    desk.end(message, failed=failed)
    desk.settle()
    return desk


def _same() -> Desk:
    desk = _ended()
    (artifact,) = [desk.revision(2)["status"]["result"]["artifact"]]
    desk.later(hours=1)
    desk.settle()
    desk.end(result(artifact=artifact))
    desk.settle()
    return desk


def _edited() -> Desk:
    desk = begun()
    desk.spec = {**desk.spec, "handbook": {"instructions": {"inline": "Be brief."}}}
    desk.settle()
    desk.end(result())
    desk.settle()
    return desk


def _removed() -> Desk:
    desk = begun()
    del desk.manifests[JOB]
    desk.settle()
    return desk


def _refused() -> Desk:
    desk = employed()
    desk.later(hours=1)
    desk.settle(until=lambda: any(write.key == JOB for write in desk.plan().writes))
    (write,) = [write for write in desk.plan().writes if write.key == JOB]
    desk.failures = {JOB: Failure(write.digest, Reason.WORKLOAD_INVALID, "create of Job is invalid: no image")}
    desk.settle()
    return desk


def _rolled_back() -> Desk:
    desk = _ended()
    desk.facts = {"rollback": _back()}
    desk.settle()
    return desk


def _changed(**change: Any) -> Desk:
    desk = begun()
    desk.spec = {key: value for key, value in {**desk.spec, **change}.items() if value is not None}
    desk.settle()
    return desk


def _offboarded() -> Desk:
    desk = begun()
    desk.leave()
    return desk


CASES: dict[str, Callable[[], Desk]] = {
    "due": _due,
    "begun": begun,
    "waiting": _waiting,
    "succeeded": _ended,
    "same": _same,
    "edited": _edited,
    "garbage": lambda: _ended("Epoch 1/10"),
    "hostile": lambda: _ended(result(image="registry.example/stranger:1")),
    "failed": lambda: _ended("", failed="BackoffLimitExceeded"),
    "removed": _removed,
    "refused": _refused,
    "rolled back": _rolled_back,
    "suspended": lambda: _changed(suspended=True),
    "retraining dropped": lambda: _changed(retraining=None),
    "offboarded": _offboarded,
}
ROWS = table(ROOT / "docs" / "training.md", "case")
COUNTS = {RunState.TRAINING: "under way", RunState.SUCCEEDED: "success", RunState.FAILED: "failure"}


def test_the_table_has_all_cases() -> None:
    assert [row[0] for row in ROWS] == list(CASES)


@pytest.mark.parametrize(("case", "_what", "state", "job", "counts"), ROWS, ids=[row[0] for row in ROWS])
def test_row(case: str, _what: str, state: str, job: str, counts: str) -> None:
    desk = CASES[case]()
    trained = [number for number in desk.states() if desk.revision(number)["spec"]["trigger"] == "Schedule"]
    newest = max(trained, default=0)
    assert desk.states().get(newest, "none") == state
    assert {"none": 0, "removed": 0, "made": 1, "kept": 1}[job] == len(desk.jobs())
    runs = learning.runs(tuple(child for child in desk.observed().children.values() if child.revision))
    newest_run = max(runs, key=lambda run: run.at, default=None)
    assert (COUNTS[newest_run.state] if newest_run else "nothing") == counts
