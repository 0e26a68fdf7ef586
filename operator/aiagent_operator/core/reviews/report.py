"""What is said of an agent's reviews and bias audits: the condition ReviewsPassed, status.reviews, and what holds."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from aiagent_operator.api.agentevaluation import Purpose
from aiagent_operator.api.conditions import Reason, Type, Verdict
from aiagent_operator.api.reviews import MOST_FORMER, MOST_REVIEWS
from aiagent_operator.core import texts
from aiagent_operator.core.evaluation.evaluating import facts
from aiagent_operator.core.objects import Child
from aiagent_operator.core.reviews.due import Turn
from aiagent_operator.core.reviews.runs import Runs

_MOST: Final = 2 * MOST_REVIEWS + MOST_FORMER
_NAMED: Final = 3
_LONGEST, _LONGEST_FOUND = 2000, 1024
_WORDS: Final = {Purpose.REVIEW: "review", Purpose.BIAS_AUDIT: "bias audit"}
_REMEDY: Final = (
    "until a later run is Successful, or who holds the verb promote on aiagents lets others take over all the same: "
    "kubectl aiagent promote NAME --reason WHY"
)


@dataclass(frozen=True, slots=True)
class Standing:
    """How one review or bias audit stands. `serving` is the number of what serves; `finding` the run by which a person
    has to decide about that, released or not."""

    runs: Runs
    serving: int | None
    turn: Turn
    finding: Child | None = None

    def __str__(self) -> str:
        return f'{_WORDS[self.runs.purpose]} "{self.runs.name}"'

    @property
    def held(self) -> bool:
        """Whether nobody has let other revisions take over in spite of it."""
        return self.finding is not None and not facts(self.finding).released


def holds(standings: Iterable[Standing]) -> str:
    """Why no other revision takes over, and how one does; empty where nothing holds it."""
    found = [_found(each) for each in standings if each.held]
    return f"{texts.some(found, _NAMED, '; ')}. It stays so {_REMEDY}"[:_LONGEST] if found else ""


def verdict(standings: Sequence[Standing], trouble: str, *, adopted: bool) -> Verdict | None:
    """ReviewsPassed; None for an agent that has no reviews. `trouble`: why one cannot be run."""
    if not standings and not trouble:
        return None
    status, reason, text = _said(standings, trouble, adopted=adopted)
    return Verdict(Type.REVIEWS_PASSED, status, reason, f"{text[:1].upper()}{text[1:]}"[:_LONGEST])


def _said(standings: Sequence[Standing], trouble: str, *, adopted: bool) -> tuple[bool | None, Reason, str]:
    found = [each for each in standings if each.finding]
    also = f". Besides: {trouble}" if trouble else ""
    if any(each.held for each in found):
        what = texts.some([_found(each) for each in found if each.held], _NAMED, "; ")
        if adopted:
            return False, Reason.FINDING, f"{what}. What its owner changes is live all the same{also}"
        return False, Reason.FINDING, f"{what}. No other revision takes over {_REMEDY}{also}"
    if found:
        what = texts.some([f"{_found(each)}; released by {_by(each)}" for each in found], _NAMED, "; ")
        return False, Reason.FINDING_RELEASED, f"{what}. Other revisions may take over{also}"
    if trouble:
        return None, Reason.REVIEW_INVALID, trouble
    if unclear := [said for each in standings if (said := _unclear(each))]:
        return None, Reason.REVIEW_UNCLEAR, texts.some(unclear, _NAMED, "; ")
    if missing := [said for each in standings if (said := _missing(each))]:
        return None, Reason.NOT_REVIEWED, texts.some(missing, _NAMED, "; ")
    return True, Reason.REVIEWED, f"passed: {texts.some([_passed(each) for each in standings], 2 * MOST_REVIEWS, '; ')}"


def _found(standing: Standing) -> str:
    assert standing.finding is not None  # noqa: S101 - asked only of those that have one
    its = facts(standing.finding)
    groups = f" ({its.groups})" if its.groups else ""
    return f"{standing} of revision {its.revision}, which serves, is {its.phase.value}: {its.message}{groups}"


def _by(standing: Standing) -> str:
    return facts(standing.finding).released_by if standing.finding else ""


def _unclear(standing: Standing) -> str:
    """What is to be said where the newest run on what serves says nothing of it."""
    if standing.serving is None:
        return ""
    own = [child for child in standing.runs.ended if facts(child).revision == standing.serving]
    if not own or own[-1] is standing.runs.last_word(standing.serving):
        return ""
    its = facts(own[-1])
    return f"{standing} of revision {its.revision} is {its.phase.value}: {its.message}{_again(standing)}"


def _missing(standing: Standing) -> str:
    if standing.serving is None:
        return f"{standing} waits until a revision serves"
    if standing.runs.last_word(standing.serving):
        return ""
    if standing.runs.open:
        return f"{standing} of revision {standing.serving} is under way"
    return f"{standing} has not run for revision {standing.serving} yet{_again(standing)}"


def _again(standing: Standing) -> str:
    return f"; next at {texts.moment(standing.turn.next)}" if standing.turn.next else ""


def _passed(standing: Standing) -> str:
    word = standing.runs.last_word(standing.serving or 0)
    return f"{standing} of revision {standing.serving}" + (f" at {facts(word).completed}" if word else "")


def summaries(standings: Sequence[Standing]) -> list[dict[str, Any]]:
    """status.reviews."""
    return [_summary(each) for each in standings[:_MOST]]


def _summary(standing: Standing) -> dict[str, Any]:
    runs, following = standing.runs, standing.turn.next
    newest, active = runs.newest, runs.open
    found = {
        "name": runs.name,
        "purpose": runs.purpose.value,
        "nextScheduleTime": texts.moment(following) if following else None,
        "lastScheduleTime": texts.moment(newest) if newest else None,
        "active": active[-1].key.name if active else None,
        "last": _last(runs.ended[-1]) if runs.ended else None,
        "finding": _finding(standing.finding) if standing.finding else None,
    }
    return {field: value for field, value in found.items() if value is not None}


def _last(child: Child) -> dict[str, Any]:
    its = facts(child)
    when = {"completionTime": its.completed} if its.completed else {}
    return {"evaluation": child.key.name, "revision": its.revision, "phase": its.phase.value, **when}


def _finding(child: Child) -> dict[str, Any]:
    its = facts(child)
    said = f"{its.message} ({its.groups})" if its.groups else its.message
    by = {"releasedBy": its.released_by} if its.released_by else {}
    what = {"evaluation": child.key.name, "revision": its.revision, "phase": its.phase.value}
    return {**what, "message": said[:_LONGEST_FOUND], **by}
