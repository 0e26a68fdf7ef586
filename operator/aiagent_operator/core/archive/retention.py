"""How long an archive is kept: of all who ask, whoever asks for the longest wins, and is named."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from aiagent_operator.api import durations
from aiagent_operator.api.agentrole import AgentRoleSpec
from aiagent_operator.api.archive import MOST_SOURCES, RetentionRecord
from aiagent_operator.core.archive.errors import ArchiveError

DEFAULT: Final = timedelta(days=180)
"""Where nobody says anything. Regulation (EU) 2024/1689 (AI Act), Art. 26(6): deployers of high-risk systems keep the
logs under their control for at least six months. It is evidence for that rule, and no more; other law asks for longer.
"""

DEFAULT_SOURCE: Final = "the default"

_SECOND: Final = timedelta(seconds=1)


@dataclass(frozen=True, slots=True)
class Claim:
    """Who asks that the archive be kept for how long, such as `AgentPolicy eu` or `spec.retirement.retention`."""

    source: str
    duration: timedelta


def role(name: str, spec: AgentRoleSpec) -> tuple[Claim, ...]:
    """What an AgentRole asks for. Raises ArchiveError where it is no duration."""
    if spec.archive is None:
        return ()
    source = f'AgentRole "{name}"'
    try:
        return (Claim(source, durations.parse(spec.archive.retention, f"{source} spec.archive.retention")),)
    except durations.DurationError as error:
        raise ArchiveError(str(error)) from error


@dataclass(frozen=True, slots=True)
class Retention:
    """For how long the archive is kept, since when, and all who ask for just so long."""

    since: datetime
    duration: timedelta
    sources: tuple[str, ...]

    @property
    def until(self) -> datetime:
        """The first moment at which nothing keeps the archive any more, legal holds aside."""
        return self.since + self.duration

    def record(self) -> RetentionRecord:
        """The retention as the manifest has it."""
        written = durations.format_duration(self.duration)
        return RetentionRecord(duration=written, until=self.until, sources=self.sources[:MOST_SOURCES])


def decide(claims: Iterable[Claim], since: datetime, *, default: timedelta = DEFAULT) -> Retention:
    """The retention, of which `since` is when the archive is sealed.

    The default counts only where nobody asks for anything. Moments are cut to seconds, and durations rounded up to
    them. Raises ArchiveError for a moment without a time zone, and for durations below zero or beyond ten years.
    """
    if since.tzinfo is None:
        raise ArchiveError("the beginning of the retention has no time zone: give a moment in UTC")
    asked = list(claims) or [Claim(DEFAULT_SOURCE, default)]
    for claim in asked:
        if not timedelta() <= claim.duration <= durations.LONGEST:
            raise ArchiveError(
                f"{claim.source} asks for a retention of {durations.format_duration(claim.duration)}: write 0s to "
                f"{durations.format_duration(durations.LONGEST)}"
            )
    longest = max(claim.duration for claim in asked)
    sources = tuple(sorted({claim.source for claim in asked if claim.duration == longest}))
    found = Retention(since.astimezone(UTC).replace(microsecond=0), -(-longest // _SECOND) * _SECOND, sources)
    try:
        _ = found.until
    except OverflowError as error:
        raise ArchiveError(
            f"a retention that begins at {since.isoformat()} ends after the year 9999: set the clock"
        ) from error
    return found


def recorded(record: RetentionRecord, since: datetime) -> Retention:
    """The retention that a manifest has. Raises ArchiveError where it contradicts itself, or is no duration."""
    try:
        duration = durations.parse(record.duration, "retention.duration")
    except durations.DurationError as error:
        raise ArchiveError(str(error)) from error
    found = decide([Claim(source, duration) for source in record.sources], since)
    if found.until != record.until:
        raise ArchiveError(
            f"retention.until is {record.until.isoformat()}, and created with retention.duration gives "
            f"{found.until.isoformat()}: get an undamaged copy of the manifest"
        )
    return found


def now_asked(sealed: Retention, claims: Iterable[Claim]) -> Retention:
    """The retention where rules have changed since: they may ask for longer than the manifest, and never for less."""
    return decide([*(Claim(source, sealed.duration) for source in sealed.sources), *claims], sealed.since)
