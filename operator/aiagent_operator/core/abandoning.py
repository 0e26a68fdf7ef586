"""When an agent that leaves and cannot be archived may be released without an archive, and what becomes of the order.

Its rights are proved gone first, always. An order is accepted where it was given late enough after their end, by the
policies about the agent; a legal hold stands against it. What it gives up is only what cannot be had: an archive that
is sealed and can be read is put on record instead. Once the agent's status says that it is abandoned, nothing of it is
archived any more, whoever looks.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from aiagent_operator.api.abandonment import Abandonment
from aiagent_operator.api.agentaction import ActionPhase
from aiagent_operator.api.archive import Gap, GapReason
from aiagent_operator.api.conditions import Reason
from aiagent_operator.api.durations import format_duration
from aiagent_operator.core import capturing, leaving, texts, written
from aiagent_operator.core.archive import layout, manifest
from aiagent_operator.core.order_facts import NAMED, Order, OrderPlan, carried_out, ended, reconciling
from aiagent_operator.core.plan import Observed
from aiagent_operator.core.policies.merged import Merged
from aiagent_operator.core.untrusted import line

DEFAULT: Final = timedelta(hours=72)
"""How long after the end of its rights where no policy says anything: a weekend is over by then."""

_LONGEST: Final = 1000
_LOST: Final = ("actions", layout.HANDBOOK, layout.LOGS, *layout.RECORDS, layout.JOURNAL, layout.RIGHTS, layout.SPEC)


@dataclass(frozen=True, slots=True)
class Facts:
    """What an order asks of the agent.

    `since`: when its rights ended; None while it does not leave. `holds`: legal holds on its archive. `said`:
    `status.archive` of it.
    """

    name: str
    since: datetime | None
    policies: Merged
    holds: tuple[Order, ...] = ()
    said: Mapping[str, Any] | None = None


def since(status: Mapping[str, Any], deletion: str | None, orders: Iterable[Order], now: datetime) -> datetime | None:
    """When the rights of an agent that leaves end at the latest; None while it stays.

    `deletion` is RFC 3339. Where the status does not say yet, which a full journal may keep it from, it is the moment
    at which it began to leave.
    """
    if said := (status.get("offboarding") or {}).get("rightsEnd"):
        return datetime.fromisoformat(said)
    moments = [order.begins for order in leaving.in_force(orders, now)]
    if deletion:
        moments.append(datetime.fromisoformat(deletion))
    return min(moments, default=None)


def granted(o: Observed) -> bool:
    """Whether the agent is to be released without an archive, where it has none by then."""
    if given_up(o.agent.status):
        return True
    if o.abandon is None or o.moment >= o.abandon.deadline:
        return False
    return _obstacle(o.abandon, Facts(o.identity.name, _since(o), o.policies)) is None


def given_up(status: Mapping[str, Any]) -> bool:
    """Whether its status says that it is abandoned: nothing brings that back."""
    return bool((status.get("archive") or {}).get("abandoned"))


def note(order: Order, now: datetime, why: str) -> dict[str, Any]:
    """What the agent's status says before anything is given up. `why` it could not be archived."""
    said = Abandonment(
        uid=order.uid,
        namespace=order.namespace,
        order=order.name,
        by=order.spec.requested_by,
        reason=order.spec.reason,
        time=now,
        message=line(why, _LONGEST),
    )
    return said.model_dump(mode="json", by_alias=True)


def gaps(raw: Mapping[str, Any], *, terminating: bool) -> tuple[Gap, ...]:
    """What is in no archive, and why, by the agent as it is now."""
    status = raw["status"]
    why = status["archive"]["abandoned"]["message"]
    found = {path: manifest.gap(path, GapReason.ABANDONED, why) for path in (*_LOST, *_named(raw))}
    found |= {gap.path: gap for gap in capturing.known(status, terminating=terminating)}
    return tuple(found[path] for path in sorted(found))


