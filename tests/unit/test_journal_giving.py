"""What gives an agent something is noted before it is done, and waits where it cannot be noted."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from aiagent_operator.core import onboarding
from aiagent_operator.core.journal import book
from aiagent_operator.core.journal.book import Book
from aiagent_operator.core.journal.event import Event
from aiagent_operator.core.journal.kinds import Kind
from aiagent_operator.core.journal.pending import MOST, RESERVE
from aiagent_operator.core.journal.permitted import permitted
from aiagent_operator.core.journal.place import choose
from aiagent_operator.core.objects import ChildKind
from aiagent_operator.core.plan import Observed, Plan, Room, Verb
from aiagent_operator.core.policies.merged import Source, Strictest
from support.agents import permission
from support.decisions import HOME, after, kinds, observed, said
from support.journals import BEGIN

ASKED = (permission("read-tickets", "crm"), permission("refund"))


def _steps(o: Observed) -> list[tuple[Observed, Plan]]:
    """What is decided until nothing is left to write; what has to stand in the status before the writes does."""
    found = []
    for _ in range(20):
        plan = onboarding.decide(o)
        found.append((o, plan))
        status = o.agent.status
        if not plan.revokes and any(status.get(field) != value for field, value in plan.first.items()):
            o = replace(o, agent=o.agent.model_copy(update={"status": {**status, **plan.first}}))
        elif plan.writes:
            o = replace(o, children=after(o.children, plan))
        else:
            return found
    raise AssertionError("not settled in twenty steps")


def test_a_right_stands_in_the_status_before_its_binding_is_made() -> None:
    for o, plan in _steps(observed(*ASKED, journal=Room(True))):
        wanted = {write.key.namespace for write in plan.writes if write.grants}
        if wanted and all(o.agent.status.get(field) == value for field, value in plan.first.items()):
            told = {ns for held in permitted(o.agent.status, HOME).values() for ns in held.namespaces}
            assert wanted <= told
    states = {entry["state"] for entry in o.agent.status["permissions"]}
    assert states == {"Pending"}, "granted is said once it is"
    assert {entry["state"] for entry in plan.status["permissions"]} == {"Granted"}
    assert o.agent.status["hiredAs"] == "support"


def test_what_is_in_force_already_is_said_as_it_was() -> None:
    done, last = _steps(observed(*ASKED, journal=Room(True)))[-1]
    granted = {**done.agent.status, **last.status}
    lost = {k: child for k, child in done.children.items() if (k.kind, k.namespace) != (ChildKind.ROLE_BINDING, "crm")}
    plan = onboarding.decide(replace(done, children=lost, agent=done.agent.model_copy(update={"status": granted})))
    assert plan.first["permissions"] == granted["permissions"], "a binding that somebody removed is no new right"


def test_resumed_is_said_before_the_bindings_are_back() -> None:
    done, last = _steps(observed(*ASKED, journal=Room(True)))[-1]
    suspended = {**done.agent.status, **last.status, "phase": "Suspended"}
    bare = {key: child for key, child in done.children.items() if key.kind is not ChildKind.ROLE_BINDING}
    plan = onboarding.decide(replace(done, children=bare, agent=done.agent.model_copy(update={"status": suspended})))
    assert plan.first["phase"] == "Onboarding"


def test_without_room_nothing_is_given_and_all_else_is_done() -> None:
    o, plan = _steps(observed(*ASKED, journal=Room(False)))[-1]
    kept = {key.kind for key in o.children}
    assert ChildKind.ROLE_BINDING not in kept
    assert {ChildKind.SERVICE_ACCOUNT, ChildKind.NETWORK_POLICY, ChildKind.ROLE, ChildKind.CONFIG_MAP} <= kept
    assert all(child.revision.promotion == 0 for child in o.of(ChildKind.AGENT_REVISION) if child.revision)
    assert said(plan, "Ready")[:2] == (False, "ArchiveStoreUnavailable")
    assert said(plan, "PermissionsGranted")[:2] == (False, "ArchiveStoreUnavailable")
    assert plan.requeue_after is not None


def test_without_room_rights_are_taken_all_the_same() -> None:
    done, _ = _steps(observed(*ASKED, journal=Room(True)))[-1]
    stopped = done.agent.model_copy(update={"spec": done.agent.spec.model_copy(update={"suspended": True})})
    plan = onboarding.decide(replace(done, agent=stopped, journal=Room(False)))
    assert kinds(plan) == [("delete", "RoleBinding", "crm"), ("delete", "RoleBinding", HOME)]


def test_without_a_journal_nothing_is_written_before() -> None:
    for _, plan in _steps(observed(*ASKED)):
        assert "permissions" not in plan.first
    assert any(w.verb is Verb.CREATE and w.grants for _, plan in _steps(observed(*ASKED)) for w in plan.writes)


def test_events_are_noted_all_or_none() -> None:
    giving = [Event(Kind.EVALUATED, f"given/{n}", BEGIN, {}) for n in range(MOST)]
    taking = [Event(Kind.SUSPENDED, f"taken/{n}", BEGIN, {}) for n in range(MOST)]
    full = Book().noted(giving[: MOST - RESERVE])
    assert full is not None
    assert len(full.waiting.events) == MOST - RESERVE
    assert full.noted((*taking[:2], giving[-1])) is None, "one without room keeps the others back, to be found again"
    assert full.noted(taking[:RESERVE]) is not None, "what takes something away has a reserve"
    assert full.noted(taking) is None
    assert book.read({"journal": full.fields()}) == full


@given(st.integers(0, 5), st.sampled_from(["", "eu"]), st.booleans())
def test_a_journal_is_read_as_it_was_written(events: int, store: str, closed: bool) -> None:
    found = Book(store=store, closed=closed).noted(Event(Kind.HIRED, f"e/{n}", BEGIN, {}) for n in range(events))
    assert found is not None
    assert book.read({"journal": found.fields()}) == found
    assert found.told == events


def test_where_a_journal_is() -> None:
    eu, us = Strictest("eu", (Source("gdpr"),)), Strictest("us", (Source("texas"),))
    known = ("main", "eu", "us")
    assert choose("", (), "main", known).store == "main"
    assert choose("", (eu,), "main", known).store == "eu"
    assert choose("main", (eu,), "main", known).store == "main", "it stays where it began"
    disputed = choose("", (eu, us), "main", known)
    assert (disputed.store, disputed.reason.value) == ("", "ArchiveStoreDisputed")
    assert 'eu of AgentPolicy "gdpr"; us of AgentPolicy "texas"' in disputed.problem
    for missing in (choose("old", (), "main", known), choose("", (Strictest("asia", eu.sources),), "main", known)):
        assert missing.reason.value == "ArchiveStoreNotFound"
        assert "AIAGENT_ARCHIVE_FILE" in missing.problem
