"""Reviews and bias audits of an agent at work: when they run, what is found, and what that holds up."""

import datetime as dt
import json
from dataclasses import replace
from typing import Any

import pytest

from aiagent_operator.core import texts
from aiagent_operator.core.children import evaluation
from aiagent_operator.core.children.evaluation import Occasion
from aiagent_operator.core.objects import ChildKind, ObjectKey
from aiagent_operator.core.plan import Verb
from aiagent_operator.core.reviews import reviewing
from aiagent_operator.core.reviews.runs import PURPOSES
from aiagent_operator.core.rollout.facts import OrderKind
from aiagent_operator.core.versions import revisions
from support import agents
from support.agents import permission
from support.decisions import HOME, IDENTITY, said
from support.documents import ROOT, table
from support.gates import BEGIN, by_job, template
from support.reviews import Room, run, supervised
from support.targetdesk import TargetDesk
from unit.test_revisions import read

HOURLY = {"name": "live", "every": "1h"}
HANDBOOK = {"instructions": {"inline": "Be brief."}}
OTHER = {"instructions": {"inline": "Be honest."}}
FOUND = table(ROOT / "docs" / "reviews.md", "runs")
REVIEW, AUDIT = PURPOSES
FIELDS = {REVIEW: "reviews", AUDIT: "biasAudits"}


def at_work(*, field: str = "reviews", evaluations: tuple[Any, ...] = (), **spec: Any) -> Room:
    """An agent at work whose entry `live` is due in an hour."""
    given = {"supervision": supervised(**{field: [HOURLY]}, evaluations=list(evaluations)), **spec}
    room = Room(permission("refund"), **given)
    assert said(room.settle(), "Ready")[0] is True
    assert room.runs() == []
    return room


def found(*, field: str = "reviews", **spec: Any) -> Room:
    """An agent of which something was found."""
    room = at_work(field=field, **spec)
    room.answer = lambda *_: "F"
    room.later(3600)
    room.settle()
    room.answer = lambda name, _: "S" if name != "live" else ""
    return room


def reviewed(room: Room) -> tuple[bool | None, str, str]:
    return said(room.settle(), "ReviewsPassed")


# When they run --------------------------------------------------------------------------------------------------------


def test_what_serves_is_reviewed_when_it_is_due_and_not_before() -> None:
    room = at_work()
    plan = room.settle()
    assert said(plan, "ReviewsPassed")[:2] == (None, "NotReviewed")
    assert plan.requeue_after == 3600
    room.later(3599)
    assert room.settle().requeue_after == 1
    assert room.runs() == []
    room.later(1)
    plan = room.settle()
    assert room.runs() == ["triage-1-live.20260301-130000 Successful"]
    assert plan.requeue_after == 3600
    status, reason, text = said(plan, "ReviewsPassed")
    assert (status, reason) == (True, "Reviewed")
    assert text == 'Passed: review "live" of revision 1 at 2026-03-01T13:00:00Z'
    assert said(plan, "Ready")[0] is True


def test_the_record_says_what_it_is_and_for_which_time() -> None:
    room = at_work(field="biasAudits")
    room.later(3600)
    room.settle()
    record = room.of(ChildKind.AGENT_EVALUATION)["triage-1-live.20260301-130000"]
    its = record["spec"]
    assert (its["purpose"], its["revision"], its["scheduledTime"]) == ("BiasAudit", 1, "2026-03-01T13:00:00Z")
    assert "stableRevision" not in its


def test_the_status_has_each_entry_with_its_next_time_and_its_last_run() -> None:
    room = at_work(field="biasAudits")
    room.later(3600)
    room.settle()
    (entry,) = room.status["reviews"]
    assert entry == {
        "name": "live",
        "purpose": "BiasAudit",
        "nextScheduleTime": "2026-03-01T14:00:00Z",
        "lastScheduleTime": "2026-03-01T13:00:00Z",
        "last": {
            "evaluation": "triage-1-live.20260301-130000",
            "revision": 1,
            "phase": "Successful",
            "completionTime": "2026-03-01T13:00:00Z",
        },
    }


