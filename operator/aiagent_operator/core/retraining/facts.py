"""What a decision about an agent's training rests on, from what is observed of the agent."""

from __future__ import annotations

from datetime import datetime

from aiagent_operator.core import learning
from aiagent_operator.core.cadence.due import Cadence
from aiagent_operator.core.cadence.errors import CadenceError
from aiagent_operator.core.objects import Child
from aiagent_operator.core.plan import Observed
from aiagent_operator.core.retraining import due
from aiagent_operator.core.retraining.due import Facts, View
from aiagent_operator.core.revisions import RetrainOrder, facts


def view(o: Observed, known: tuple[Child, ...]) -> View | None:
    """What to do about the agent's training now; None where nothing plans, promises or orders it."""
    order, spec = pending(o, known), o.agent.spec.retraining
    if spec is None and order is None:
        return None
    cadence, problem = _cadence(o)
    return due.view(
        Facts(
            uid=o.identity.uid,
            created=datetime.fromisoformat(o.agent.metadata.creation_timestamp),
            cadence=cadence,
            runs=learning.runs(known),
            problem=problem,
            paused=bool(spec and spec.suspend),
            suspended=_suspended(o),
            ordered=datetime.fromisoformat(order.given) if order else None,
        ),
        datetime.fromisoformat(o.time),
    )


def pending(o: Observed, known: tuple[Child, ...]) -> RetrainOrder | None:
    """The oldest order to train that no training has begun by, and that has not expired."""
    done = {its.training.order for child in known if (its := facts(child)).training}
    now = datetime.fromisoformat(o.time)
    open_ = (order for order in o.retrains if order.uid not in done and now < datetime.fromisoformat(order.until))
    return next(open_, None)


def _cadence(o: Observed) -> tuple[Cadence | None, str]:
    """(cadence, what is wrong with it); None where the spec does not say how the agent is trained."""
    spec = o.agent.spec.retraining
    if spec is None or spec.job_template is None:
        return None, ""
    try:
        return due.cadence(spec), ""
    except CadenceError as error:
        return Cadence(), str(error)


def _suspended(o: Observed) -> str:
    by_spec = ("spec.suspended is true",) if o.agent.spec.suspended else ()
    return "; ".join((*by_spec, *(f"ordered by {order}" for order in o.orders[:4])))
