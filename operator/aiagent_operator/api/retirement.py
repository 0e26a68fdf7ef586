"""What is kept of an agent when it leaves, and for how long."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Final

from pydantic import ConfigDict

from aiagent_operator.api.fields import Model, cel, described, rules
from aiagent_operator.api.journalstatus import StoreName
from aiagent_operator.api.memory import LogVolume, Memory
from aiagent_operator.api.retraining import Interval, duration
from aiagent_operator.api.succession import AgentRef

DRAIN: Final = timedelta(minutes=10)
"""For an order that does not hurry, where the spec does not say how long."""


class DecisionLog(Model):
    """Where the agent writes what it decides."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            cel(
                "has(self.store) != has(self.volume)",
                "name either a store or a volume: a decision log lies in one place",
            )
        )
    )

    store: StoreName | None = described(
        "Name of an archive store of the operator. What lies in it below decisions/<namespace>/<name of the agent>/ "
        "goes into the archive, encrypted.",
        default=None,
    )
    volume: LogVolume | None = described(
        "A volume, archived as its memory is. Who names it must hold get on persistentvolumeclaims.",
        default=None,
    )


class Retirement(Model):
    """What becomes of the agent when it leaves."""

    decision_log: DecisionLog | None = described("Where the agent writes what it decides.", default=None)
    drain_timeout: Annotated[str, duration("0s", "168h")] | None = described(
        "How long it keeps its rights when it leaves by plan, until the last of its pods has ended at most. By default "
        "10m for an order Offboard, and nothing for a deletion: its rights end first.",
        default=None,
    )

    memory: Memory | None = described(
        "The volume on which its memory is, which is archived, encrypted, once the agent has ended. Who names it must "
        "hold get on persistentvolumeclaims.",
        default=None,
    )
    retention: Interval | None = described(
        "How long its archive is kept at least, such as 52560h. Of all that ask for something (this, its role, the "
        "policies that select it) the longest holds; where nobody does, it is 180 days.",
        default=None,
    )
    successor_ref: AgentRef | None = described(
        "The agent that comes after it, which names it in spec.succession. Archived, its object waits until that one "
        "has taken over and is hired.",
        default=None,
    )

    @property
    def volumes(self) -> tuple[Memory, ...]:
        """The volumes that are archived when it leaves."""
        log = self.decision_log.volume if self.decision_log else None
        return tuple(volume for volume in (log, self.memory) if volume is not None)