def test_times_that_were_missed_run_once() -> None:
    room = at_work()
    room.later(10 * 3600 + 60)
    room.settle()
    assert room.runs() == ["triage-1-live.20260301-220000 Successful"]


def test_one_runs_at_a_time_and_what_came_meanwhile_is_made_up_for() -> None:
    room = at_work()
    room.answer = lambda *_: ""
    room.later(3600)
    room.settle()
    room.later(3 * 3600)
    room.settle()
    assert room.runs() == ["triage-1-live.20260301-130000 Pending"]
    assert room.status["reviews"][0]["active"] == "triage-1-live.20260301-130000"
    room.answer = lambda *_: "S"
    room.settle()
    assert room.runs() == ["triage-1-live.20260301-130000 Successful", "triage-1-live.20260301-160000 Successful"]


def test_a_run_that_is_removed_by_hand_is_made_up_for_once() -> None:
    room = at_work()
    room.later(5 * 3600)
    room.settle()
    (key,) = (key for key in room.bodies if key.kind is ChildKind.AGENT_EVALUATION)
    del room.bodies[key]
    room.settle()
    assert room.runs() == ["triage-1-live.20260301-170000 Successful"]
    assert room.decide().writes == ()


def test_nothing_begins_while_the_agent_is_suspended_and_what_was_missed_runs_once_after() -> None:
    room = at_work()
    room.spec["suspended"] = True
    room.later(5 * 3600)
    plan = room.settle()
    assert room.runs() == []
    assert "nextScheduleTime" not in room.status["reviews"][0]
    assert plan.requeue_after is None
    room.spec["suspended"] = False
    room.settle()
    assert room.runs() == ["triage-1-live.20260301-170000 Successful"]


def test_nothing_is_asked_while_the_agent_is_suspended() -> None:
    room = at_work()
    room.answer = lambda *_: ""
    room.later(3600)
    assert room.settle().measure
    room.spec["suspended"] = True
    assert room.settle().measure == ()
    room.spec["suspended"] = False
    assert room.settle().measure


def test_nothing_begins_before_anything_serves() -> None:
    room = Room(supervision=supervised(reviews=[HOURLY]))
    room.ready = False
    room.later(7200)
    plan = room.settle()
    assert room.runs() == []
    assert said(plan, "ReviewsPassed") == (None, "NotReviewed", 'Review "live" waits until a revision serves')


def test_nothing_begins_without_an_accepted_role() -> None:
    room = at_work()
    room.facts["missing_role"] = True
    room.later(7200)
    room.settle()
    assert room.runs() == []


def test_a_run_of_what_serves_no_more_is_made_anew_for_what_does() -> None:
    room = at_work()
    room.answer = lambda *_: ""
    room.later(3600)
    room.settle()
    room.spec["handbook"] = HANDBOOK
    room.settle()
    assert room.states()["triage-2"] == "Stable"
    assert room.runs() == ["triage-2-live.20260301-130000 Pending"]


def test_a_new_entry_on_an_agent_that_is_older_runs_soon() -> None:
    room = Room()
    room.settle()
    room.later(7 * 3600)
    room.spec["supervision"] = supervised(reviews=[{"name": "live", "schedule": "0 6 * * *"}, HOURLY | {"name": "b"}])
    room.settle()
    # None was planned in the morning since the agent is there.
    assert room.runs() == ["triage-1-b.20260301-190000 Successful"]


def test_what_cannot_be_planned_is_said_and_the_others_run() -> None:
    room = Room(supervision=supervised(reviews=[HOURLY, {"name": "b", "schedule": "0 0 30 2 *"}]))
    room.settle()
    room.later(3600)
    plan = room.settle()
    assert room.runs() == ["triage-1-live.20260301-130000 Successful"]
    status, reason, text = said(plan, "ReviewsPassed")
    assert (status, reason) == (None, "ReviewInvalid")
    assert "pec.supervision.reviews[b].schedule" in text


