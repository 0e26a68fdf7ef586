"""The acceptance of a handover: the last thing before an agent is hired that comes after another one.

Where spec.succession asks for it, the first revision of the agent waits, once it has passed its evaluations, until a
person who holds the verb promote accepts what it took over, by an AgentAction Promote. That counts for the revision and
for the handover that there were when it was given: it stands in status.succession, with the number of the revision, and
goes with that. Table of states: docs/succession.md.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any, Final

from aiagent_operator.api.conditions import Reason, Verdict
from aiagent_operator.core import succession
from aiagent_operator.core.evaluation import evaluating
from aiagent_operator.core.evaluation.evaluating import Step
from aiagent_operator.core.objects import Child, Manifest
from aiagent_operator.core.plan import Observed, Plan
from aiagent_operator.core.reviews import releases
from aiagent_operator.core.versions import gate_words as words
from aiagent_operator.core.versions import gating
from aiagent_operator.core.versions.gating import Gate
from aiagent_operator.core.versions.revisions import facts

# Seconds: the status says who has accepted, and what follows from that is the next pass's.
_AT_ONCE: Final = 0.1


def told(o: Observed) -> Observed:
    """What is observed, with the order that has accepted as carried out: it does nothing more."""
    its = _acceptance(o)
    if its.get("uid") not in {order.uid for order in o.steering}:
        return o
    text = f"revision {its['revision']} is accepted with what it took over from AIAgent {succession.predecessor(o)}"
    return releases.remembered(o, [(its["uid"], text)])


def held(o: Observed, gate: Gate) -> Gate:
    """The gate, shut where what it lets through has still to be accepted. Evaluations come first."""
    if not succession.to_be_accepted(o):
        return gate
    choice, target = gate.choice, gate.choice.target
    if gate.shut or not gate.hires:
        return replace(gate, hires=False)
    if target is not None and _acceptance(o).get("revision") == facts(target).number:
        return gate
    # A target's work is live by its owner's edit: only rights wait for it.
    own = o.agent.spec.workload.by_revision and (target is None or choice.rolling)
    if own and target is not None:
        choice = replace(choice, target=choice.stable, gated=target)
    if target is None:
        return replace(gate, shut=own, hires=False, verdict=_first(choice.make))
    verdict = _verdict(o, gate, facts(target).number)
    return _accepted(o, replace(gate, choice=choice, shut=own, hires=False, verdict=verdict), target)


def noted(plan: Plan, gate: Gate) -> Plan:
    """The plan with what the status is to say of who has accepted, before anything follows from it."""
    if not gate.accepts:
        return plan
    said = {"succession": gate.accepts}
    again = min(_AT_ONCE, plan.requeue_after or _AT_ONCE)
    return replace(plan, status={**plan.status, **said}, first={**plan.first, **said}, requeue_after=again)


def _accepted(o: Observed, gate: Gate, target: Child) -> Gate:
    """The gate with the order of a person who accepts. One that was given for what was not there yet fails."""
    orders = gating.promotes(o, target)
    if not orders or o.suspended:
        return gate
    number = facts(target).number
    runs = [child for child in evaluating.known(o) if evaluating.facts(child).revision == number]
    keys = frozenset({target.key, *(child.key for child in runs)})
    if unread := keys - o.live.keys():
        return replace(gate, step=gate.step + Step(needs=unread), takes=frozenset(order.uid for order in orders))
    taken = o.agent.status.get("succession") or {}
    since = max(map(_moment, (taken.get("time", ""), *(_known_since(o.live[key]) for key in keys))))
    order = next((order for order in orders if _moment(order.given) >= since), None)
    if order is None:
        return gate
    acceptance = {"name": order.name, "uid": order.uid, "revision": number}
    return replace(gate, takes=frozenset({order.uid}), accepts={**taken, "acceptance": acceptance})


def _known_since(live: Manifest | None) -> str:
    """Since when a revision was there, or an evaluation had its verdict; RFC 3339."""
    if live is None:
        return ""
    status: Mapping[str, Any] = live.get("status") or {}
    return str(status.get("completedAt") or live["metadata"].get("creationTimestamp") or "")


def _moment(text: str) -> datetime:
    """To the second, as orders have theirs."""
    return datetime.fromisoformat(text or "0001-01-01T00:00:00Z").replace(microsecond=0)


def _acceptance(o: Observed) -> Mapping[str, Any]:
    """What the status says of who has accepted the handover that the spec asks for."""
    if o.agent.spec.succession is None or not succession.received(o):
        return {}
    return (o.agent.status.get("succession") or {}).get("acceptance") or {}


def _first(number: int | None) -> Verdict:
    """What is said while there is nothing yet that could be accepted."""
    what = f"Revision {number}" if number else "What is to serve"
    text = f"{what} is to be recorded first, and then accepted with what the agent took over; no right is bound"
    return words.says(Reason.EVALUATING, text)


def _verdict(o: Observed, gate: Gate, number: int) -> Verdict:
    name, home = o.identity.name, o.identity.namespace
    holds = words.serves(gate.choice) if o.agent.spec.workload.by_revision else "no right is bound"
    return words.says(
        Reason.WAITING_FOR_ACCEPTANCE,
        f"Revision {number} waits for its owner to accept what the agent took over from AIAgent "
        f"{succession.predecessor(o)}; {holds}. Who holds the verb promote on it accepts: "
        f"kubectl aiagent promote {name} -n {home} --reason WHY. {words.other_work(o)}",
    )
