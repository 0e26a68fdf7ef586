"""The records of an agent's versions, as commands read them: raw objects, as in view.py."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Self

from aiagent_operator.api import meta
from aiagent_operator.api.conditions import Reason, Type
from aiagent_operator.cli import view
from aiagent_operator.cli.errors import CliError
from aiagent_operator.cli.kube import Cluster, Object, path

SERVES: Final = "serves"
TAKES_OVER: Final = "takes over"
STARTS: Final = "starts"
HELD_BACK: Final = "is held back"
EVALUATED: Final = "is evaluated"
WAITS: Final = "waits for a person"
REJECTED: Final = "is rejected"
_WAITS: Final = (
    Reason.HELD_BY_FINDING.value,
    Reason.EVALUATION_INCONCLUSIVE.value,
    Reason.WAITING_FOR_ACCEPTANCE.value,
)


def of(cluster: Cluster, agent: Object) -> list[Object]:
    """The agent's revisions, newest first. They are selected by its UID, so that those of a former agent of the same
    name, which are on their way out, are not among them."""
    metadata = agent["metadata"]
    what = f"AgentRevisions of AIAgent {metadata['namespace']}/{metadata['name']}"
    selector = f"{meta.LABEL_AGENT_UID}={metadata['uid']}"
    found = cluster.list(path("agentrevisions", metadata["namespace"]), what=what, selector=selector)
    records = [{"apiVersion": meta.API_VERSION, "kind": "AgentRevision", **item} for item in found]
    return sorted(records, key=number, reverse=True)


def number(record: Object) -> int:
    """Its number."""
    found: int = record["spec"]["number"]
    return found


def state(record: Object) -> str | None:
    """Where it is in its life."""
    found: str | None = (record.get("status") or {}).get("state")
    return found


@dataclass(frozen=True, slots=True)
class Standing:
    """What the agent's status says of its revisions, by their numbers; None where none does so."""

    serves: int | None = None
    takes_over: int | None = None
    held_back: int | None = None
    candidate: int | None = None
    rejected: int | None = None
    waits: bool = False

    @classmethod
    def of(cls, agent: Mapping[str, Any]) -> Self:
        """As it is in status.revision; a condition tells a candidate that waits from one that is evaluated."""
        found = (agent.get("status") or {}).get("revision") or {}
        return cls(
            found.get("stable"),
            found.get("rollingOut"),
            found.get("heldBack"),
            found.get("candidate"),
            found.get("rejected"),
            view.condition(agent, Type.REVISION_ACCEPTED).get("reason") in _WAITS,
        )

    def word(self, number: int) -> str:
        """What it says of one revision; empty for one that is history."""
        coming = TAKES_OVER if self.serves else STARTS
        words = {
            self.rejected: REJECTED,
            self.candidate: WAITS if self.waits else EVALUATED,
            self.held_back: HELD_BACK,
            self.takes_over: coming,
            self.serves: SERVES,
        }
        return words.get(number, "")

    def __str__(self) -> str:
        every = (self.serves, self.takes_over, self.held_back, self.candidate, self.rejected)
        known = sorted(number for number in every if number)
        return ", ".join(f"{number} {self.word(number)}" for number in known)


def pick(records: list[Object], wanted: int, agent: Object) -> Object:
    """The record of that number; CliError with those that there are."""
    for record in records:
        if number(record) == wanted:
            return record
    which = f"AIAgent {agent['metadata']['namespace']}/{agent['metadata']['name']}"
    numbers = ", ".join(str(number(record)) for record in records)
    there = f"name one of {numbers}" if numbers else "none is recorded yet"
    raise CliError(f"{which} has no revision {wanted}: {there}; how many are kept is spec.revisionHistoryLimit")


def worked(record: Mapping[str, Any]) -> Object:
    """What the agent is in a revision: the work that was asked for, with what its training has made of it."""
    work, status = record["spec"]["work"], record.get("status") or {}
    trained, model = status.get("work") or {}, (status.get("result") or {}).get("model")
    return {**work, **trained, **({"model": model} if trained and model else {})}


def model(work: Mapping[str, Any]) -> str:
    """Its model as provider/name, with the version where there is one."""
    found = work.get("model") or {}
    name = "/".join(found[key] for key in ("provider", "name") if found.get(key))
    return f"{name}@{found['version']}" if found.get("version") else name