@pytest.mark.parametrize(
    ("metric", "words"),
    [
        ({"min": None, "query": "up{r={{revision}}}", "maxIncrease": "1"}, "is only compared with the stable revision"),
        ({"query": "up{r={{stableRevision}}}"}, "asks for {{stableRevision}}"),
        ({"interval": "1m"}, "has no end"),
    ],
)
def test_what_says_nothing_of_what_serves_alone_is_refused(metric: dict[str, Any], words: str) -> None:
    fields = {key: value for key, value in template("live", **metric)["metrics"][0].items() if value is not None}
    room = at_work(evaluations=({**template("live"), "metrics": [fields]},))
    room.later(3600)
    status, reason, text = reviewed(room)
    assert (status, reason) == (None, "ReviewInvalid")
    assert words in text
    assert room.runs() == []


def test_what_is_compared_before_it_serves_is_judged_by_itself_afterwards() -> None:
    gate = template("live", query="up{r={{revision}}}", maxDecrease="0.1")
    supervision = {"reviews": [HOURLY]}
    room = Room(retraining={"evaluations": [gate]}, supervision=supervision)
    room.settle()
    room.later(3600)
    room.settle()
    record = room.of(ChildKind.AGENT_EVALUATION)["triage-1-live.20260301-130000"]
    assert record["spec"]["template"]["metrics"] == [{"name": "m", "query": "up{r={{revision}}}", "min": "1"}]


def test_history_is_kept_as_the_entry_says() -> None:
    entry = HOURLY | {"successfulRunHistoryLimit": 2, "unsuccessfulRunHistoryLimit": 1}
    room = Room(supervision=supervised(reviews=[entry]))
    room.settle()
    for letter in "SSSEES":
        room.answer = lambda *_, letter=letter: letter
        if letter == "E":
            # A Prometheus that does not answer is asked for some time.
            room.answer = lambda *_: "E"
        room.later(3600)
        for _ in range(6):
            room.settle()
            room.later(10)
    assert [name.split()[1] for name in room.runs()] == ["Successful", "Error", "Successful"]


# Jobs -----------------------------------------------------------------------------------------------------------------

RATES = {"groups": [{"name": "north", "accuracy": "0.91"}, {"name": "south", "accuracy": "0.71"}]}


def audited(message: dict[str, Any]) -> Room:
    """An agent whose audit by a Job has left this."""
    room = at_work(field="biasAudits", evaluations=(by_job("live", min=None, max="0.2"),))
    room.later(3600)
    room.settle()
    (job,) = room.of(ChildKind.JOB)
    room.finish(job, json.dumps(message))
    room.settle()
    return room


def test_an_audit_is_a_job_under_the_account_without_rights_and_goes_when_it_is_read() -> None:
    room = at_work(field="biasAudits", evaluations=(by_job("live"),))
    assert "aiagent.triage.candidate" in room.of(ChildKind.SERVICE_ACCOUNT)
    room.later(3600)
    room.settle()
    ((name, job),) = room.of(ChildKind.JOB).items()
    assert name.startswith("triage-1-eval-live-")
    pod = job["spec"]["template"]["spec"]
    assert pod["serviceAccountName"] == "aiagent.triage.candidate"
    env = {entry["name"]: entry.get("value") for entry in pod["containers"][0]["env"]}
    assert (env["WORKFORCE_REVISION"], env["WORKFORCE_IMAGE"]) == ("1", "registry.example/agent:1")
    assert env["WORKFORCE_STABLE_REVISION"] == env["WORKFORCE_STABLE_ARTIFACT"] == ""
    room.finish(name, json.dumps({"measurements": [{"name": "m", "value": "1.5"}], **RATES}))
    room.settle()
    assert room.runs() == ["triage-1-live.20260301-130000 Successful"]
    assert room.of(ChildKind.JOB) == {}
    assert [group["name"] for group in _record(room)["status"]["groups"]] == ["north", "south"]
    assert room.decide().writes == ()


