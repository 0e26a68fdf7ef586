"""In which archive store the journal of an agent is."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from aiagent_operator.api.conditions import Reason
from aiagent_operator.core import texts
from aiagent_operator.core.policies.merged import Strictest


@dataclass(frozen=True, slots=True)
class Place:
    """A store by its name; else why there is none, and what to do about it."""

    store: str = ""
    reason: Reason = Reason.ACCEPTED
    problem: str = ""


def choose(began: str, demanded: Sequence[Strictest[str]], default: str, known: Collection[str]) -> Place:
    """The store of one agent.

    A journal stays where it began. Else policies say where: data that has to stay in a region must not go elsewhere
    because two of them contradict each other, so then it is recorded nowhere until they agree. Where none says
    anything, it is the default.
    """
    if began:
        return _known(began, known, "its journal is there")
    if len(demanded) > 1:
        text = f"policies want its journal in several archive stores: {texts.some(demanded, separator='; ')}"
        return Place("", Reason.STORE_DISPUTED, f"{text}. Let them name one")
    if demanded:
        return _known(demanded[0].value, known, f"so says {demanded[0].sources[0]}")
    return _known(default, known, "it is the default")


def _known(store: str, known: Collection[str], why: str) -> Place:
    if store in known:
        return Place(store)
    text = f'there is no archive store "{store}" ({why}): describe it in AIAGENT_ARCHIVE_FILE (values archive.stores)'
    return Place("", Reason.STORE_NOT_FOUND, text)
