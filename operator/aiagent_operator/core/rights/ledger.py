"""What the permissions of an agent amount to together: segregation of duties, and the bound on their number."""

from __future__ import annotations

from typing import Final

from aiagent_operator.api.conditions import Reason
from aiagent_operator.core.rights.ceilings import Refusal
from aiagent_operator.core.rights.compiled_role import Ask, Bundle, CompiledRole, Duty
from aiagent_operator.core.texts import quoted

MOST_RIGHTS: Final = 512
"""Atomic rights of one agent over all namespaces: so few that each can be proved to be gone when the agent leaves."""


class Ledger:
    """What the permissions so far ask for: their duties and their number of rights."""

    def __init__(self, role: CompiledRole) -> None:
        self._role = role
        self._duties: dict[Duty, str] = {}
        self._size = 0

    def enter(self, ask: Ask, bundle: Bundle, places: int) -> Refusal | None:
        """Enters the permission, or says why it cannot stand beside those entered before."""
        size = bundle.size * places
        if self._size + size > MOST_RIGHTS:
            return Reason.TOO_MANY_RIGHTS, self._too_many(ask, bundle, places)
        if conflict := self._combination(ask, bundle):
            return Reason.FORBIDDEN_COMBINATION, conflict
        self._size += size
        for duty in bundle.duties:
            self._duties.setdefault(duty, ask.name)
        return None

    def _too_many(self, ask: Ask, bundle: Bundle, places: int) -> str:
        before = f", and those before it for {self._size}" if self._size else ""
        return (
            f"{ask.field} asks for {bundle.size} rights in {places} namespace(s), {bundle.size * places} in all{before}"
            f"; an agent may have at most {MOST_RIGHTS} (API groups times resources times verbs times names): ask for "
            "fewer, or divide the work between agents"
        )

    def _combination(self, ask: Ask, bundle: Bundle) -> str | None:
        for combination in sorted({duty.combination for duty in bundle.duties}):
            found = self._role.combinations[combination]
            mine = {duty.duty for duty in bundle.duties if duty.combination == combination}
            others = [self._duties.get(Duty(combination, duty)) for duty in found.duties if duty not in mine]
            if None in others:
                continue
            beside = sorted({other for other in others if other})
            together = f"together with {quoted(beside)} it" if beside else "alone it"
            remedy = f"drop {quoted([ask.name, *beside], ' or ')}" if beside else f"divide {ask.field}"
            return (
                f'{together} makes up the combination "{combination}" that AgentRole "{self._role.name}" forbids '
                f"({found.description}); {remedy}, and give the other part to another agent"
            )
        return None
