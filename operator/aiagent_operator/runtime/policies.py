"""The policies that exist, and what they demand of an agent: fed by kopf's watch, read at each pass over an agent."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import reduce
from typing import Any, NamedTuple

from aiagent_operator.core.policies.compiled import CompiledPolicy, Subject
from aiagent_operator.core.policies.merged import NOTHING, Merged


class PolicyKey(NamedTuple):
    """A policy in the queue. `kind` keeps it apart from a role of the same name."""

    name: str
    kind: str = "AgentPolicy"


@dataclass(frozen=True, slots=True)
class PolicyRecord:
    """A policy as it was last seen, read once for each generation of its spec."""

    uid: str
    version: int
    generation: int
    status: Mapping[str, Any]
    compiled: CompiledPolicy


class PolicyBook:
    """All policies. `changed` is called with each that is to be looked at, `concern` with the forms of one whose agents
    are: as it was and as it is now, since an agent that it no longer selects is concerned too.

    Agents are many and combinations of policies few, so what one demands is put together once, and nothing is kept for
    an agent.
    """

    def __init__(self, changed: Callable[[PolicyKey], None], concern: Callable[..., None]) -> None:
        self._changed, self._concern = changed, concern
        self.records: dict[str, PolicyRecord] = {}
        self._merged: dict[tuple[str, ...], Merged] = {}

    def observe(self, body: Mapping[str, Any], *, answer: bool = False) -> None:
        """Takes in a policy, unless it is older than what is known. Concerned: it and, of another spec, its agents.

        One that is known no longer has gone since the write whose `answer` this is: nothing would end it again.
        """
        metadata = body["metadata"]
        name, version, generation = metadata["name"], int(metadata["resourceVersion"]), metadata.get("generation", 0)
        known = self.records.get(name)
        same = known is not None and known.uid == metadata["uid"]
        if (known and same and known.version >= version) or (answer and not same):
            return
        same = known is not None and same and known.generation == generation
        compiled = known.compiled if known and same else CompiledPolicy.of(name, body.get("spec"))
        self.records[name] = PolicyRecord(metadata["uid"], version, generation, body.get("status") or {}, compiled)
        if not same:
            self._merged.clear()
            self._concern(compiled, *((known.compiled,) if known else ()))
        self._changed(PolicyKey(name))

    def forget(self, name: str, uid: str) -> None:
        """The policy is gone. Concerned: the agents that it selected."""
        known = self.records.get(name)
        if known is None or known.uid != uid:
            return
        del self.records[name]
        self._merged.clear()
        self._concern(known.compiled)

    def over(self, subject: Subject) -> Merged:
        """What the policies that select an agent demand together."""
        if not self.records:
            return NOTHING
        selecting = tuple(sorted(name for name, r in self.records.items() if r.compiled.scope.covers(subject)))
        found = self._merged.get(selecting)
        if found is None:
            each = (Merged.of(self.records[name].compiled) for name in selecting)
            found = self._merged[selecting] = reduce(Merged.join, each, NOTHING)
        return found