def _record(room: Room, name: str = "triage-1-live.20260301-130000") -> dict[str, Any]:
    return room.of(ChildKind.AGENT_EVALUATION)[name]


def test_what_an_audit_finds_is_said_with_the_extremes_among_the_groups() -> None:
    room = audited({"measurements": [{"name": "m", "value": "0.31"}], **RATES})
    status, reason, text = reviewed(room)
    assert (status, reason) == (False, "Finding")
    for part in (
        'Bias audit "live" of revision 1, which serves, is Failed: m: 0.31 is above max 0.2',
        "accuracy from 0.71 (south) to 0.91 (north)",
        "kubectl aiagent promote NAME",
    ):
        assert part in text
    finding = room.status["reviews"][0]["finding"]
    assert finding["message"] == "m: 0.31 is above max 0.2 (accuracy from 0.71 (south) to 0.91 (north))"


@pytest.mark.parametrize("groups", [{}, {"groups": RATES["groups"][:1]}])
def test_an_audit_without_groups_is_an_error_and_no_finding(groups: dict[str, Any]) -> None:
    room = audited({"measurements": [{"name": "m", "value": "0.1"}], **groups})
    status, reason, text = reviewed(room)
    assert (status, reason) == (None, "ReviewUnclear")
    assert "write what was measured of two or more into groups" in text


def test_a_job_that_was_removed_is_no_finding_and_is_not_made_again() -> None:
    room = at_work(evaluations=(by_job("live"),))
    room.later(3600)
    room.settle()
    (job,) = room.of(ChildKind.JOB)
    del room.bodies[ObjectKey(ChildKind.JOB, HOME, job)]
    assert reviewed(room)[:2] == (None, "ReviewUnclear")
    assert room.of(ChildKind.JOB) == {}


def test_a_job_whose_revision_serves_no_more_goes_with_its_record() -> None:
    room = at_work(evaluations=(by_job("live"),))
    room.later(3600)
    room.settle()
    room.spec["handbook"] = HANDBOOK
    room.settle()
    assert room.runs() == ["triage-2-live.20260301-130000 Pending"]
    (job,) = room.of(ChildKind.JOB)
    assert job.startswith("triage-2-eval-live-")


def test_what_jobs_need_stays_for_as_long_as_an_entry_names_one() -> None:
    room = at_work(evaluations=(by_job("live"),))
    needed = "aiagent.triage.candidate", "aiagent.triage.runs"
    for _ in range(3):
        assert room.decide().writes == ()
    room.spec["supervision"] = supervised(reviews=[{"name": "b", "every": "1h"}], evaluations=[by_job("live")])
    room.settle()
    names = {*room.of(ChildKind.SERVICE_ACCOUNT), *room.of(ChildKind.NETWORK_POLICY)}
    assert not names & set(needed)


def test_a_run_goes_on_to_its_end_when_its_entry_is_taken_out_and_what_it_finds_counts() -> None:
    room = at_work(evaluations=(by_job("live"),))
    room.later(3600)
    room.settle()
    (job,) = room.of(ChildKind.JOB)
    del room.spec["supervision"]
    room.settle()
    room.finish(job, json.dumps({"measurements": [{"name": "m", "value": "0.5"}]}))
    assert reviewed(room)[:2] == (False, "Finding")
    assert room.of(ChildKind.JOB) == {}


def test_a_run_that_has_not_begun_goes_with_its_entry() -> None:
    room = at_work(evaluations=(by_job("live"),))
    room.later(3600)
    while not room.runs():
        for write in room.decide().writes:
            room.write(write)
    del room.spec["supervision"]
    room.settle()
    assert room.runs() == []
    assert room.of(ChildKind.JOB) == {}


