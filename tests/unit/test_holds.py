"""Legal holds: whose an archive has, what survives whom, and what becomes of the orders about it."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from aiagent_operator.api.agentaction import ActionPhase, AgentActionSpec
from aiagent_operator.api.conditions import Reason, Type
from aiagent_operator.api.holds import MOST_HOLDS, Ground, HoldEntry
from aiagent_operator.core.archive import holding
from aiagent_operator.core.archive.errors import ArchiveError
from aiagent_operator.core.archive.holding import HeldArchive
from aiagent_operator.core.orders import Order, OrderPlan, decide, lifted

BEGIN = dt.datetime(2026, 3, 1, 12, tzinfo=dt.UTC)
AGENT = {"agentRef": {"name": "triage"}}
NAMED = {"archiveRef": {"name": "support.triage.1"}}


def order(action: str = "Hold", name: str = "one", *, after: float = 0, **spec: Any) -> Order:
    about = {} if "archiveRef" in spec or "agentRef" in spec else AGENT
    ground = {"ground": "LegalClaims"} if action == "Hold" else {}
    whole = {"action": action, "requestedBy": "ann@corp.example", "reason": "Case 1", **about, **ground, **spec}
    given_at = BEGIN + dt.timedelta(seconds=after)
    return Order("support", name, f"uid-{name}", 1, given_at, AgentActionSpec.model_validate(whole))


def going(one: Order) -> Order:
    return replace(one, deleting=True, guarded=True)


def archive(*holds: HoldEntry, name: str = "support.triage.1", purged: bool = False) -> HeldArchive:
    return HeldArchive(name, holds, purged)


def listed(*orders: Order, **kwargs: Any) -> HeldArchive:
    """An archive that has listed the orders."""
    return replace(archive(**kwargs), holds=holding.entries(archive(), orders, (), ()))


def orphaned(*orders: Order) -> HeldArchive:
    return archive(*holding.entries(listed(*orders), (), (), ()))


def ready(plan: OrderPlan) -> tuple[ActionPhase, bool | None, Reason, str]:
    found = next(verdict for verdict in plan.verdicts if verdict.type is Type.READY)
    return plan.phase, found.status, found.reason, found.message


# Whose an archive has ------------------------------------------------------------------------------------------------


def test_an_entry_says_what_the_order_says() -> None:
    (entry,) = listed(order()).holds
    assert entry == HoldEntry(
        uid="uid-one",
        namespace="support",
        order="one",
        by="ann@corp.example",
        since=BEGIN,
        ground=Ground.LEGAL_CLAIMS,
        reason="Case 1",
    )


@given(st.permutations(range(4)))
def test_entries_are_in_the_order_of_the_holds_however_they_come(places: list[int]) -> None:
    orders = [order(name=f"o{n}", after=n) for n in range(4)]
    assert [entry.order for entry in listed(*(orders[n] for n in places)).holds] == ["o0", "o1", "o2", "o3"]


def test_what_is_listed_stays_as_it_is() -> None:
    one, two = order(), order(name="two", after=5)
    held = listed(one, two)
    assert holding.entries(held, (two, one), (), ()) == held.holds


def test_an_order_that_is_deleted_is_forgotten_and_one_that_goes_with_its_namespace_is_not() -> None:
    one = order()
    assert holding.entries(listed(one), (going(one),), (), ()) == ()
    (entry,) = holding.entries(listed(one), (going(one),), {one.uid}, ())
    assert entry.orphaned


def test_an_order_that_goes_with_its_namespace_before_anybody_listed_it_is_listed_all_the_same() -> None:
    one = going(order())
    (entry,) = holding.entries(archive(), (one,), {one.uid}, ())
    assert entry.orphaned
    assert holding.entries(archive(), (one,), (), ()) == ()


def test_an_order_that_has_gone_in_any_other_way_still_holds() -> None:
    (entry,) = holding.entries(listed(order()), (), (), ())
    assert entry.orphaned
    assert holding.entries(archive(entry), (), (), ()) == (entry,)


def test_an_order_that_is_known_again_is_no_orphan() -> None:
    one = order()
    assert holding.entries(orphaned(one), (one,), (), ()) == listed(one).holds


def test_a_release_ends_orphans_that_are_older_and_nothing_else() -> None:
    old, late, there = order(), order(name="late", after=10), order(name="there")
    held = archive(*orphaned(old, late).holds, *listed(there).holds)
    left = holding.entries(held, (there,), (), (order("Release", "end", after=5, **NAMED),))
    assert [(entry.order, entry.orphaned) for entry in left] == [("there", None), ("late", True)]


def test_a_release_ends_one_whose_namespace_goes_just_now() -> None:
    one = going(order(**NAMED))
    release = order("Release", "end", after=5, **NAMED)
    for held in (archive(), listed(one)):
        assert holding.entries(held, (one,), {one.uid}, (release,)) == ()


def test_a_purged_archive_lists_nothing_new() -> None:
    assert holding.entries(archive(purged=True), (order(),), (), ()) == ()


def test_the_list_is_bounded_and_what_is_on_it_stays() -> None:
    late = [order(name=f"late{n}", after=9) for n in range(MOST_HOLDS)]
    held = listed(*late)
    assert holding.entries(held, [order(), *late], (), ()) == held.holds


def test_an_entry_that_cannot_be_read_is_not_taken_for_none() -> None:
    with pytest.raises(ArchiveError, match=r"status\.holds cannot be read"):
        holding.read({"holds": [{"uid": "x", "ground": "Whim"}]}, "a")


def test_what_is_written_is_read() -> None:
    held = archive(*listed(order()).holds, *orphaned(order(name="two")).holds)
    dumped = [each.model_dump(mode="json", by_alias=True, exclude_none=True) for each in held.holds]
    assert holding.read({"holds": dumped, "purge": {}}, held.name) == replace(held, purged=True)


def test_the_condition_names_who_holds_it_and_hides_nothing_in_it() -> None:
    assert holding.verdict(()) is None
    said = holding.verdict(listed(order(reason="Case 1\n\x1b[2J")).holds)
    assert said is not None
    assert (said.type, said.status, said.reason) == (Type.HELD, True, Reason.HELD)
    assert "AgentAction support/one of ann@corp.example (LegalClaims: Case 1" in said.message
    assert "\x1b" not in said.message


# Holds ---------------------------------------------------------------------------------------------------------------


def test_a_hold_is_in_force_at_once_and_ready_when_it_is_listed() -> None:
    one = order()
    plan = holding.hold(one, [archive(), listed(one, name="b")])
    assert plan.phase is ActionPhase.IN_FORCE
    assert (plan.agents, plan.done) == (2, 1)
    assert ready(plan)[1:3] == (False, Reason.WAITING_FOR_ARCHIVES)
    assert ready(holding.hold(one, [listed(one)]))[:3] == (ActionPhase.IN_FORCE, True, Reason.IN_FORCE)


def test_a_hold_on_nothing_yet_says_so() -> None:
    phase, status, reason, text = ready(holding.hold(order(), []))
    assert (phase, status, reason) == (ActionPhase.IN_FORCE, True, Reason.NO_ARCHIVE)
    assert "one that comes will be held" in text


def test_a_hold_that_came_too_late_says_so() -> None:
    assert "nothing is left" in ready(holding.hold(order(), [archive(purged=True)]))[3]


def test_a_full_list_is_named_with_the_remedy() -> None:
    full = listed(*(order(name=f"o{n}") for n in range(MOST_HOLDS)))
    assert "release one" in ready(holding.hold(order(name="more"), [full]))[3]


@pytest.mark.parametrize("lost", [True, False])
def test_a_hold_goes_when_its_end_is_on_record(lost: bool) -> None:
    one = going(order())
    before, after = listed(order()), orphaned(order()) if lost else archive()
    assert not holding.settled(one, [before], lost=lost, expected=False)
    assert not holding.settled(one, [after, before], lost=lost, expected=False)
    assert holding.settled(one, [after], lost=lost, expected=False)
    assert holding.settled(one, [], lost=lost, expected=False)
    assert holding.settled(one, [after], lost=lost, expected=True) is not lost, "an archive is to come"


def test_a_purged_archive_keeps_no_order() -> None:
    assert holding.settled(going(order()), [archive(purged=True)], lost=True, expected=False)


# Releases ------------------------------------------------------------------------------------------------------------


def outcome(release: Order, archives: list[HeldArchive], holds: list[Order], *, expected: bool = False) -> OrderPlan:
    plan = holding.release(release, archives, lifted(release, holds), expected=expected)
    return decide(release, [], (), BEGIN + dt.timedelta(seconds=60), held=plan)


def test_a_release_ends_what_was_given_before_it_about_the_same() -> None:
    same, other = order(), order(name="other", agentRef={"name": "router"})
    later, named = order(name="later", after=9), order(name="named", **NAMED)
    plan = outcome(order("Release", "end", after=5), [listed(same)], [same, other, later, named])
    assert [each.name for each in plan.ends] == ["one"]
    assert ready(plan)[:3] == (ActionPhase.PENDING, False, Reason.RELEASING)
    by_name = outcome(order("Release", "end", after=5, **NAMED), [listed(same, named)], [same, named])
    assert [each.name for each in by_name.ends] == ["named"]


def test_a_release_waits_until_the_archive_has_forgotten() -> None:
    one, end = order(), order("Release", "end", after=5)
    assert ready(outcome(end, [listed(one)], [going(one)]))[:3] == (
        ActionPhase.PENDING, False, Reason.WAITING_FOR_ARCHIVES
    )  # fmt: skip
    assert ready(outcome(end, [archive()], [going(one)]))[:3] == (ActionPhase.COMPLETE, True, Reason.CARRIED_OUT)
    assert ready(outcome(end, [], [going(one)]))[0] is ActionPhase.COMPLETE
    assert ready(outcome(end, [archive()], []))[0] is ActionPhase.COMPLETE


def test_a_release_that_leaves_other_holds_fails_and_names_them() -> None:
    other = order(name="other", **NAMED)
    phase, _, reason, text = ready(outcome(order("Release", "end", after=5), [listed(other)], []))
    assert (phase, reason) == (ActionPhase.FAILED, Reason.STILL_HELD)
    assert "support/other of ann@corp.example" in text
    assert "with archiveRef" in text


def test_only_a_release_that_names_the_archive_ends_an_orphan() -> None:
    held = orphaned(order())
    by_agent = ready(outcome(order("Release", "end", after=5), [held], []))
    assert by_agent[2] is Reason.STILL_HELD
    assert "which has gone" in by_agent[3]
    by_name = order("Release", "end", after=5, **NAMED)
    assert ready(outcome(by_name, [held], []))[2] is Reason.WAITING_FOR_ARCHIVES
    early = order("Release", "end", after=-5, **NAMED)
    assert ready(outcome(early, [held], []))[2] is Reason.STILL_HELD


def test_a_release_of_nothing_fails() -> None:
    assert ready(outcome(order("Release"), [], []))[:3] == (ActionPhase.FAILED, False, Reason.NO_ARCHIVE)
    assert ready(outcome(order("Release"), [], [], expected=True))[0] is ActionPhase.COMPLETE


def test_a_release_has_a_deadline_and_a_hold_has_none() -> None:
    one, much_later = order(), BEGIN + dt.timedelta(days=400)
    end = order("Release", "end", after=5)
    waiting = holding.release(end, [listed(one)], [going(one)], expected=False)
    assert decide(end, [], (), much_later, held=waiting).phase is ActionPhase.EXPIRED
    assert decide(one, [], (), much_later, held=holding.hold(one, [])).phase is ActionPhase.IN_FORCE


def test_the_ground_is_one_of_the_law() -> None:
    with pytest.raises(ValidationError):
        order(ground="Whim")
