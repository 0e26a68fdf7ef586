"""What a status says of a journal that has ended, where that is left to the next write."""

from typing import Any

import pytest

from aiagent_operator.api.objectmeta import ObjectMeta
from aiagent_operator.runtime.agentstatus import Ended
from aiagent_operator.runtime.gather import NotYetSeenError

NOTED = {"sequence": 3, "pending": [{"kind": "Terminated"}], "closed": True}
RECORDED = {"sequence": 4, "closed": True}


def ended(journal: dict[str, Any] | None = RECORDED) -> Ended:
    metadata = ObjectMeta.model_validate({"namespace": "crm", "name": "triage", "uid": "u", "resourceVersion": "1"})
    return Ended(metadata, journal, NOTED)


def test_what_was_recorded_is_said_once() -> None:
    assert ended().unsaid({"journal": NOTED}) == {"journal": {"sequence": 4, "pending": None}}
    assert ended().unsaid({"journal": RECORDED}) == {}, "somebody else has said it"
    assert ended(None).unsaid({}) == {}, "there is no journal"


def test_nothing_is_said_of_a_journal_that_has_become_another() -> None:
    with pytest.raises(NotYetSeenError):
        ended().unsaid({"journal": {**NOTED, "sequence": 9}})
