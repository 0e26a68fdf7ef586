"""Names as parts of paths, and the paths that are refused when an archive is read."""

from __future__ import annotations

import re
import unicodedata
from pathlib import PurePosixPath, PureWindowsPath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiagent_operator.api.archive import LONGEST_PATH
from aiagent_operator.core.archive import layout
from aiagent_operator.core.archive.errors import PathError
from aiagent_operator.core.archive.layout import Layout
from aiagent_operator.core.archive.names import LONGEST_PART, check_path, name_of, part

HOSTILE = [
    "",
    ".",
    "..",
    "../../etc/passwd",
    "/etc/passwd",
    "a/b",
    "a\\b",
    "C:\\x",
    "a\x00b",
    "a\nb",
    "a\rb",
    "-rf",
    "--checkpoint-action=exec=sh",
    "~root",
    "$(id)",
    "`id`",
    "a b",
    "%2e%2e",
    "_2e",
    "__",
    "a" * 5000,
    "a" * 4999 + "b",
    "con",
    "nul.txt",
    "COM1",
    "trailing.",
    "trailing ",
    "\u00e9",
    "e\u0301",
    "\ufb01",
    "fi",
    "Name",
    "name",
    "\ud800",
    "\udcff",
    "\u202eexe.txt",
    "sha256sums",
    "manifest.json",
]
READABLE = {
    "triage-1-eval-held-out": "triage-1-eval-held-out",
    "2026/11/22.jsonl": "2026_2f11_2f22.jsonl",
    "My_File": "_4dy_5f_46ile",
    "..": "_2e_2e",
    ".hidden": "_2ehidden",
    "-rf": "_2drf",
    "end.": "end_2e",
    "con": "_63on",
    "aux.log": "_61ux.log",
    "\u00e9": "_c3_a9",
    "": "__",
}
NAMES = st.text(st.characters(codec=None, exclude_categories=()), max_size=60) | st.sampled_from(HOSTILE)


@pytest.mark.parametrize(("name", "expected"), READABLE.items())
def test_ordinary_names_stay_readable(name: str, expected: str) -> None:
    assert part(name) == expected


def test_no_two_hostile_names_share_a_place_on_any_file_system() -> None:
    places = [unicodedata.normalize("NFKC", part(name)).casefold() for name in HOSTILE]
    assert len(set(places)) == len(HOSTILE)


@given(NAMES)
def test_a_part_is_one_safe_component_everywhere(name: str) -> None:
    made = part(name)
    check_path(made)
    assert len(made) <= LONGEST_PART
    assert PurePosixPath(made).parts == (made,)
    assert PureWindowsPath(made).parts == (made,)
    assert not PureWindowsPath(made).drive
    assert re.fullmatch(r"[a-z0-9._-]+", made)
    check_path(f"{made}.json.age")


@given(NAMES, NAMES)
def test_two_names_have_two_parts(one: str, other: str) -> None:
    assert (part(one) == part(other)) == (one == other)


@given(NAMES)
def test_the_way_back_leads_to_the_name(name: str) -> None:
    assert name_of(part(name)) in (name, None)
    if len(name.encode(errors="surrogatepass")) * 3 <= LONGEST_PART:
        assert name_of(part(name)) == name


@given(st.text("abc_0123456789.-é/A", max_size=20))
def test_what_is_no_part_is_no_name(text: str) -> None:
    try:
        name = name_of(text)
    except PathError:
        return
    assert name is None or part(name) == text


@pytest.mark.parametrize("text", ["", "A", "_", "_4", "_zz", "_61", "_ff", "a/b", "..", "é", "a.", "con", "__x"])
def test_what_was_not_made_here_is_said_to_stand_for_no_name(text: str) -> None:
    with pytest.raises(PathError, match="stands for no name"):
        name_of(text)


@given(st.text(min_size=1, max_size=1), st.integers(LONGEST_PART, 400))
def test_long_names_that_differ_at_the_end_only_are_kept_apart(letter: str, length: int) -> None:
    one, other = letter * length, letter * length + "x"
    assert part(one) != part(other)
    assert len(part(other)) <= LONGEST_PART


@pytest.mark.parametrize(
    "path",
    [
        "",
        "/",
        "/etc/passwd",
        "a//b",
        "a/",
        "./a",
        "a/./b",
        "..",
        "a/../../b",
        "a\\..\\b",
        "c:a",
        "a\x00",
        "a\nb",
        "a b",
        "A",
        "é",
        "e\u0301",
        "-rf",
        ".hidden",
        "a.",
        "a./b",
        "con",
        "logs/aux.log",
        "a" * 300,
        "/".join("a" * 9),
        "a/" * LONGEST_PATH,
        "\ud800",
        "a\u202eb",
    ],
)
def test_unsafe_paths_are_refused_and_said_in_plain_text(path: str) -> None:
    with pytest.raises(PathError) as caught:
        check_path(path, "items.3.path")
    assert str(caught.value).startswith("items.3.path ")
    assert str(caught.value).isascii()
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 600


