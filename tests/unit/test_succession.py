"""Who takes over from whom: when an agent may be hired that comes after another, and when the other one may go."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
import pytest

from aiagent_operator.cli import describe
from aiagent_operator.core import offboarding, onboarding, succession
from aiagent_operator.core.archive.steps import STEPS, Step
from aiagent_operator.core.journal import happened
from aiagent_operator.core.journal.happened import Turn
from aiagent_operator.core.plan import Finalizer, Observed, Plan, Room
from aiagent_operator.core.policies.compiled import CompiledPolicy, Subject
from aiagent_operator.core.policies.merged import merge
from aiagent_operator.core.rights.grants import NamespaceFacts
from aiagent_operator.core.succession import Family, Kin
from aiagent_operator.runtime import kinship
from aiagent_operator.runtime.store import AgentKey, Key, Store
from support import agents
from support.agents import permission
from support.decisions import HOME, IDENTITY, UID, after, observed, said

DIGEST = f"sha256:{'a' * 64}"
OLD = Kin("old", "u-old", successor="triage", archive="home.old.1", digest=DIGEST, leaves=True, ready="WaitingFor")
TAKEN = {"predecessor": {"name": "triage", "uid": UID}, "digest": DIGEST}
HEIR = Kin("new", "u-new", predecessor="triage", hired=True, received=TAKEN)
COMES_AFTER = {"succession": {"predecessorRef": {"name": "old"}}}


def heir(before: Kin | None = OLD, *, circle: tuple[str, ...] = (), **facts: Any) -> Observed:
    given: dict[str, Any] = {"journal": Room(free=True), "family": Family(before, None, circle), **facts}
    return observed(permission("refund"), spec=COMES_AFTER, **given)


def writes(plan: Plan) -> set[str]:
    return {write.key.kind.value for write in plan.writes}


@pytest.mark.parametrize(
    ("before", "reason", "text"),
    [
        (None, "WaitingForHandover", "AIAgent old, which does not exist: apply it, or take spec.succession out"),
        (replace(OLD, archive="", leaves=False), "WaitingForHandover", "has not left: order Offboard"),
        (replace(OLD, archive="", ready="Offboarding"), "WaitingForHandover", "which is leaving (Offboarding)"),
        (replace(OLD, successor=""), "SuccessionInvalid", "sets its spec.retirement.successorRef.name to triage"),
        (replace(OLD, successor="other"), "SuccessionInvalid", "AIAgent old does not name it"),
        (OLD, "WaitingForHandover", "Takes over from AIAgent old, which is archived as AgentArchive home.old.1"),
    ],
)
def test_it_is_not_hired_before_it_has_taken_over(before: Kin | None, reason: str, text: str) -> None:
    plan = onboarding.decide(heir(before))
    assert not plan.writes
    for kind in ("Ready", "PermissionsGranted", "WorkloadReady", "RevisionAccepted"):
        assert said(plan, kind)[:2] == (False, reason)
    assert text in said(plan, "Ready")[2]
    assert said(plan, "RoleAccepted")[0] is True
    assert [entry["state"] for entry in plan.status["permissions"]] == ["Pending"]
    assert ("succession" in plan.status) is (before is OLD)


def test_what_it_has_taken_over_is_said_before_it_gets_anything_and_it_is_hired_then() -> None:
    plan = onboarding.decide(heir())
    taken = plan.status["succession"]
    assert taken["predecessor"] == {"name": "old", "uid": "u-old"}
    assert (taken["archive"], taken["digest"]) == ("home.old.1", DIGEST)
    assert plan.requeue_after is not None
    # The predecessor is gone by then, or another agent has its name.
    for family in (None, replace(OLD, uid="u-other", successor="", archive="")):
        plan = onboarding.decide(heir(family, status={"succession": taken}))
        assert {"ServiceAccount", "Role"} <= writes(plan)
        assert "succession" not in plan.status


def test_one_that_names_another_predecessor_takes_over_anew() -> None:
    known = {"predecessor": {"name": "older", "uid": "u"}, "archive": "x", "digest": DIGEST, "time": "t"}
    plan = onboarding.decide(heir(status={"succession": known}))
    assert plan.status["succession"]["predecessor"]["name"] == "old"


def test_who_is_hired_already_goes_on_and_takes_over_beside_its_work() -> None:
    waits = replace(OLD, archive="", leaves=False)
    plan = onboarding.decide(heir(waits, status={"hiredAs": "support"}))
    assert {"ServiceAccount", "Role"} <= writes(plan)
    assert "succession" not in plan.status
    plan = onboarding.decide(heir(status={"hiredAs": "support"}))
    assert plan.writes
    assert plan.status["succession"]["archive"] == "home.old.1"


def test_one_whose_bindings_are_there_before_its_status_says_so_keeps_them() -> None:
    free = observed(permission("refund"))
    first = after({}, onboarding.decide(free))
    both = after(first, onboarding.decide(replace(free, children=first)))
    assert any(key.kind.value == "RoleBinding" for key in both)
    plan = onboarding.decide(replace(heir(replace(OLD, archive="")), children=both))
    assert not [write for write in plan.writes if write.body is None]


def test_without_a_store_and_in_a_circle_it_says_what_to_correct() -> None:
    assert "archive.enabled" in said(onboarding.decide(heir(journal=None)), "Ready")[2]
    reason, text = said(onboarding.decide(heir(replace(OLD, archive=""), circle=("triage", "old"))), "Ready")[1:]
    assert (reason, "triage comes after old comes after triage" in text) == ("SuccessionInvalid", True)


def test_a_role_that_is_not_accepted_is_said_first_and_who_is_suspended_says_so() -> None:
    assert said(onboarding.decide(heir(missing_role=True)), "Ready")[1] == "RoleNotFound"
    o = heir(replace(OLD, archive=""))
    o = replace(o, agent=o.agent.model_copy(update={"spec": o.agent.spec.model_copy(update={"suspended": True})}))
    assert said(onboarding.decide(o), "Ready")[1] == "Suspended"


LEFT = {"archive": {"name": "home.triage.1", "completed": "now", "captured": ["Logs"]}, "journal": {"closed": True}}


def leaves(its: Kin | None, *, status: Mapping[str, Any] | None = None, recorded: bool = True, **facts: Any) -> Plan:
    spec = {"retirement": {"successorRef": {"name": "new"}}}
    family = Family(None, its, recorded=recorded)
    given: dict[str, Any] = {"journal": Room(free=True), "family": family, "deleting": True, **facts}
    o = observed(permission("refund"), spec=spec, status=status or LEFT, **given)
    return offboarding.decide(replace(o, live=dict.fromkeys(offboarding.decide(o).needs)))


@pytest.mark.parametrize(
    ("its", "text"),
    [
        (None, "AIAgent new is to take over, and does not exist: apply it, or take spec.retirement.successorRef out"),
        (replace(HEIR, predecessor=""), "set its spec.succession.predecessorRef.name to triage"),
        (replace(HEIR, predecessor="other"), "does not ask for it"),
        (replace(HEIR, leaves=True), "leaves itself: name another one"),
        (replace(HEIR, received={}, ready="Evaluating"), "waiting for AIAgent new to take over (Evaluating)"),
        (replace(HEIR, received={"predecessor": {"name": "triage", "uid": "u-before"}}), "to take over"),
        (replace(HEIR, hired=False), "has taken over, and is not hired yet"),
    ],
)
def test_its_object_stays_until_its_successor_has_taken_over(its: Kin | None, text: str) -> None:
    plan = leaves(its)
    assert plan.finalizer is Finalizer.KEEP
    assert said(plan, "Ready")[:2] == (False, "WaitingForSuccessor")
    assert text in said(plan, "Ready")[2]
    assert [step["name"] for step in plan.status["offboarding"]["steps"]][-1] == "Archive"


def test_then_it_goes_and_in_a_namespace_that_is_deleted_nothing_is_waited_for() -> None:
    assert leaves(HEIR).finalizer is Finalizer.REMOVE
    going = {HOME: NamespaceFacts({}, terminating=True)}
    assert leaves(None, namespaces=going).finalizer is Finalizer.REMOVE
    assert "No" not in str(leaves(None, journal=None).verdicts)


def test_the_one_that_stays_as_an_object_says_what_was_handed_over_to_whom() -> None:
    known = {"offboarding": {"mode": "Emergency", "reason": "Business", "steps": []}}
    plan = leaves(HEIR, deleting=False, status={**LEFT, **known})
    assert plan.status["phase"] == "Retired"
    offboarded = plan.status["offboarding"]
    assert offboarded["handover"] == {"successor": {"name": "new", "uid": "u-new"}, "digest": DIGEST}
    (step,) = (step for step in offboarded["steps"] if step["name"] == "Handover")
    assert step["message"] == f"AIAgent new has taken over, up to {DIGEST}"
    assert [step["name"] for step in offboarded["steps"]][-2:] == [Step.ARCHIVE, Step.HANDOVER]
    # Whatever becomes of the successor later.
    kept = leaves(None, deleting=False, status={**LEFT, "offboarding": {**offboarded, "completionTime": "now"}})
    assert kept.status["offboarding"]["handover"] == offboarded["handover"]


def test_a_handover_that_is_on_record_is_not_waited_for_again_whatever_becomes_of_the_successor() -> None:
    known = {"offboarding": {"mode": "Emergency", "reason": "Business", "steps": [], "completionTime": "now"}}
    for its in (None, replace(HEIR, leaves=True), replace(HEIR, predecessor="other", received={})):
        # Retired by order, and deleted by its author when its successor has itself left.
        assert leaves(its, status={**LEFT, **known}).finalizer is Finalizer.REMOVE
        # Cut off between the record of it and the finalizer.
        assert leaves(its, family=Family(None, its, recorded=True, ended=True)).finalizer is Finalizer.REMOVE
    store = Store(lambda _: None)
    done = {"archive": {"name": "home.old.1", "completed": "now"}}
    stored(store, "old", status=done, retirement={"successorRef": {"name": "new"}})
    archived(store, "old", "u-old")
    assert not family(store, "old").ended
    store.archives.forget("home.old.1", "a")
    done["archive"]["name"] = "home.old.2"
    stored(store, "old", version=2, status=done, retirement={"successorRef": {"name": "new"}})
    archived(store, "old", "u-old", 2, status={"handover": {"message": "it was handed over"}})
    assert family(store, "old").ended
    store.archives.forget("home.old.2", "a")
    assert not family(store, "old").ended, "nothing says how it ended"


def policy(name: str, deadline: str = "1h", how: str = "Release", **more: Any) -> CompiledPolicy:
    spec = {"description": "x", "selector": {}, "handover": {"deadline": deadline, "onDeadline": how}, **more}
    return CompiledPolicy.of(name, spec)


def late(*policies: CompiledPolicy, seconds: float, its: Kin | None = None, recorded: bool = True) -> Plan:
    rules = merge(policies, Subject("support", {}, {}))
    archived = datetime(2026, 1, 1, tzinfo=UTC)
    status = {**LEFT, "archive": {**LEFT["archive"], "completed": "2026-01-01T00:00:00Z"}}
    moment = archived + timedelta(seconds=seconds)
    return leaves(its, status=status, policies=rules, moment=moment, recorded=recorded)


def test_past_the_deadline_of_its_policies_it_goes_without_handover_and_its_archive_says_so() -> None:
    plan = late(policy("a"), seconds=3599)
    assert (said(plan, "Ready")[1], plan.requeue_after) == ("WaitingForSuccessor", 1)
    plan = late(policy("a"), seconds=3600, recorded=False)
    assert plan.finalizer is Finalizer.KEEP
    assert plan.handover is not None
    assert "successor" not in plan.handover
    text = 'AIAgent new has taken nothing over: it was late since 2026-01-01T01:00:00Z, as AgentPolicy "a" asks'
    assert plan.handover["message"] == text
    assert late(policy("a"), seconds=3600).finalizer is Finalizer.REMOVE


def test_the_longest_deadline_holds_and_who_says_wait_is_heard_first() -> None:
    assert late(policy("a"), policy("b", "2h"), seconds=3600).finalizer is Finalizer.KEEP
    assert late(policy("a"), policy("b", "2h"), seconds=7200).finalizer is Finalizer.REMOVE
    plan = late(policy("a"), policy("b", "1s", "Wait"), seconds=3600)
    assert plan.finalizer is Finalizer.KEEP
    assert "It is late since 2026-01-01T01:00:00Z" in said(plan, "Ready")[2]
    broken = policy("c", windows=[{"name": "n", "kind": "Allow", "schedule": "never", "duration": "1h"}])
    assert late(policy("a"), broken, seconds=9e9).finalizer is Finalizer.KEEP
    assert late(seconds=9e9).finalizer is Finalizer.KEEP, "no policy, no deadline"


def test_how_it_ended_is_on_record_before_it_goes() -> None:
    plan = leaves(HEIR, recorded=False)
    assert plan.handover is not None
    assert plan.handover["successor"] == {"name": "new", "uid": "u-new"}
    assert (plan.finalizer, plan.writes) == (Finalizer.KEEP, ())
    going = {HOME: NamespaceFacts({}, terminating=True)}
    plan = leaves(None, namespaces=going, recorded=False)
    assert plan.handover is not None
    assert "the namespace was being deleted" in plan.handover["message"]


def test_who_has_left_nothing_hands_nothing_over_and_says_so() -> None:
    assert leaves(None, family=Family(recorded=True, left=False)).finalizer is Finalizer.REMOVE
    plan = leaves(None, family=Family(left=False))
    assert plan.handover is not None
    assert plan.handover["message"] == "AIAgent new has taken nothing over: there is no archive of it"
    store = Store(lambda _: None)
    done = {"archive": {"name": "home.old.1", "completed": "now"}}
    stored(store, "old", status=done, retirement={"successorRef": {"name": "new"}})
    stored(store, "new", succession=comes_after("old"))
    archived(store, "old", "u-old", manifest=None, lineage={"successor": {"name": "new"}})
    assert not family(store, "old").left
    its = family(store, "new").after
    assert its is not None
    assert its.archive == ""
    store.forget_agent(HOME, "old", "u-old")
    assert family(store, "new").after is None


def test_the_handover_is_the_last_step_in_each_mode() -> None:
    assert all(steps[-1] is Step.HANDOVER for steps in STEPS.values())


def test_the_archive_says_whom_it_came_after_and_who_comes_after_it() -> None:
    taken = {"predecessor": {"name": "old", "uid": "u-old"}, "archive": "home.old.1", "digest": DIGEST, "time": "t"}
    o = observed(spec={"retirement": {"successorRef": {"name": "new"}}}, status={"succession": taken})
    found = succession.lineage(replace(o, family=Family(None, HEIR)))
    assert found.predecessor is not None
    assert found.predecessor.model_dump() == {"namespace": HOME, "name": "old", "uid": "u-old", "archive": "home.old.1"}
    assert found.successor is not None
    assert (found.successor.name, found.successor.uid) == ("new", "u-new")
    stranger = succession.lineage(replace(o, family=Family(None, replace(HEIR, predecessor=""))))
    assert stranger.successor is None, "one that has not asked for it"


def test_its_journal_tells_once_from_whom_it_took_over() -> None:
    taken = {"predecessor": {"name": "old", "uid": "u-old"}, "archive": "home.old.1", "digest": DIGEST, "time": "t"}
    o = observed()
    turn = Turn({}, {"succession": taken}, 1, o.now, HOME)
    (event,) = happened.events(turn)
    assert event.kind.value == "HandedOver"
    assert event.data == {"predecessor": "u-old", "archive": "home.old.1", "digest": DIGEST}
    assert happened.events(replace(turn, before={"succession": taken})) == ()


def test_describe_says_whom_it_comes_after_and_who_comes_after_it() -> None:
    taken = {"predecessor": {"name": "old", "uid": "u-old"}, "archive": "home.old.1", "digest": DIGEST, "time": "t"}
    spec = {**COMES_AFTER, "retirement": {"successorRef": {"name": "new"}}}
    assert describe.kin({}, {}) == {}
    assert describe.kin(spec, {}) == {
        "Predecessor": "old, which has not handed over",
        "Successor": "new, has not taken over",
    }
    handed = {"offboarding": {"handover": {"successor": {"name": "new", "uid": "u"}, "digest": DIGEST}}}
    assert describe.kin(spec, {"succession": taken, **handed}) == {
        "Predecessor": f"old, archived as home.old.1 ({DIGEST})",
        "Successor": f"new ({DIGEST})",
    }
    assert describe.kin({}, {"succession": taken})["Predecessor"].startswith("old, archived"), "its past stays"


# What is known of the cluster.


def stored(store: Store, name: str, *, version: int = 1, status: Any = None, uid: str = "", **spec: Any) -> None:
    body = agents.agent(HOME, name, "support", **spec)
    body["metadata"] |= {"uid": uid or f"u-{name}", "resourceVersion": str(version)}
    store.observe_agent({**body, "status": status or {}})


def archived(store: Store, name: str, uid: str, number: int = 1, *, status: Any = None, **more: Any) -> None:
    spec = {"agent": {"namespace": HOME, "name": name, "uid": uid}, "manifest": {"digest": DIGEST}, **more}
    metadata = {"name": f"home.{name}.{number}", "uid": "a", "resourceVersion": str(number)}
    metadata |= {"creationTimestamp": "2026-01-01T00:00:00Z"}
    store.archives.observe({"metadata": metadata, "spec": spec, "status": status or {}})


def comes_after(name: str) -> dict[str, Any]:
    return {"predecessorRef": {"name": name}}


def family(store: Store, name: str) -> Family:
    key = AgentKey(HOME, name)
    return kinship.family(store, key, store.agents[key].load()["spec"])


def test_an_archive_counts_once_it_is_complete_on_record_and_of_that_very_agent() -> None:
    store = Store(lambda _: None)
    stored(store, "new", succession=comes_after("old"))
    assert family(store, "new").after is None
    stored(store, "old", retirement={"successorRef": {"name": "new"}})
    done = {"archive": {"name": "home.old.1", "completed": "now"}}

    def archive() -> str:
        its = family(store, "new").after
        assert its is not None
        return its.archive

    stored(store, "old", version=2, status=done, retirement={"successorRef": {"name": "new"}})
    assert archive() == ""
    archived(store, "old", "u-before")
    assert archive() == "", "of one that had the name before"
    store.archives.forget("home.old.1", "a")
    archived(store, "old", "u-old")
    assert archive() == "home.old.1"
    stored(store, "old", version=3, status={"archive": {"name": "home.old.1"}})
    assert archive() == "", "not complete yet"


def test_one_that_is_applied_anew_comes_after_the_same_by_its_archive() -> None:
    store = Store(lambda _: None)
    stored(store, "new", succession=comes_after("old"))
    follows = {"lineage": {"successor": {"namespace": HOME, "name": "new", "uid": "u-before"}}}
    archived(store, "old", "u-stranger", 1, created="2026-01-09T00:00:00Z")
    assert family(store, "new").after is None, "it names nobody"
    archived(store, "old", "u-1", 2, created="2026-01-01T00:00:00Z", **follows)
    archived(
        store, "old", "u-2", 3, created="2026-01-02T00:00:00Z", status={"handover": {"successor": {"name": "new"}}}
    )
    archived(store, "old", "u-3", 4, created="2026-01-03T00:00:00Z", status={"handover": {"message": "nobody"}})
    its = family(store, "new").after
    assert its is not None
    assert (its.uid, its.archive, its.successor) == ("u-2", "home.old.3", "new")
    # Whoever has the name now decides.
    stored(store, "old")
    its = family(store, "new").after
    assert its is not None
    assert (its.uid, its.archive) == ("u-old", "")


def test_one_that_is_rehired_is_known_by_the_archive_of_who_had_its_name() -> None:
    store = Store(lambda _: None)
    stored(store, "triage", uid="u-3")
    assert family(store, "triage").former is None
    archived(store, "triage", "u-1", 1, created="2026-01-01T00:00:00Z")
    archived(store, "triage", "u-2", 2, created="2026-01-02T00:00:00Z")
    archived(store, "triage", "u-3", 3, created="2026-01-03T00:00:00Z")
    archived(store, "other", "u-4", 4, created="2026-01-04T00:00:00Z")
    found = succession.lineage(replace(observed(), family=family(store, "triage")))
    assert found.former is not None
    assert found.former.model_dump() == {"namespace": HOME, "name": "triage", "uid": "u-2", "archive": "home.triage.2"}
    assert (found.predecessor, found.successor) == (None, None)


def test_whoever_names_an_agent_hears_of_what_becomes_of_it() -> None:
    told: list[Key] = []
    store = Store(told.append)
    stored(store, "new", succession=comes_after("old"))
    stored(store, "old")
    new = AgentKey(HOME, "new")
    for number, status in enumerate(({"hiredAs": "x"}, {"offboarding": {}}, {"archive": {"completed": "now"}}), 2):
        told.clear()
        stored(store, "old", version=number, status=status)
        assert new in told, status
    told.clear()
    stored(store, "old", version=9, status={"archive": {"completed": "now"}, "phase": "Active"})
    assert new not in told
    archived(store, "old", "u-old")
    assert new in told
    told.clear()
    store.forget_agent(HOME, "old", "u-old")
    assert new in told


def test_a_circle_is_one_of_agents_that_have_all_still_to_take_over() -> None:
    store = Store(lambda _: None)
    for one, other in (("a", "b"), ("b", "c"), ("c", "a"), ("d", "a")):
        stored(store, one, succession=comes_after(other))
    assert family(store, "a").circle == ("a", "b", "c")
    assert family(store, "d").circle == (), "it waits for them, and is none of them"
    taken = {"succession": {"predecessor": {"name": "a", "uid": "u-before"}}}
    stored(store, "c", version=2, status=taken, succession=comes_after("a"))
    assert family(store, "a").circle == ()


def test_a_dry_run_names_who_counts_on_the_agent() -> None:
    store = Store(lambda _: None)
    stored(store, "triage")
    stored(store, "heir", succession=comes_after("triage"))
    stored(store, "elder", retirement={"successorRef": {"name": "triage"}})
    stored(store, "done", succession=comes_after("triage"), status={"succession": {"predecessor": {"name": "triage"}}})
    stored(store, "left", retirement={"successorRef": {"name": "triage"}}, status={"phase": "Retired"})
    stored(store, "stranger")
    assert kinship.dependents(store, AgentKey(HOME, IDENTITY.name)) == [
        {"name": "elder", "namesIt": "Successor"},
        {"name": "heir", "namesIt": "Predecessor"},
    ]
    orjson.dumps(kinship.dependents(store, AgentKey(HOME, IDENTITY.name)))