# What is found --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("runs", "review", "audit"), FOUND)
def test_row(runs: str, review: str, audit: str) -> None:
    for purpose, reason in ((REVIEW, review), (AUDIT, audit)):
        field = FIELDS[purpose]
        room = Room(supervision=supervised(**{field: [{"name": "live", "every": "1000h"}]}))
        room.settle()
        known = [run(letter, n, purpose=purpose) for n, letter in enumerate(runs.split())]
        o = room.look({}, {})
        o = replace(o, children={**o.children, **{child.key: child for child in known}})
        seen = reviewing.look(o, accepted=True)
        verdict = seen.joined(room.decide(), o.now).verdicts[-1]
        assert verdict.reason.value == reason, (purpose, runs)
        assert bool(seen.holds) == (reason == "Finding")


def test_every_reason_has_a_row() -> None:
    assert {cell for row in FOUND for cell in row[1:]} == {
        "NotReviewed", "Reviewed", "Finding", "FindingReleased", "ReviewUnclear"
    }  # fmt: skip


def test_a_later_success_ends_a_finding() -> None:
    room = found()
    assert reviewed(room)[:2] == (False, "Finding")
    room.answer = lambda *_: "S"
    room.later(3600)
    assert reviewed(room)[:2] == (True, "Reviewed")
    assert "finding" not in room.status["reviews"][0]


def test_taking_the_entry_out_ends_no_finding() -> None:
    room = found()
    del room.spec["supervision"]
    assert reviewed(room)[:2] == (False, "Finding")
    room.spec["handbook"] = HANDBOOK
    room.settle()
    assert room.states() == {"triage-1": "Stable", "triage-2": "Candidate"}


def test_findings_of_former_entries_are_bounded_and_still_hold() -> None:
    room = at_work()
    room.answer = lambda *_: "F"
    for number in range(12):
        room.spec["supervision"] = supervised(reviews=[{"name": f"r{number}", "every": "1h"}])
        room.later(3600)
        room.settle()
    del room.spec["supervision"]
    assert reviewed(room)[:2] == (False, "Finding")
    assert len(room.runs()) == 8
    assert len(room.status["reviews"]) == 8


# What a finding holds up ----------------------------------------------------------------------------------------------


def test_what_has_none_to_pass_waits_as_a_candidate_and_what_serves_goes_on() -> None:
    room = found()
    room.spec["handbook"] = HANDBOOK
    plan = room.settle()
    assert room.states() == {"triage-1": "Stable", "triage-2": "Candidate"}
    assert set(room.of(ChildKind.DEPLOYMENT)) == {"triage-1"}
    status, reason, text = said(plan, "RevisionAccepted")
    assert (status, reason) == (None, "HeldByFinding")
    for part in ("Revision 2 waits, and revision 1 serves", 'review "live"', "0.5 is below min 1", "verb promote"):
        assert part in text
    assert said(plan, "Ready")[:2] == (False, "HeldByFinding")
    assert plan.status["revision"] == {"latest": 2, "stable": 1, "candidate": 2}
    assert plan.status["permissions"][0]["state"] == "Granted"
    assert room.of(ChildKind.ROLE_BINDING)


def test_what_is_evaluated_goes_on_and_waits_then() -> None:
    room = found(retraining={"evaluations": [template("gate")]})
    room.answer = lambda *_: ""
    room.spec["handbook"] = HANDBOOK
    assert said(room.settle(), "RevisionAccepted")[1] == "Evaluating"
    room.answer = lambda name, _: "S" if name == "gate" else ""
    assert said(room.settle(), "RevisionAccepted")[1] == "HeldByFinding"
    assert room.phases()["triage-2-gate"] == "Successful"
    assert room.states()["triage-2"] == "Candidate"


