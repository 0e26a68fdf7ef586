"""How long archives are kept, what stands against destroying them, and what stays when it was done."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiagent_operator.api import durations
from aiagent_operator.api.tombstone import Destroyed, Order
from aiagent_operator.core.archive import layout, manifest, retention, tombstone, wire
from aiagent_operator.core.archive.disposal import Ground, Hold, Obstacle, Standing, permitted
from aiagent_operator.core.archive.errors import ArchiveError
from aiagent_operator.core.archive.retention import DEFAULT, DEFAULT_SOURCE, Claim, Retention, decide, now_asked
from aiagent_operator.core.archive.tombstone import Destruction
from support import archives
from support.archives import CLAIMS, DONE, SEALED

NAIVE = SEALED.replace(year=1970, tzinfo=None)
YEAR = timedelta(days=365)
CLAIM = st.builds(Claim, st.sampled_from(["a", "b", "c", "d"]), st.timedeltas(timedelta(), durations.LONGEST))
MOMENTS = st.datetimes(NAIVE, NAIVE.replace(year=2900), timezones=st.just(UTC))
KEPT = decide(CLAIMS, SEALED)
HOLD = Hold("hold-triage", "legal@corp.example", SEALED, Ground.LEGAL_CLAIMS, "case 17")


@given(st.lists(CLAIM, min_size=1), MOMENTS)
def test_nobody_who_asks_gets_less_and_whoever_asks_for_the_longest_is_named(
    claims: list[Claim], since: datetime
) -> None:
    found = decide(claims, since)
    begins = since.replace(microsecond=0)
    assert all(found.until >= begins + claim.duration for claim in claims)
    assert found.until < begins + max(claim.duration for claim in claims) + timedelta(seconds=1)
    longest = max(claim.duration for claim in claims)
    assert set(found.sources) == {claim.source for claim in claims if claim.duration == longest}


@given(st.lists(CLAIM), st.lists(CLAIM), MOMENTS)
def test_one_more_who_asks_never_shortens_it(some: list[Claim], more: list[Claim], since: datetime) -> None:
    if some:
        assert decide([*some, *more], since).until >= decide(some, since).until
    sealed = decide(some, since)
    assert now_asked(sealed, more).until == max(
        sealed.until, *(decide([claim], since).until for claim in more), since.replace(microsecond=0)
    )


@given(st.lists(CLAIM), MOMENTS)
def test_the_record_reads_back_to_the_retention(claims: list[Claim], since: datetime) -> None:
    found = decide(claims, since)
    assert retention.recorded(found.record(), since.replace(microsecond=0)) == found


def test_the_default_counts_only_where_nobody_asks() -> None:
    assert decide([], SEALED) == Retention(SEALED, DEFAULT, (DEFAULT_SOURCE,))
    assert decide([Claim("AgentPolicy short", timedelta(hours=1))], SEALED).until == SEALED + timedelta(hours=1)
    assert decide([], SEALED, default=YEAR).duration == YEAR


def test_other_time_zones_mean_the_same_moment() -> None:
    there = SEALED.astimezone(timezone(timedelta(hours=14)))
    assert decide(CLAIMS, there) == KEPT


@pytest.mark.parametrize(
    ("claims", "since", "message"),
    [
        ([], NAIVE, "no time zone"),
        ([Claim("AgentPolicy x", timedelta(seconds=-1))], SEALED, "AgentPolicy x asks for a retention of -1s"),
        ([Claim("AgentPolicy x", durations.LONGEST + timedelta(1))], SEALED, "write 0s to 87600h"),
        ([Claim("AgentPolicy x", YEAR)], datetime(9999, 12, 1, tzinfo=UTC), "ends after the year 9999"),
    ],
)
def test_what_cannot_be_kept_is_said(claims: list[Claim], since: datetime, message: str) -> None:
    with pytest.raises(ArchiveError, match=message):
        decide(claims, since)


@given(st.booleans(), st.booleans(), st.booleans(), st.booleans(), st.timedeltas(-YEAR, 8 * YEAR))
def test_what_may_be_destroyed_follows_from_holds_retention_and_keys(
    held: bool, keys: bool, erased: bool, purged: bool, after: timedelta
) -> None:
    now = SEALED + after
    standing = Standing(
        "a",
        KEPT,
        holds=(HOLD,) if held else (),
        keys=("age1x",) if keys else (),
        erased=DONE if erased else None,
        purged=DONE if purged else None,
    )
    found = permitted(standing, now)
    assert found.acts | found.refused.keys() == set(Destroyed)
    assert not found.acts & found.refused.keys()
    assert (Destroyed.PURGED in found.acts) == (now >= KEPT.until and not held and not purged)
    assert (Destroyed.ERASED in found.acts) == (keys and not held and not erased and not purged)
    if held:
        assert not found.acts


def test_retention_names_who_asks_and_until_when() -> None:
    refusal = permitted(Standing("a", KEPT), SEALED).refusal(Destroyed.PURGED)
    assert refusal is not None
    assert (refusal.obstacle, refusal.until) == (Obstacle.RETAINED, KEPT.until)
    assert refusal.message == (
        "a is kept until 2032-11-20T10:00:00Z, as AIAgent crm/triage spec.retirement.retention asks: it is purged "
        "after that"
    )


def test_retention_ends_at_its_last_moment_and_not_before() -> None:
    one = timedelta(microseconds=1)
    assert Destroyed.PURGED not in permitted(Standing("a", KEPT), KEPT.until - one).acts
    assert Destroyed.PURGED in permitted(Standing("a", KEPT), KEPT.until).acts


@pytest.mark.parametrize(
    ("ground", "cited"),
    [(Ground.LEGAL_CLAIMS, "17(3)(e)"), (Ground.LEGAL_OBLIGATION, "17(3)(b)"), (Ground.PUBLIC_INTEREST, "17(3)(b)")],
)
def test_a_hold_beats_the_end_of_the_retention_and_a_request_and_cites_why(ground: Ground, cited: str) -> None:
    hold = Hold("hold-triage", "legal@corp.example", SEALED, ground, "case 17")
    found = permitted(Standing("a", KEPT, holds=(hold,), keys=("age1x",)), KEPT.until + YEAR)
    assert not found.acts
    for act in Destroyed:
        refusal = found.refusal(act)
        assert refusal is not None
        assert refusal.obstacle is Obstacle.HELD
        assert refusal.until is None
        assert f"evidence for GDPR Art. {cited}" in refusal.message
        assert "by AgentAction hold-triage of legal@corp.example since 2026-11-22T10:00:00Z" in refusal.message
        assert "case 17" in refusal.message


def test_all_holds_have_to_be_released_and_each_is_named() -> None:
    other = Hold("tax", "tax@corp.example", DONE, Ground.LEGAL_OBLIGATION, "audit \x1b[2J")
    for holds in ((HOLD, other), (other, HOLD)):
        refusal = permitted(Standing("a", KEPT, holds=holds), KEPT.until).refusal(Destroyed.PURGED)
        assert refusal is not None
        assert refusal.message.index("hold-triage") < refusal.message.index("tax")
        assert "release every hold first" in refusal.message
        assert refusal.message.isprintable()
    assert Destroyed.PURGED in permitted(Standing("a", KEPT), KEPT.until).acts


def test_moments_need_a_time_zone() -> None:
    with pytest.raises(ArchiveError, match="no time zone"):
        permitted(Standing("a", KEPT), NAIVE)


WHOLE = archives.archived().manifest
ORDER = Order(name="erase-triage", uid="u-1", by="dpo@corp.example")


def test_a_tombstone_says_what_was_why_when_and_on_whose_order() -> None:
    found = tombstone.read(
        tombstone.purged(WHOLE, Destruction(KEPT.until, "its retention\nhas ended", KEPT, ORDER)),
        Destroyed.PURGED,
        manifest.read(WHOLE),
        wire.digest(WHOLE),
        layout.TOMBSTONE,
    )
    assert found.manifest == wire.digest(WHOLE)
    assert (found.at, found.reason, found.order) == (KEPT.until, "its retention has ended", ORDER)
    assert [(lost.path, lost.digest, lost.size) for lost in found.items] == [
        (item.path, item.digest, item.size) for item in manifest.read(WHOLE).items
    ]
    assert found.agent == archives.AGENT
    assert found.retention.until == KEPT.until


def test_nothing_is_erased_without_an_order_or_purged_without_a_reason() -> None:
    with pytest.raises(ArchiveError, match="name the AgentAction and who gave it"):
        tombstone.erased(WHOLE, Destruction(DONE, "request", KEPT))
    with pytest.raises(ArchiveError, match="reason"):
        tombstone.purged(WHOLE, Destruction(DONE, " ", KEPT))


def test_a_tombstone_in_the_wrong_place_or_with_other_items_is_refused() -> None:
    about, digest = manifest.read(WHOLE), wire.digest(WHOLE)
    stone = tombstone.purged(WHOLE, Destruction(DONE, "end", KEPT))
    with pytest.raises(ArchiveError, match="says Purged, and has to say Erased"):
        tombstone.read(stone, Destroyed.ERASED, about, digest, layout.ERASURE)
    with pytest.raises(ArchiveError, match="names other items"):
        tombstone.read(stone.replace(b"rights.jsonl", b"rites.jsonl"), Destroyed.PURGED, about, digest, "it")
    with pytest.raises(ArchiveError, match="of another archive"):
        tombstone.read(stone, Destroyed.PURGED, about, wire.digest(b""), "it")
