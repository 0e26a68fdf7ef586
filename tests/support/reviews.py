"""Agents with reviews and bias audits, for tests of decisions."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from aiagent_operator.api.agentevaluation import Measurement, Phase, Provider, Purpose
from aiagent_operator.core import texts
from aiagent_operator.core.children import evaluation
from aiagent_operator.core.children.evaluation import Occasion
from aiagent_operator.core.evaluation.asking import AskedFor
from aiagent_operator.core.objects import Child, ChildKind, EvaluationFacts, Manifest, ObjectKey
from aiagent_operator.core.plan import Observed
from aiagent_operator.core.rollout.facts import OrderKind, RolloutOrder
from support.decisions import IDENTITY
from support.gates import BEGIN, Desk, template

PHASES = {
    "S": Phase.SUCCESSFUL,
    "F": Phase.FAILED,
    "I": Phase.INCONCLUSIVE,
    "E": Phase.ERROR,
    "R": Phase.RUNNING,
}
HOUR = dt.timedelta(hours=1)


def run(
    letters: str, number: int, *, revision: int = 1, purpose: Purpose = Purpose.REVIEW, name: str = "live"
) -> Child:
    """The run of a review for the hour of this number, such as `F`, or `F*` for one that was released."""
    at = texts.moment(BEGIN + number * HOUR)
    its = EvaluationFacts(
        revision,
        name,
        purpose,
        Provider.PROMETHEUS,
        PHASES[letters[0]],
        f"run {number} said so",
        scheduled=at,
        completed="" if letters[0] == "R" else at,
        released="uid-order" if letters[1:] else "",
        released_at=at if letters[1:] else "",
        released_by="AgentAction go by jane (read)" if letters[1:] else "",
    )
    key = evaluation.key_of(IDENTITY, revision, name, Occasion(purpose, f"h{number}", scheduled=at))
    return Child(key, f"uid-{key.name}", "1", IDENTITY.uid, "", evaluation=its)


def supervised(**lists: Any) -> Manifest:
    """spec.supervision with the evaluations by Prometheus that its entries name, where it does not define them."""
    names = sorted({entry["name"] for field in ("reviews", "biasAudits") for entry in lists.get(field, ())})
    own = {each["name"] for each in lists.get("evaluations", ())}
    return {**lists, "evaluations": [*lists.get("evaluations", ()), *(template(n) for n in names if n not in own)]}


class Room(Desk):
    """A desk whose agent was created at BEGIN, and may be ordered to be promoted."""

    def __init__(self, *permissions: Manifest, **spec: Any) -> None:
        super().__init__(*permissions, **spec)
        self.orders: list[RolloutOrder] = []

    def look(self, live: Mapping[ObjectKey, Manifest | None], measured: Mapping[AskedFor, Measurement]) -> Observed:
        o = super().look(live, measured)
        metadata = o.agent.metadata.model_copy(update={"creation_timestamp": texts.moment(BEGIN)})
        agent = o.agent.model_copy(update={"metadata": metadata})
        return replace(o, agent=agent, steering=tuple(self.orders), moment=self.at)

    def become_ready(self) -> None:
        """All pods that are asked for become ready."""
        self.ready = True
        for key, body in self.bodies.items():
            if key.kind is ChildKind.DEPLOYMENT:
                self._run(body)

    def promote(self, uid: str = "p1", kind: OrderKind = OrderKind.PROMOTE) -> None:
        """Somebody orders it now."""
        self.orders.append(RolloutOrder(uid, kind, f"AgentAction {uid} by jane (read)", texts.moment(self.at)))

    def carried(self, uid: str = "p1") -> tuple[bool, str] | None:
        """What the agent's status says of an order."""
        for entry in (self.status.get("rollout") or {}).get("orders", ()):
            if entry["uid"] == uid:
                return bool(entry.get("done")), entry["message"]
        return None

    def runs(self) -> list[str]:
        """Names of the runs of reviews and audits, as `name.suffix phase`."""
        return [f"{name} {phase}" for name, phase in sorted(self.phases().items()) if "." in name]