@given(st.text(max_size=80) | st.text("ab./\\-_:", max_size=20))
def test_whatever_is_taken_stays_in_its_folder(path: str) -> None:
    try:
        check_path(path)
    except PathError:
        return
    for kind in (PurePosixPath, PureWindowsPath):
        assert not kind(path).is_absolute()
        assert ".." not in kind(path).parts
        assert "/".join(kind(path).parts) == path
    assert path == unicodedata.normalize("NFKC", path).casefold()


@given(NAMES, NAMES, NAMES)
def test_no_name_leads_out_of_the_archive(uid: str, archive: str, name: str) -> None:
    place = Layout(uid, archive)
    for path in (layout.evaluation(name), layout.action(uid, name), layout.log(name, uid), layout.decision(name)):
        key = place.key(layout.encrypted(path))
        assert key.startswith(f"archives/{part(uid)}/{part(archive)}/")
        assert place.path(key) == layout.encrypted(path)
        assert path not in layout.RESERVED


@given(NAMES, NAMES, NAMES, NAMES)
def test_items_of_two_names_are_two_items(one: str, other: str, pod: str, container: str) -> None:
    if one == other:
        return
    for of in (layout.evaluation, layout.decision):
        assert of(one) != of(other)
    assert layout.action(pod, one) != layout.action(pod, other)
    assert layout.action(one, pod) != layout.action(other, pod)
    assert layout.log(one, container) != layout.log(other, container)
    assert layout.log(pod, one) != layout.log(pod, other)
    assert Layout(one, pod).prefix != Layout(other, pod).prefix
    assert Layout(pod, one).prefix != Layout(pod, other).prefix


def test_keys_of_other_archives_are_refused() -> None:
    here = Layout("uid", "a")
    for key in ("archives/uid/ab/spec.json", "archives/uid/a", "archives/uid/a/../b/spec.json", "", "spec.json"):
        with pytest.raises(PathError):
            here.path(key)


@pytest.mark.parametrize("number", [0, -1, 2**31])
def test_no_revision_has_such_a_number(number: int) -> None:
    with pytest.raises(PathError, match="numbers are 1 to 2147483647"):
        layout.revision(number)


def test_media_types_and_payload_are_told_by_the_path() -> None:
    found = {
        path: (layout.media_type(path), layout.is_payload(path))
        for path in (
            layout.SPEC,
            layout.revision(7),
            layout.JOURNAL,
            layout.MEMORY,
            layout.log("triage-1-abc", "app"),
            layout.encrypted(layout.MEMORY),
            layout.encrypted(layout.log("triage-1-abc", "app")),
            layout.decision("2026/11.bin"),
            layout.DECISION_LOG,
            layout.encrypted(f"{ATTEMPT}/{layout.DECISION_LOG}"),
            layout.ESCALATIONS,
        )
    }
    assert found == {
        "spec.json": ("application/json", False),
        "revisions/7.json": ("application/json", False),
        "journal.jsonl": ("application/jsonl", False),
        "memory.tar": ("application/x-tar", True),
        "logs/triage-1-abc/app.log": ("text/plain", True),
        "memory.tar.age": ("application/age", True),
        "logs/triage-1-abc/app.log.age": ("application/age", True),
        "decisions/2026_2f11.bin": ("application/octet-stream", True),
        "decisions.tar": ("application/x-tar", True),
        f"{ATTEMPT}/decisions.tar.age": ("application/age", True),
        "escalations.jsonl": ("application/jsonl", True),
    }


ATTEMPT = "0123456789abcdef" * 2


@given(NAMES, NAMES, st.booleans())
def test_the_item_is_known_whatever_the_attempt_that_wrote_it(one: str, other: str, secret: bool) -> None:
    for path in (layout.MEMORY, layout.evaluation(one), layout.log(one, other), layout.decision(other), layout.JOURNAL):
        folder, slash, leaf = path.rpartition("/")
        written = f"{folder}{slash}{ATTEMPT}/{leaf}"
        check_path(written)
        found = layout.encrypted(written) if secret else written
        assert layout.is_attempt(found)
        assert layout.item(found) == path.removesuffix(layout.ENCRYPTED)
        assert layout.is_payload(found) == layout.is_payload(path)


def test_other_folders_are_no_attempts() -> None:
    for path in (layout.SPEC, layout.log("triage-1-abc", "app"), f"x{ATTEMPT}/memory.tar", f"{ATTEMPT[1:]}/memory.tar"):
        assert not layout.is_attempt(path)
        assert layout.item(path) == path
