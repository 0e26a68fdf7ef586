"""An order as it was last seen."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from pydantic import ValidationError

from aiagent_operator.api import meta
from aiagent_operator.api.agentaction import Action, ActionPhase, AgentAction, AgentActionSpec
from aiagent_operator.api.fields import unreadable
from aiagent_operator.core import order_reading
from aiagent_operator.core.orders import FINISHED, Order

_PHASES: Final = {phase.value: phase for phase in ActionPhase}


@dataclass(frozen=True, slots=True)
class OrderRecord:
    """An order as it was last seen; `order` is None where nothing of it can be read. `problem`: what cannot be."""

    uid: str
    version: int
    generation: int
    status: Mapping[str, Any]
    order: Order | None
    problem: str = ""
    finalizers: tuple[str, ...] = ()

    @property
    def passed(self) -> tuple[bool, bool, bool]:
        """Whether it is over, is being deleted, and is an accepted Abandon: whoever it is about hears of it."""
        return self.finished, self.order is not None and self.order.deleting, self.accepted is not None

    @property
    def finished(self) -> bool:
        """Whether it has been carried out, or will not be."""
        return self.order is not None and self.order.phase in FINISHED

    @property
    def accepted(self) -> Order | None:
        """The Abandon of which it is on record that it may be carried out, where it is one."""
        order = self.order
        if order is None or order.spec.action is not Action.ABANDON or order.deleting:
            return None
        return order if order.phase is ActionPhase.PENDING else None

    @property
    def abandons(self) -> tuple[str, str] | None:
        """Namespace and name of the agent that an Abandon is about; None for other orders."""
        order = self.order
        if order is None or order.spec.action is not Action.ABANDON or order.spec.agent_ref is None:
            return None
        return order.home, order.spec.agent_ref.name

    @property
    def archive(self) -> str:
        """Name of the archive that it is about; empty where it is about none."""
        named = self.order.spec.archive_ref if self.order else None
        return named.name if named else ""


def read(body: Mapping[str, Any], before: Order | None = None) -> OrderRecord:
    """The record of an order as the API server gives it; `before`: the same order as it was seen last."""
    metadata, status = body["metadata"], body.get("status") or {}
    finalizers = tuple(metadata.get("finalizers") or ())
    head = (metadata["uid"], int(metadata["resourceVersion"]), metadata.get("generation", 0), status)
    problem = ""
    try:
        spec: AgentActionSpec | None = AgentAction.model_validate(body).spec
    except ValidationError as error:
        spec, problem = order_reading.strictest(body.get("spec") or {}), unreadable(error)
    if spec is None:
        return OrderRecord(*head, None, problem, finalizers)
    order = Order(
        metadata["namespace"],
        metadata["name"],
        metadata["uid"],
        head[1],
        dt.datetime.fromisoformat(metadata["creationTimestamp"]),
        spec,
        dt.datetime.fromisoformat(status["completionTime"]) if "completionTime" in status else None,
        _PHASES.get(status.get("phase", "")),
        deleting="deletionTimestamp" in metadata,
        guarded=meta.HOLD_FINALIZER in finalizers,
        partial=bool(problem),
        oldest=before.oldest if before else head[1],
        fresh=before.fresh if before else not status,
    )
    return OrderRecord(*head, order, problem, finalizers)