def _named(raw: Mapping[str, Any]) -> list[str]:
    """Paths of what an agent leaves only where its spec, as its author wrote it, names where that is."""
    kept = {
        layout.MEMORY: ("memory",),
        layout.DECISION_LOG: ("decisionLog", "volume"),
        layout.DECISIONS: ("decisionLog", "store"),
    }
    return [path for path, fields in kept.items() if written.at(raw, "spec", "retirement", *fields) is not None]


def hint(o: Observed) -> str:
    """From when on it may be abandoned, for whoever reads why its archive waits."""
    ended_at = _since(o)
    if ended_at is None:
        return ""
    term, asked = _term(o.policies)
    return (
        f"From {texts.moment(ended_at + term)} on ({asked}, after the end of its rights) it can be released without an "
        "archive: order Abandon then, with the verb abandon"
    )


def decide(order: Order, agent: Facts | None, record: str) -> OrderPlan:
    """What becomes of an order. `agent`: None where there is none of that name. `record`: name of the AgentArchive that
    says what it has done; empty before."""
    name = f"{order.home}/{order.spec.agent_ref.name if order.spec.agent_ref else ''}"
    said = (agent.said if agent else None) or {}
    mine = (said.get("abandoned") or {}).get("uid") == order.uid
    if record and (not mine or said.get("completed")):
        text = f"AIAgent {name} was released without an archive: AgentArchive {record} says what is missing, and why"
        done = carried_out(text, [])
        return OrderPlan(done.phase, done.verdicts, 1, 1)
    if agent is None:
        return _failed(Reason.NO_AGENT, f"There is no AIAgent {name}: name one that exists")
    if mine:
        text = f"AIAgent {name} is released: it is put on record that there is no archive of it"
        return OrderPlan(ActionPhase.PENDING, reconciling(Reason.ABANDONING, text), 1, begun=True)
    if said.get("abandoned"):
        return _failed(Reason.OVERTAKEN, f"AIAgent {name} is abandoned already, by another order")
    if said.get("completed"):
        text = f"AIAgent {name} is archived, as AgentArchive {said.get('name')}: there is nothing to abandon"
        return _failed(Reason.ARCHIVED, text)
    if (found := _obstacle(order, agent)) is not None:
        return _failed(*found)
    text = (
        f"Accepted: waiting for the rights of AIAgent {name} to be proved gone, and for a last attempt to archive it; "
        "its condition Ready says how far it is"
    )
    return OrderPlan(ActionPhase.PENDING, reconciling(Reason.ABANDONING, text), 1)


def _obstacle(order: Order, agent: Facts) -> tuple[Reason, str] | None:
    """Why the order may not be carried out, and the remedy."""
    if agent.since is None:
        text = f"AIAgent {agent.name} does not leave: order Offboard, or delete it, and it is archived"
        return Reason.NOT_LEAVING, text
    if broken := agent.policies.broken:
        return Reason.POLICY_UNREADABLE, "; ".join(map(str, broken))
    if agent.holds:
        return Reason.STILL_HELD, _held(agent.name, agent.holds)
    term, asked = _term(agent.policies)
    if order.created < (begins := agent.since + term):
        text = (
            f"AIAgent {agent.name} may be abandoned from {texts.moment(begins)} on: {asked}, after its rights have "
            f"ended at {texts.moment(agent.since)}. Mend what keeps it from being archived, or give the order then"
        )
        return Reason.TOO_EARLY, text
    return None


def _held(name: str, holds: Collection[Order]) -> str:
    said = texts.some((f"AgentAction {hold.namespace}/{hold.name}" for hold in holds), NAMED)
    return f"What is archived of AIAgent {name} is held by {said}: release it first, with the verb release"


def _term(policies: Merged) -> tuple[timedelta, str]:
    asked = policies.abandon_after
    return (DEFAULT, f"{format_duration(DEFAULT)} by default") if asked is None else (asked.value, str(asked))


def _since(o: Observed) -> datetime | None:
    return since(o.agent.status, o.agent.metadata.deletion_timestamp, o.offboards, o.moment)


def _failed(reason: Reason, text: str) -> OrderPlan:
    plan = ended(ActionPhase.FAILED, reason, text, [])
    return OrderPlan(plan.phase, plan.verdicts, 1)
