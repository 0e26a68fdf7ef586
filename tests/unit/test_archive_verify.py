"""Verification: every file that is not what the manifest says is named, and what is whole is said to be whole."""

from __future__ import annotations

import hashlib
import itertools
import json
import tracemalloc
from collections.abc import Iterator
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiagent_operator.api.tombstone import Order
from aiagent_operator.core.archive import certificate, envelope, layout, manifest, retention, tombstone
from aiagent_operator.core.archive.errors import ArchiveError
from aiagent_operator.core.archive.findings import MOST_UNLISTED, Fault, Report
from aiagent_operator.core.archive.manifest import Stored
from aiagent_operator.core.archive.tombstone import Destruction
from aiagent_operator.core.archive.verify import Verifier, verify
from support import archives
from support.archives import CLAIMS, DONE, FILES, GAPS, KEYS, SEALED, Archived

WHOLE = archives.archived()
LISTED = sorted({*FILES, layout.SUMS, layout.MANIFEST})
WHY = Destruction(DONE, "its retention has ended", retention.decide(CLAIMS, SEALED))


def looked_at(archived: Archived, **options: object) -> Report:
    """The report on an archive whose manifest is the good one, whatever lies in the folder."""
    options = {"keys": KEYS, **options}
    files = ((path, [data]) for path, data in archived.files.items())
    return verify(WHOLE.manifest, files, **options)  # type: ignore[arg-type]


def faults(report: Report) -> set[tuple[str, Fault]]:
    return {(finding.path, finding.fault) for finding in report.findings}


def test_what_was_sealed_is_whole() -> None:
    report = looked_at(WHOLE)
    assert report.is_whole
    assert report.findings == ()
    assert report.whole == tuple(sorted(FILES))
    assert report.signed_by == (KEYS[0].key_id,)
    assert report.manifest == f"sha256:{hashlib.sha256(WHOLE.manifest).hexdigest()}"


