"""Following a journal by the agent's status alone: what was noted there is the record once the head tells so.

Each event stands in the status, whole, before it is recorded. Sealed onto the head of then it has the digest that the
head has next: so whoever sees all versions of the status knows the records, byte by byte, without asking the store.
"""

from __future__ import annotations

from aiagent_operator.core.journal.book import Book
from aiagent_operator.core.journal.chain import Entry
from aiagent_operator.core.journal.event import seal
from aiagent_operator.core.journal.head import Head, path
from aiagent_operator.core.objects import AgentIdentity


def recorded(agent: AgentIdentity, before: Book, head: Head) -> tuple[Entry, ...] | None:
    """The records by which the journal came from what a status told to this head.

    None where those that waited do not lead there: a version of the status was missed, or the store held more.
    """
    found, at = [], before.head
    for event in before.waiting.events:
        if at == head:
            break
        raw, at = seal(agent, at, event)
        found.append((path(agent.uid, at.sequence), raw))
    return tuple(found) if at == head else None