def test_what_served_before_waits_too_when_the_spec_asks_for_it_again() -> None:
    room = at_work()
    first = room.spec.get("handbook")
    room.spec["handbook"] = HANDBOOK
    room.settle()
    assert room.states() == {"triage-1": "Superseded", "triage-2": "Stable"}
    room.answer = lambda *_: "F"
    room.later(3600)
    room.settle()
    if first is None:
        del room.spec["handbook"]
    else:
        room.spec["handbook"] = first
    room.settle()
    assert room.states() == {"triage-1": "Candidate", "triage-2": "Stable"}
    room.promote()
    room.settle()
    assert room.states() == {"triage-1": "Stable", "triage-2": "Superseded"}


def test_an_order_to_promote_lets_it_go_on_and_stands_on_the_record() -> None:
    room = found()
    room.spec["handbook"] = HANDBOOK
    room.settle()
    room.later(1)
    room.promote()
    plan = room.decide()
    assert [(write.verb, write.key.kind) for write in plan.writes] == [(Verb.REPORT, ChildKind.AGENT_EVALUATION)]
    assert room.carried() is None
    room.settle()
    assert _record(room)["status"]["released"] == {
        "uid": "p1", "by": "AgentAction p1 by jane (read)", "time": "2026-03-01T13:00:01Z"
    }  # fmt: skip
    assert room.carried() == (
        True,
        "other revisions may take over in spite of what was found by triage-1-live.20260301-130000",
    )
    assert room.states() == {"triage-1": "Superseded", "triage-2": "Stable"}


def test_a_release_holds_after_a_restart_and_for_later_work_until_the_next_run() -> None:
    room = found()
    room.later(1)
    room.promote()
    assert reviewed(room)[:2] == (False, "FindingReleased")
    assert "released by AgentAction p1 by jane (read)" in reviewed(room)[2]
    room.orders.clear()
    room.status.clear()
    assert reviewed(room)[:2] == (False, "FindingReleased")
    assert room.status["reviews"][0]["finding"]["releasedBy"] == "AgentAction p1 by jane (read)"
    room.answer = lambda *_: "F"
    room.later(3600)
    assert reviewed(room)[:2] == (False, "Finding")
    room.spec["handbook"] = HANDBOOK
    room.settle()
    assert room.states()["triage-2"] == "Candidate"


def test_an_order_lets_nothing_pass_that_was_found_after_it() -> None:
    room = at_work()
    room.promote()
    room.settle()
    assert room.carried() is not None
    assert room.carried()[0] is False  # type: ignore[index]
    room.answer = lambda *_: "F"
    room.later(3600)
    assert reviewed(room)[:2] == (False, "Finding")


def test_several_orders_are_one() -> None:
    room = found()
    room.spec["handbook"] = HANDBOOK
    room.settle()
    room.later(1)
    room.promote("p1")
    room.promote("p2", OrderKind.PROMOTE_FULL)
    room.settle()
    assert _record(room)["status"]["released"]["uid"] == "p1"
    assert [room.carried(uid) is not None and room.carried(uid)[0] for uid in ("p1", "p2")] == [True, True]  # type: ignore[index]


def test_a_crash_between_two_releases_is_healed_before_the_order_is_carried_out() -> None:
    room = Room(supervision=supervised(reviews=[HOURLY, HOURLY | {"name": "b"}]))
    room.settle()
    room.answer = lambda *_: "F"
    room.later(3600)
    room.settle()
    room.later(1)
    room.promote()
    first, second = room.decide().writes
    room.write(first)
    plan = room.decide()
    assert [write.key for write in plan.writes] == [second.key]
    assert not (plan.status.get("rollout") or {}).get("orders")
    assert reviewed(room)[:2] == (False, "FindingReleased")
    assert room.carried() is not None


def test_an_abort_is_not_about_findings() -> None:
    room = found()
    room.promote("a1", OrderKind.ABORT)
    assert reviewed(room)[:2] == (False, "Finding")
    assert room.carried("a1") is not None
    assert room.carried("a1")[0] is False  # type: ignore[index]


