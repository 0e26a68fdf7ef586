"""Policies and versions: the longest history wins, and nothing takes over while a policy cannot be read."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from aiagent_operator.core import onboarding
from aiagent_operator.core.objects import Child, ChildKind, ObjectKey
from aiagent_operator.core.plan import Observed, Verb
from aiagent_operator.core.policies.merged import NOTHING, Merged
from aiagent_operator.core.versions import governing
from aiagent_operator.core.versions.revisions import RollbackOrder, facts
from support.decisions import after, observed, said
from support.policies import NIGHTS, merged, policy

MARS = merged(policy("mars", windows=[{**NIGHTS, "timeZone": "Mars/Olympus"}]))
Children = dict[ObjectKey, Child]


def settle(o: Observed) -> Observed:
    """All steps until nothing is left to write; what has to be read is as it was written."""
    written: dict[ObjectKey, Any] = dict(o.live)
    for _ in range(24):
        plan = onboarding.decide(o)
        if plan.needs - o.live.keys():
            o = replace(o, live={key: written[key] for key in plan.needs})
            continue
        if not plan.writes:
            return replace(o, live=written)
        written |= {w.key: w.body for w in plan.writes if w.verb is Verb.CREATE}
        o = replace(o, children=after(o.children, plan), live=written)
    raise AssertionError("not settled")


def asking(text: str, o: Observed | None = None, policies: Merged = NOTHING, **spec: Any) -> Observed:
    """The agent with this handbook, on top of what exists."""
    fresh = observed(spec={"handbook": {"instructions": {"inline": text}}, **spec}, policies=policies)
    return settle(replace(fresh, children=o.children, live=o.live) if o else fresh)


def states(o: Observed) -> dict[int, str]:
    found = [facts(child) for key, child in o.children.items() if key.kind is ChildKind.AGENT_REVISION]
    return {each.number: each.state.value for each in sorted(found, key=lambda each: each.number)}


def pods(o: Observed) -> dict[str, int]:
    return {k.name: c.rollout.wanted for k, c in o.children.items() if k.kind is ChildKind.DEPLOYMENT and c.rollout}


@pytest.mark.parametrize(
    ("own", "limits", "kept"),
    [(None, [], 10), (3, [], 3), (None, [5], 10), (3, [5], 5), (7, [5], 7), (0, [5, 20], 20), (0, [0], 0)],
)
def test_the_longest_history_is_kept(own: int | None, limits: list[int], kept: int) -> None:
    demanded = merged(*(policy(f"p{n}", revisionHistoryLimit=n) for n in limits))
    spec = {} if own is None else {"revisionHistoryLimit": own}
    assert governing.history(observed(spec=spec, policies=demanded)) == kept


def test_a_policy_keeps_what_the_agent_would_drop() -> None:
    keeps = merged(policy(revisionHistoryLimit=2))
    o = asking("one", policies=keeps, revisionHistoryLimit=0)
    for text in ("two", "three", "four"):
        o = asking(text, o, keeps, revisionHistoryLimit=0)
    assert states(o) == {2: "Superseded", 3: "Superseded", 4: "Stable"}
    o = asking("four", o, NOTHING, revisionHistoryLimit=0)
    assert states(o) == {4: "Stable"}


def test_nothing_takes_over_while_a_policy_cannot_be_read_and_what_serves_goes_on() -> None:
    o = asking("one")
    o = asking("two", o, MARS)
    assert states(o) == {1: "Stable", 2: "Candidate"}
    assert pods(o) == {"triage-1": 1}
    plan = onboarding.decide(o)
    assert said(plan, "Ready")[:2] == (False, "PolicyUnreadable")
    assert "revision 2 may not take over, revision 1 serves" in said(plan, "Ready")[2]
    assert 'AgentPolicy "mars"' in said(plan, "Ready")[2]
    assert said(plan, "Stalled")[0] is True

    o = asking("two", o)
    assert states(o) == {1: "Superseded", 2: "Stable"}
    assert pods(o) == {"triage-2": 1}


def test_a_takeover_that_is_under_way_is_taken_back() -> None:
    o = asking("one", workload={"template": {"spec": {"containers": [{"name": "a", "image": "b"}]}}, "replicas": 4})
    work = {"template": {"spec": {"containers": [{"name": "a", "image": "c"}]}}, "replicas": 4}
    fresh = observed(spec={"handbook": {"instructions": {"inline": "one"}}, "workload": work})
    halfway = replace(fresh, children=o.children, live=o.live)
    written: dict[ObjectKey, Any] = dict(o.live)
    for _ in range(3):
        plan = onboarding.decide(halfway)
        written |= {w.key: w.body for w in plan.writes if w.verb is Verb.CREATE}
        halfway = replace(halfway, children=after(halfway.children, plan), live=written)
    assert set(pods(halfway)) == {"triage-1", "triage-2"}

    held = settle(replace(halfway, policies=MARS))
    assert pods(held) == {"triage-1": 4}


def test_history_is_not_removed_while_a_policy_cannot_be_read() -> None:
    o = asking("two", asking("one"))
    assert states(asking("two", o, MARS, revisionHistoryLimit=0)) == {1: "Superseded", 2: "Stable"}
    assert states(asking("two", o, revisionHistoryLimit=0)) == {2: "Stable"}


def test_a_first_revision_works_and_is_not_promoted() -> None:
    o = asking("one", policies=MARS)
    assert states(o) == {1: "Candidate"}
    assert pods(o) == {"triage-1": 1}
    assert said(onboarding.decide(o), "Ready")[:2] == (False, "PolicyUnreadable")
    assert states(asking("one", o)) == {1: "Stable"}


def test_an_order_goes_back_all_the_same() -> None:
    o = replace(asking("two", asking("one")), policies=MARS)
    o = settle(replace(o, rollback=RollbackOrder("back", "u", "back", 1)))
    assert (pods(o), states(o)[1]) == ({"triage-1": 1}, "Stable")
