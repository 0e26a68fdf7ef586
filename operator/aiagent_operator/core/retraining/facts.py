"""The facts about an agent's training, read from what is observed of it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime

from aiagent_operator.api.objectmeta import ObjectMeta
from aiagent_operator.core.cadence.due import Cadence
from aiagent_operator.core.cadence.errors import CadenceError
from aiagent_operator.core.objects import Child
from aiagent_operator.core.plan import Observed
from aiagent_operator.core.policies.merged import Merged
from aiagent_operator.core.retraining import due, triggers
from aiagent_operator.core.retraining.due import Facts, View, view
from aiagent_operator.core.versions import learning
from aiagent_operator.core.versions.revisions import RetrainOrder
from aiagent_operator.core.versions.revisions import facts as facts_of


def look(o: Observed) -> Observed:
    """What is observed, with what is true of the agent's training. Nothing is, where nothing is demanded of it."""
    if not o.policies.names and not o.retrains and o.agent.spec.retraining is None:
        return o
    found = facts(o)
    if found.cadence is None and not found.policies.names and found.ordered is None and not found.runs:
        return o
    return replace(o, training=view(found, o.now))


def facts(o: Observed) -> Facts:
    """What a decision about the agent's training rests on."""
    cadence, problem = _cadence(o)
    order, spec = pending(o), o.agent.spec.retraining
    return Facts(
        uid=o.identity.uid,
        created=created(o.agent.metadata, o.now),
        cadence=cadence,
        policies=o.policies,
        runs=learning.runs(_revisions(o.children.values())),
        problem=problem,
        paused=bool(spec and spec.suspend),
        suspended="; ".join(stops(o)),
        ordered=datetime.fromisoformat(order.given) if order else None,
        causes=triggers.causes(o),
    )


def leaving(o: Observed) -> View | None:
    """What is true of an agent that is not trained any more, or not yet: it is selected, and may still train."""
    return bare(o.agent.metadata, o.policies, o.children.values(), o.now)


def bare(metadata: ObjectMeta, policies: Merged, children: Iterable[Child], now: datetime) -> View | None:
    """What is true of an agent that is not decided about: whether it trains, and whose slot it holds then."""
    if not policies.names:
        return None
    runs = learning.runs(_revisions(children))
    return view(Facts(metadata.uid, created(metadata, now), None, policies, runs), now)


def pending(o: Observed) -> RetrainOrder | None:
    """The oldest order to train that no training has begun by, and that has not expired."""
    trained = [facts_of(child).training for child in _revisions(o.children.values())]
    done = {training.order for training in trained if training}
    left = (each for each in o.retrains if each.uid not in done and o.now < datetime.fromisoformat(each.until))
    return next(left, None)


def stops(o: Observed) -> tuple[str, ...]:
    """What suspends the agent, the age of its training aside."""
    by_spec = ("spec.suspended is true",) if o.agent.spec.suspended else ()
    return (*by_spec, *(f"ordered by {order}" for order in o.orders[:4]))


def created(metadata: ObjectMeta, now: datetime) -> datetime:
    """Since when the agent exists; a manifest that no API server has stored exists since now."""
    return datetime.fromisoformat(metadata.creation_timestamp) if metadata.creation_timestamp else now


def _revisions(children: Iterable[Child]) -> list[Child]:
    return [child for child in children if child.revision]


def _cadence(o: Observed) -> tuple[Cadence | None, str]:
    """(cadence, what is wrong with it); None where the spec does not say how the agent is trained."""
    spec = o.agent.spec.retraining
    if spec is None or spec.job_template is None:
        return None, ""
    try:
        return due.cadence(spec), ""
    except CadenceError as error:
        return Cadence(), str(error)