def test_a_rollback_is_a_persons_word_and_is_not_held() -> None:
    room = found()
    room.spec["handbook"] = HANDBOOK
    room.settle()
    room.facts["rollback"] = revisions.RollbackOrder("back", "uid-back", "AgentAction back by jane", 2)
    room.settle()
    assert room.states() == {"triage-1": "RolledBack", "triage-2": "Stable"}


def test_what_takes_over_pod_by_pod_goes_on_to_its_end() -> None:
    room = at_work()
    room.ready = False
    room.spec["handbook"] = HANDBOOK
    room.settle()
    assert room.states()["triage-2"] == "RollingOut"
    room.answer = lambda *_: "F"
    room.later(3600)
    assert reviewed(room)[:2] == (False, "Finding")
    assert room.states()["triage-2"] == "RollingOut"


def test_the_work_of_an_adopted_workload_is_not_held_and_that_is_said() -> None:
    known = [run("F", 1)]
    o = Room(supervision=supervised(reviews=[HOURLY])).look({}, {})
    target = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "triage"}
    workload = type(o.agent.spec.workload).model_validate({"targetRef": target})
    spec = o.agent.spec.model_copy(update={"workload": workload})
    agent = o.agent.model_copy(update={"spec": spec})
    children = {child.key: child for child in (*known, *read("1:A Stable#1"))}
    seen = reviewing.look(replace(o, agent=agent, children=children), accepted=True)
    assert seen.holds == ""
    verdict = seen.joined(Room().decide(), o.now).verdicts[-1]
    assert "live all the same" in verdict.message


class Adopted(TargetDesk, Room):
    """An agent of which the image in a target is the work."""


def adopted(**spec: Any) -> Adopted:
    """An agent with a target, the image of which is asked to be another one, while something is found of the first."""
    place = Adopted(permission("refund"), supervision=supervised(reviews=[HOURLY]), **spec)
    assert said(place.settle(), "Ready")[0] is True
    place.owner_lets_go()
    return place


def test_the_image_of_a_target_is_held_where_it_is_the_agents_work() -> None:
    place = adopted()
    place.answer = lambda *_: "F"
    place.later(3600)
    place.settle()
    place.want("registry.example/agent:2")
    plan = place.settle()
    assert said(plan, "RevisionAccepted")[:2] == (None, "HeldByFinding")
    assert "No other revision takes over" in said(plan, "ReviewsPassed")[2]
    assert (place.images["app"], place.states()) == (agents.IMAGE, {"triage-1": "Stable", "triage-2": "Candidate"})
    place.promote()
    place.settle()
    assert (place.images["app"], place.states()["triage-2"]) == ("registry.example/agent:2", "Stable")


def test_a_canary_beside_a_target_stands_after_its_step_until_a_person_lets_it_go_on() -> None:
    steps = [{"weight": 20}, {"pause": {"duration": "10m"}}, {"weight": 50}]
    place = adopted(retraining={"rollout": {"strategy": "Canary", "steps": steps}})
    place.later(3590)
    place.want("registry.example/agent:2")
    place.settle()
    place.answer = lambda *_: "F"
    place.later(10)
    place.settle()
    place.answer = lambda *_: ""
    place.later(900)
    plan = place.settle()
    assert said(plan, "WorkloadReady")[1] == "RolloutPaused"
    assert "stands after step 1" in said(plan, "WorkloadReady")[2]
    assert (place.images["app"], place.states()["triage-2"]) == (agents.IMAGE, "RollingOut")
    place.promote()
    place.settle()
    assert (place.images["app"], place.states()["triage-2"]) == ("registry.example/agent:2", "Stable")


# By steps -------------------------------------------------------------------------------------------------------------

STEPS = {"rollout": {"strategy": "Canary", "steps": [{"weight": 20}, {"pause": {"duration": "10m"}}, {"weight": 60}]}}