@given(st.sampled_from(LISTED), st.data())
def test_one_flipped_bit_names_the_file(path: str, data: st.DataObject) -> None:
    content = bytearray(WHOLE.files[path])
    bit = data.draw(st.integers(0, len(content) * 8 - 1))
    content[bit // 8] ^= 1 << bit % 8
    report = looked_at(WHOLE.with_file(path, bytes(content)))
    assert faults(report) == {(path, Fault.ALTERED)}
    assert not report.is_whole
    (finding,) = report.findings
    assert hashlib.sha256(content).hexdigest() in finding.message
    assert hashlib.sha256(WHOLE.files[path]).hexdigest() in finding.message
    assert set(report.whole) == set(FILES) - {path}


@given(st.integers(0, len(WHOLE.files[layout.CERTIFICATE]) * 8 - 1))
def test_one_flipped_bit_of_the_certificate_is_found_where_it_says_something(bit: int) -> None:
    content = bytearray(WHOLE.files[layout.CERTIFICATE])
    content[bit // 8] ^= 1 << bit % 8
    report = looked_at(WHOLE.with_file(layout.CERTIFICATE, bytes(content)))
    assert {path for path, _ in faults(report)} <= {layout.CERTIFICATE}
    if report.is_whole:
        # The key id is a hint that nothing is decided by, and space says nothing.
        one, other = (json.loads(data) for data in (bytes(content), WHOLE.files[layout.CERTIFICATE]))
        assert one["payload"] == other["payload"]
        assert [each["sig"] for each in one["signatures"]] == [each["sig"] for each in other["signatures"]]


@given(st.sampled_from(LISTED), st.binary(max_size=50))
def test_another_size_is_told_from_another_content(path: str, content: bytes) -> None:
    if len(content) == len(WHOLE.files[path]):
        return
    report = looked_at(WHOLE.with_file(path, content))
    assert faults(report) == {(path, Fault.OTHER_SIZE)}
    assert f"it has {len(content)} bytes" in report.findings[0].message


@given(st.sets(st.sampled_from(sorted(WHOLE.files.keys() - {layout.MANIFEST}))))
def test_every_missing_file_is_named(lost: set[str]) -> None:
    report = looked_at(WHOLE.without(*lost))
    assert faults(report) == {(path, Fault.MISSING) for path in lost}
    assert report.is_whole == (not lost)


@given(
    st.lists(st.sampled_from(["x", "logs/p/c.log", "decisions/x", "spec.json.bak"]) | st.text(max_size=20), unique=True)
)
def test_every_file_that_nobody_knows_is_named(added: list[str]) -> None:
    # Tombstones are known by their names, and have to be true.
    known = [path for path in added if path in WHOLE.files or path in layout.RESERVED]
    found = WHOLE
    for path in added:
        if path not in known:
            found = found.with_file(path, b"x")
    report = looked_at(found)
    expected = set(added) - set(known)
    assert {finding.path for finding in report.findings} == expected
    assert {finding.fault for finding in report.findings} <= {Fault.UNLISTED, Fault.UNSAFE}
    assert report.unlisted == len(expected)
    assert all(str(finding).isprintable() for finding in report.findings)


@pytest.mark.parametrize("path", ["../spec.json", "/spec.json", "SPEC.json", "spec.json\n", "./spec.json", "a\x00"])
def test_a_path_that_leaves_is_unsafe_and_stands_for_no_item(path: str) -> None:
    report = looked_at(WHOLE.without(layout.SPEC).with_file(path, FILES[layout.SPEC]))
    assert faults(report) == {(path, Fault.UNSAFE), (layout.SPEC, Fault.MISSING)}


def test_what_an_attempt_has_left_over_is_named_and_does_no_harm() -> None:
    attempt = "0123456789abcdef" * 2
    left = (f"evaluations/{attempt}/triage-1-eval-held-out.json", f"{attempt}/memory.tar.age")
    report = looked_at(WHOLE.with_file(left[0], b"x").with_file(left[1], b""))
    assert faults(report) == {(path, Fault.LEFT_OVER) for path in left}
    assert report.is_whole
    report = looked_at(WHOLE.with_file(f"{attempt}/other.tar", b"x"))
    assert faults(report) == {(f"{attempt}/other.tar", Fault.UNLISTED)}
    assert not report.is_whole


def test_so_many_strange_files_are_counted_and_not_all_named() -> None:
    files = ((f"strange-{number}", [b""]) for number in range(MOST_UNLISTED + 5))
    report = verify(WHOLE.manifest, files, certified=False)
    named = [finding for finding in report.findings if finding.fault is Fault.UNLISTED]
    assert (len(named), report.unlisted) == (MOST_UNLISTED, MOST_UNLISTED + 5)


def test_a_file_that_comes_twice_counts_once_and_is_said() -> None:
    twice = [*WHOLE.files.items(), (layout.SPEC, b"other")]
    report = verify(WHOLE.manifest, ((path, [data]) for path, data in twice), keys=KEYS)
    assert faults(report) == {(layout.SPEC, Fault.GIVEN_TWICE)}
    assert layout.SPEC in report.whole


def test_two_at_once_of_one_path_are_not_mixed_up() -> None:
    verifier = Verifier(WHOLE.manifest, certified=False)
    good, bad = verifier.begin(layout.SPEC), verifier.begin(layout.SPEC)
    bad.update(b"other")
    bad.close()
    good.update(FILES[layout.SPEC])
    good.close()
    report = verifier.report()
    assert layout.SPEC in report.whole
    assert (layout.SPEC, Fault.GIVEN_TWICE) in faults(report)


def test_a_file_that_is_refused_is_named_with_the_reason_and_is_not_missing() -> None:
    verifier = Verifier(WHOLE.manifest, certified=False)
    verifier.begin(layout.SPEC).update(FILES[layout.SPEC])
    verifier.refuse(layout.SPEC, Fault.UNSAFE, "it is a link")
    for _ in range(3):
        verifier.refuse("../strange", Fault.UNSAFE, "it is a link")
    report = verifier.report()
    assert {(layout.SPEC, Fault.UNSAFE), ("../strange", Fault.UNSAFE)} <= faults(report)
    assert not {(layout.SPEC, Fault.MISSING), (layout.SPEC, Fault.INCOMPLETE)} & faults(report)
    assert len([finding for finding in report.findings if finding.path == "../strange"]) == 1
    assert report.unlisted == 3
    for number in range(MOST_UNLISTED):
        verifier.refuse(f"x{number}", Fault.UNSAFE, "it is a link")
    named = [finding for finding in verifier.report().findings if finding.fault is Fault.UNSAFE]
    assert len(named) == MOST_UNLISTED - 3 + 2


def test_how_much_of_a_file_is_worth_reading() -> None:
    verifier = Verifier(WHOLE.manifest)
    assert verifier.most(layout.SPEC) == len(FILES[layout.SPEC])
    assert verifier.most(layout.MANIFEST) == len(WHOLE.manifest)
    assert verifier.most(layout.CERTIFICATE) == envelope.LIMIT
    assert verifier.most("strange") is None
    assert verifier.about == manifest.read(WHOLE.manifest)


def test_a_file_that_was_not_read_to_its_end_is_incomplete() -> None:
    verifier = Verifier(WHOLE.manifest, certified=False)
    verifier.begin(layout.SPEC).update(FILES[layout.SPEC])
    report = verifier.report()
    assert (layout.SPEC, Fault.INCOMPLETE) in faults(report)
    assert layout.SPEC not in report.whole


@given(st.permutations(sorted(WHOLE.files)), st.lists(st.integers(1, 4000), min_size=1))
def test_order_and_size_of_the_pieces_do_not_matter(order: list[str], sizes: list[int]) -> None:
    def pieces(data: bytes) -> Iterator[bytes]:
        for size in itertools.cycle(sizes):
            yield data[:size]
            data = data[size:]
            if not data:
                yield b""
                return

    report = verify(WHOLE.manifest, ((path, pieces(WHOLE.files[path])) for path in order), keys=KEYS)
    assert report == looked_at(WHOLE)


def test_memory_does_not_grow_with_the_files() -> None:
    size, piece = 64 * 1024**2, bytes(1024**2)
    digest = hashlib.sha256()
    for _ in range(size // len(piece)):
        digest.update(piece)
    big = Stored("evaluations/big.json", digest.hexdigest(), size)
    data = manifest.seal("big", archives.leaving(), [*archives.stored(), big], (), retention.decide(CLAIMS, SEALED))
    tracemalloc.start()
    try:
        files = [(big.path, (piece for _ in range(size // len(piece)))), ("strange", iter([piece] * 16))]
        report = verify(data, files, certified=False)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert report.whole == (big.path,)
    assert peak < 2 * 1024**2


def test_a_manifest_that_cannot_be_read_ends_the_verification() -> None:
    with pytest.raises(ArchiveError, match=r"manifest\.json"):
        Verifier(b"{}")


def test_a_manifest_without_a_word_of_the_journal_is_named() -> None:
    content = json.loads(WHOLE.manifest)
    content["items"] = [item for item in content["items"] if item["path"] != layout.JOURNAL]
    report = verify(json.dumps(content).encode(), [], certified=False)
    texts = [finding.message for finding in report.findings if finding.fault is Fault.NOT_TRUE]
    assert texts == ["journal.jsonl is neither in items nor in notCaptured: put it in, or say why it is missing"]


def test_a_forged_manifest_does_not_get_past_the_certificate() -> None:
    content = json.loads(WHOLE.manifest)
    content["reason"] = "Expired"
    forged = json.dumps(content).encode()
    files = WHOLE.with_file(layout.MANIFEST, forged).files
    report = verify(forged, ((path, [data]) for path, data in files.items()), keys=KEYS)
    assert faults(report) == {(layout.CERTIFICATE, Fault.NOT_TRUE), (layout.MANIFEST, Fault.ALTERED)}
    assert "it is about a manifest with the digest" in report.findings[0].message


def test_a_forged_certificate_does_not_blame_the_manifest() -> None:
    kept = retention.decide(CLAIMS, SEALED)
    other = manifest.seal("another", archives.leaving(), archives.stored(), GAPS, kept)
    forged = certificate.issue(other, archives.ended(), envelope.private_key(archives.pem(archives.P256)))
    found = WHOLE.with_file(layout.CERTIFICATE, forged)
    about_it = {(layout.CERTIFICATE, Fault.NOT_TRUE), (layout.CERTIFICATE, Fault.NOT_SIGNED)}
    assert faults(looked_at(found)) == about_it
    # Without a key nobody knows which of the two was exchanged.
    unknown = {(layout.CERTIFICATE, Fault.NOT_TRUE), (layout.MANIFEST, Fault.ALTERED)}
    assert faults(looked_at(found, keys=())) == unknown


def test_a_certificate_of_another_key_is_not_signed() -> None:
    stranger = envelope.private_key(archives.pem(archives.P256))
    forged = certificate.issue(WHOLE.manifest, archives.ended(), stranger)
    report = looked_at(WHOLE.with_file(layout.CERTIFICATE, forged))
    assert faults(report) == {(layout.CERTIFICATE, Fault.NOT_SIGNED)}
    assert looked_at(WHOLE, keys=(stranger.public,)).signed_by == ()
    assert looked_at(WHOLE.with_file(layout.CERTIFICATE, forged), keys=(stranger.public,)).is_whole


def test_without_a_key_the_content_of_the_certificate_is_judged_and_nobody_has_signed() -> None:
    report = looked_at(WHOLE, keys=())
    assert report.is_whole
    assert report.signed_by == ()
    other = archives.ended(completed_at=DONE + timedelta(seconds=1))
    tampered = json.loads(certificate.issue(WHOLE.manifest, other, archives.SIGNER))
    tampered["payload"] = "e30="
    report = looked_at(WHOLE.with_file(layout.CERTIFICATE, json.dumps(tampered).encode()), keys=())
    assert faults(report) == {(layout.CERTIFICATE, Fault.NOT_TRUE)}


@given(st.binary(max_size=300))
def test_no_bytes_of_a_certificate_or_tombstone_make_verification_fail_otherwise(data: bytes) -> None:
    for path in (layout.CERTIFICATE, layout.TOMBSTONE, layout.ERASURE):
        assert faults(looked_at(WHOLE.with_file(path, data))) == {(path, Fault.NOT_TRUE)}


def test_before_it_is_certified_an_archive_needs_no_certificate() -> None:
    assert looked_at(WHOLE.without(layout.CERTIFICATE), certified=False).is_whole


def test_a_purged_archive_is_said_to_be_purged_and_misses_nothing() -> None:
    left = {path: WHOLE.files[path] for path in (layout.MANIFEST, layout.CERTIFICATE)}
    left[layout.TOMBSTONE] = tombstone.purged(WHOLE.manifest, WHY)
    report = looked_at(Archived(left))
    assert report.findings == ()
    assert report.purged is not None
    assert report.purged.reason == WHY.reason
    assert not report.is_whole


def test_a_tombstone_of_another_archive_hides_nothing() -> None:
    kept = retention.decide(CLAIMS, SEALED)
    other = manifest.seal("another", archives.leaving(), archives.stored(), GAPS, kept)
    stone = tombstone.purged(other, WHY)
    report = looked_at(WHOLE.without(layout.SPEC).with_file(layout.TOMBSTONE, stone))
    assert faults(report) == {(layout.TOMBSTONE, Fault.NOT_TRUE), (layout.SPEC, Fault.MISSING)}


def test_an_erased_archive_keeps_every_file_and_says_so() -> None:
    file, data = archives.encrypted("memory.tar", b"what people said")
    plain = {**FILES}
    items = [*archives.stored(plain), file]
    sealed = manifest.seal("a", archives.leaving(), items, (), retention.decide(CLAIMS, SEALED))
    why = Destruction(DONE, "request", WHY.retention, Order(name="erase-triage", uid="u", by="dpo@corp.example"))
    files = {**plain, file.path: data, layout.SUMS: manifest.sums(manifest.read(sealed))}
    files[layout.ERASURE] = tombstone.erased(sealed, why)
    report = verify(sealed, ((path, [content]) for path, content in files.items()), certified=False)
    assert report.is_whole
    assert report.erased is not None
    assert [lost.path for lost in report.erased.items] == ["memory.tar.age"]
    assert report.erased.keys == (file.encrypted.key_id,) if file.encrypted else False
