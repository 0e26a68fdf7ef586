"""What a status says of a journal that has ended, where that is left to the next write, and what it need not say."""

from typing import Any

import pytest

from aiagent_operator.api.conditions import Reason, Type, Verdict
from aiagent_operator.api.objectmeta import ObjectMeta
from aiagent_operator.core.plan import Plan
from aiagent_operator.runtime.agentstatus import AgentStatusWriter, Ended
from aiagent_operator.runtime.gather import NotYetSeenError
from aiagent_operator.runtime.journal import Journal
from aiagent_operator.runtime.queue import WorkQueue
from aiagent_operator.runtime.slots import Slots
from aiagent_operator.runtime.store import AgentKey, Key, Store

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


class NobodyError(Exception):
    """The API server was asked."""


class Nobody:
    """An API server that is not to be asked."""

    async def request(self, *_: object, **__: object) -> dict[str, Any]:
        raise NobodyError


@pytest.mark.parametrize(
    ("wrote", "patience", "said"), [(True, 5.0, False), (False, 5.0, True), (True, 0.0, True), (False, 0.0, True)]
)
async def test_what_was_begun_a_moment_ago_is_said_only_where_it_goes_on(
    wrote: bool,
    patience: float,
    said: bool,
) -> None:
    queue: WorkQueue[Key] = WorkQueue(backoff_initial=1, backoff_max=1)
    store, key = Store(queue.add), AgentKey("crm", "triage")
    metadata = {"namespace": "crm", "name": "triage", "uid": "u", "resourceVersion": "1", "generation": 1}
    store.observe_agent({"metadata": metadata})
    api: Any = Nobody()
    statuses = AgentStatusWriter(api, store, queue, Slots(1), Journal(store, queue))
    plan = Plan(verdicts=(Verdict(Type.READY, False, Reason.OFFBOARDING, "waiting"),), patience=patience)
    report = statuses.report(key, store.agents[key], plan, wrote=wrote)
    if said:
        with pytest.raises(NobodyError):
            await report
    else:
        await report
    assert queue.scheduled == (not said), "it is looked at again when the time is up"