def canary() -> Room:
    """An agent whose revision 2 pauses at 20 percent when something is found of revision 1."""
    workload = {"replicas": 5, "template": {"spec": {"containers": [{"name": "app", "image": "registry.example/a:1"}]}}}
    room = at_work(retraining=STEPS, workload=workload)
    room.later(3590)
    room.spec["handbook"] = HANDBOOK
    room.settle()
    assert _pods(room) == {"triage-1": 4, "triage-2": 1}
    room.answer = lambda *_: "F"
    room.later(10)
    room.settle()
    return room


def _pods(room: Room) -> dict[str, int]:
    return {name: body["spec"]["replicas"] for name, body in room.of(ChildKind.DEPLOYMENT).items()}


def test_a_rollout_stands_after_its_step_until_a_person_lets_it_go_on() -> None:
    room = canary()
    room.answer = lambda *_: ""
    room.later(900)
    plan = room.settle()
    assert _pods(room) == {"triage-1": 4, "triage-2": 1}
    status, reason, text = said(plan, "WorkloadReady")
    assert (status, reason) == (False, "RolloutPaused")
    assert text.startswith('triage-2 stands after step 1: review "live" of revision 1')
    assert plan.status["rollout"]["waitsFor"] == "Person"
    room.promote()
    room.settle()
    assert room.states() == {"triage-1": "Superseded", "triage-2": "Stable"}


def test_a_release_ends_no_pause_of_the_rollouts_own() -> None:
    room = canary()
    room.answer = lambda *_: ""
    room.later(1)
    room.promote()
    plan = room.settle()
    assert said(plan, "WorkloadReady")[1] == "RolloutPaused"
    assert "pauses until" in said(plan, "WorkloadReady")[2]
    assert _pods(room) == {"triage-1": 4, "triage-2": 1}


def test_a_rollout_that_stands_can_be_ended() -> None:
    room = canary()
    room.answer = lambda *_: ""
    room.promote("a1", OrderKind.ABORT)
    room.settle()
    assert room.states() == {"triage-1": "Stable", "triage-2": "Rejected"}


def test_the_last_step_is_ended() -> None:
    room = at_work(retraining={"rollout": {"strategy": "Canary"}})
    room.later(3590)
    room.ready = False
    room.spec["handbook"] = HANDBOOK
    room.settle()
    room.answer = lambda *_: "F"
    room.later(10)
    assert reviewed(room)[:2] == (False, "Finding")
    assert room.states() == {"triage-1": "Stable", "triage-2": "RollingOut"}
    room.become_ready()
    room.settle()
    assert room.states() == {"triage-1": "Superseded", "triage-2": "Stable"}


# Crashes --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("most", range(1, 12))
def test_a_crash_at_any_write_leads_to_the_same(most: int) -> None:
    room = at_work(field="biasAudits", evaluations=(by_job("live", min=None, max="0.2"),))
    room.later(3600)
    sent = 0
    while sent < most and (plan := room.decide()).writes:
        # Only the first write of each round arrives; then another process looks anew.
        room.write(plan.writes[0])
        sent += 1
        for job in room.of(ChildKind.JOB):
            room.finish(job, json.dumps({"measurements": [{"name": "m", "value": "0.31"}], **RATES}))
    room.settle()
    for job in list(room.of(ChildKind.JOB)):
        room.finish(job, json.dumps({"measurements": [{"name": "m", "value": "0.31"}], **RATES}))
    assert reviewed(room)[:2] == (False, "Finding")
    assert room.runs() == ["triage-1-live.20260301-130000 Failed"]
    assert room.of(ChildKind.JOB) == {}


def test_names_of_runs_are_told_apart() -> None:
    at = BEGIN + dt.timedelta(hours=1)
    names = {
        evaluation.name_of(IDENTITY, number, name, Occasion(purpose, f"{at:%Y%m%d-%H%M%S}", scheduled=texts.moment(at)))
        for number in (1, 2)
        for name, purpose in (("a", REVIEW), ("b", AUDIT))
    }
    assert len(names) == 4
