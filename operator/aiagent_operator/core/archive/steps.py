"""The steps of an agent's end, by the ways in which it can leave. `core/offboarding.py` takes them one after the other.

Each is done when it is seen to be done, so one that was done and is undone (a binding that came back) is done again.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Final

from aiagent_operator.api.archive import Mode


class Step(StrEnum):
    """One step.

    `Cordon`: nothing new begins, and its pods are asked to end. `Drain`: they have ended, or their time is up.
    `Revoke`: no binding of its own is left. `Terminate`: its work and its identity are gone. `Archive`: its rights are
    proved gone, and all that it leaves behind is in the store, read back, certified and on record. `Handover`: the
    successor that it names, if any, has taken over.
    """

    CORDON = "Cordon"
    DRAIN = "Drain"
    REVOKE = "Revoke"
    TERMINATE = "Terminate"
    ARCHIVE = "Archive"
    HANDOVER = "Handover"


STEPS: Final[Mapping[Mode, tuple[Step, ...]]] = {
    Mode.PLANNED: (Step.CORDON, Step.DRAIN, Step.REVOKE, Step.TERMINATE, Step.ARCHIVE, Step.HANDOVER),
    # What has no rights cannot finish its work, so nothing waits for it.
    Mode.EMERGENCY: (Step.REVOKE, Step.TERMINATE, Step.ARCHIVE, Step.HANDOVER),
}
