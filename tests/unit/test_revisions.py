"""Which revision serves and what becomes of the others: each row of the table of docs/revisions.md."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiagent_operator.api.agentrevision import RevisionState
from aiagent_operator.core.objects import Child, ChildKind, ObjectKey, RevisionFacts
from aiagent_operator.core.versions import revisions
from aiagent_operator.core.versions.revisions import Choice, RollbackOrder, facts
from support.decisions import reported
from support.documents import ROOT, table

ROWS = table(ROOT / "docs" / "revisions.md", "revisions")
_REVISION = re.compile(r"(\d+):(\w) (\w+)(?:#(\d+))?(?:<(\w))?")
Record = tuple[int, str, RevisionState, int, str]


def child(number: int, work: str, state: RevisionState, promotion: int = 0, instead: str = "") -> Child:
    order = "old" if instead else ""
    work = "" if work == "_" else work
    its = RevisionFacts(number, work, f"book-{work}", f"sha256:{work}", state, promotion, order, instead)
    key = ObjectKey(ChildKind.AGENT_REVISION, "home", f"triage-{number}")
    return Child(key, f"uid-{number}", "1", "agent", "", revision=its)


def read(cell: str) -> list[Child]:
    """`1:A Stable#2<B`: number, work, state, promotion, and what the spec asked for when an order chose it."""
    found = []
    for text in filter(None, cell.split(", ")):
        number, work, state, promotion, instead = _REVISION.fullmatch(text).groups()  # type: ignore[union-attr]
        found.append(child(int(number), work, RevisionState(state), int(promotion or 0), instead or ""))
    return found


def record(revision: Child) -> Record:
    its = facts(revision)
    return its.number, its.work, its.state, its.promotion, its.instead


def followed(known: list[Child], choice: Choice, work: str) -> list[Child]:
    """The revisions once their states are written; a renewal comes before these."""
    if choice.renews and choice.target:
        written = {id(choice.target): reported(choice.target, revisions.promotion(known, choice, work, "now"))}
    else:
        written = {id(each): reported(each, status) for each, status in revisions.transitions(known, choice, work)}
    return [written.get(id(each), each) for each in known]


def number(revision: Child | None) -> str:
    return str(facts(revision).number) if revision else "none"


def test_the_table_says_something() -> None:
    assert len(ROWS) >= 25
    assert {state.value for state in RevisionState} == {
        state for row in ROWS for state in re.findall(r"[A-Z]\w+", row[0])
    }


@pytest.mark.parametrize(("before", "work", "order", "serves", "goal", "then"), ROWS)
def test_row(before: str, work: str, order: str, serves: str, goal: str, then: str) -> None:
    known = read(before)
    to = int(order.removeprefix("to ")) if order.startswith("to ") else None
    uid = "old" if order == "given before" else "new"
    given_order = RollbackOrder("back", uid, "AgentAction back by jane", to) if order else None

    choice = revisions.choose(known, work, 0, given_order)

    assert number(choice.stable) == serves
    held = f", holds {number(choice.held)}" if choice.held else ""
    held += f", rejects {number(choice.rejected)}" if choice.rejected else ""
    anew = " anew" if choice.renews else ""
    assert (f"make {choice.make}" if choice.make else number(choice.target) + anew + held) == goal
    assert [record(each) for each in followed(known, choice, work)] == [record(each) for each in read(then)]


@pytest.mark.parametrize("row", ROWS)
def test_what_was_written_is_not_written_again(row: list[str]) -> None:
    known = read(row[5])
    choice = revisions.choose(known, row[1], 0)
    again = followed(known, choice, row[1])
    assert revisions.transitions(again, revisions.choose(again, row[1], 0), row[1]) == []


def test_a_promotion_is_higher_than_all_and_names_its_order() -> None:
    known = read("1:A Superseded#1, 2:B Stable#2, 3:C RollingOut")
    by_spec = revisions.promotion(known, revisions.choose(known, "C", 0), "C", "2026-01-01T00:00:00Z")
    order = RollbackOrder("back", "u1", "AgentAction back by jane (wrong language)")
    by_order = revisions.promotion(known, revisions.choose(known, "C", 0, order), "C", "2026-01-01T00:00:00Z")
    assert (by_spec["promotion"], by_spec["order"]) == (3, None)
    assert (by_order["promotion"], by_order["order"]) == (3, {"name": "back", "uid": "u1", "insteadOf": "C"})
    assert "wrong language" in by_order["message"]


def test_an_order_that_is_carried_out_has_nothing_more_to_say() -> None:
    known = read("1:A Stable#3<B, 2:B Stable#2")
    choice = revisions.choose(known, "B", 0, RollbackOrder("back", "old", "x"))
    assert (number(choice.target), number(choice.held), choice.order) == ("1", "2", None)


def test_a_number_is_not_given_twice_although_its_revision_is_gone() -> None:
    assert revisions.choose(read("3:A Stable#1"), "B", 7).make == 8
    assert revisions.choose([], "A", 7).make == 8


def test_history_spares_what_serves_takes_over_or_is_held_back() -> None:
    known = read("1:A Superseded#1, 2:B Superseded#2, 3:C Stable#9<E, 4:D RolledBack#4, 5:E RolledBack#5")
    choice = revisions.choose(known, "E", 0)
    assert [number(each) for each in revisions.collect(known, choice, 5)] == []
    assert [number(each) for each in revisions.collect(known, choice, 1)] == ["1", "2"]
    assert [number(each) for each in revisions.collect(known, choice, 0)] == ["1", "2", "4"]


# Edits and orders one after the other, each rolled out, given up, or cut off anywhere.
steps = st.lists(
    st.one_of(
        st.tuples(st.just("edit"), st.sampled_from("ABCD"), st.booleans()),
        st.tuples(st.just("order"), st.one_of(st.none(), st.integers(1, 8)), st.booleans()),
    ),
    max_size=14,
)


@given(steps)
def test_whatever_is_asked_for_one_serves_and_orders_hold(asked: list[tuple[str, object, bool]]) -> None:
    known: list[Child] = []
    work, last = "A", 0
    for count, (what, value, done) in enumerate([("edit", "A", True), *asked]):
        order = None
        if what == "edit":
            work = str(value)
        else:
            order = RollbackOrder("back", f"u{count}", "x", value)  # type: ignore[arg-type]
        choice = revisions.choose(known, work, last, order)
        if choice.make:
            assert choice.make > max([last, *(facts(each).number for each in known)])
            last = choice.make
            known.append(child(choice.make, work, RevisionState.CANDIDATE))
            choice = revisions.choose(known, work, last, order)
        assert choice.target is not None
        known = followed(known, choice, work)
        choice = revisions.choose(known, work, last, order)
        if done and choice.rolling and choice.target:
            promoted = reported(choice.target, revisions.promotion(known, choice, work, "now"))
            known = [promoted if each is choice.target else each for each in known]
            # A crash may come here: what follows is the same whether the states were written or not.
            settled = followed(known, revisions.choose(known, work, last), work)
            assert number(revisions.choose(known, work, last).target) == number(
                revisions.choose(settled, work, last).target
            )
            assert number(revisions.stable(settled)) == number(promoted)
            if order:
                after = revisions.choose(settled, work, last)
                assert not after.rolling, "what an order has put in place stays, whatever the spec asks for"
            known = settled
        choice = revisions.choose(known, work, last)
        stable = [each for each in followed(known, choice, work) if facts(each).state is RevisionState.STABLE]
        assert len(stable) <= 1
