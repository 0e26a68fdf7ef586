"""Kinds of operations on a store, by which crash tests enumerate them: the same in every run, and no two in one."""

import pytest

from support.storeoperations import About, is_read, kind, kinds

UID = "5b6a0b9c-0c0e-4f5e-9a51-6d1f6a7f2f10"
ARCHIVE = f"/bucket/archives/{UID}/crm.triage.5b6a0b9c"
ATTEMPT = "0123456789abcdef" * 2
ABOUT = About((UID, "decisions/crm/triage/"), 5)


@pytest.mark.parametrize(
    ("method", "path", "wanted"),
    [
        ("PUT", f"/bucket/journal/{UID}/000000000007.json", "PUT journal/<uid>/<record 2>"),
        ("GET", f"/bucket/journal/{UID}/000000000005.json", "GET journal/<uid>/<record>"),
        ("PUT", f"/bucket/records/{UID}/actions/{UID}/bye.json", "PUT records/<uid>/actions/<uid>/<order>"),
        ("GET", f"/bucket?list-type=2&prefix=journal%2F{UID}%2F&start-after=x", "LIST journal/<uid>"),
        ("GET", f"{ARCHIVE}/manifest.json", "GET archives/<uid>/<archive>/manifest.json"),
        ("PUT", f"{ARCHIVE}/logs/triage-1-7d9f/{ATTEMPT}/app.log.age",
         "PUT archives/<uid>/<archive>/logs/<pod>/<attempt>/app.log.age"),
        ("PUT", f"{ARCHIVE}/handbook/{ATTEMPT}/triage-1f2e.json.age",
         "PUT archives/<uid>/<archive>/handbook/<attempt>/<handbook>"),
        ("POST", f"{ARCHIVE}/{ATTEMPT}/memory.tar.age?uploads",
         "BEGIN archives/<uid>/<archive>/<attempt>/memory.tar.age"),
        ("PUT", f"{ARCHIVE}/{ATTEMPT}/memory.tar.age?partNumber=2&uploadId=abc",
         "PART 2 archives/<uid>/<archive>/<attempt>/memory.tar.age"),
        ("POST", f"{ARCHIVE}/{ATTEMPT}/memory.tar.age?uploadId=abc",
         "COMPLETE archives/<uid>/<archive>/<attempt>/memory.tar.age"),
        ("PUT", f"/bucket/records/{UID}/captured/logs_2ftriage-1-7d9f_2fapp.log.json",
         "PUT records/<uid>/captured/logs"),
        ("PUT", f"/bucket/records/{UID}/captured/memory.tar.json", "PUT records/<uid>/captured/memory.tar.json"),
        ("HEAD", "/bucket/decisions/crm/triage/22.jsonl", "HEAD decisions/<namespace>/<agent>/22.jsonl"),
        ("GET", "/bucket?list-type=2&prefix=decisions%2Fcrm%2Ftriage%2F", "LIST decisions/<namespace>/<agent>"),
        ("HEAD", "/bucket/decisions/crm/triage-2/22.jsonl", ""),
        ("PUT", "/bucket/proof/2026-11-22.json", ""),
    ],
)  # fmt: skip
def test_a_request_is_of_one_kind(method: str, path: str, wanted: str) -> None:
    assert kind(method, path, ABOUT) == wanted


def test_each_kind_comes_once_and_reads_are_told_from_writes() -> None:
    asked = [("PUT", f"/bucket/journal/{UID}/{number:012}.json") for number in (2, 1)]
    found = kinds([*asked, ("GET", "/bucket/proof/x"), ("GET", asked[0][1]), *asked], ABOUT)
    assert found == ["PUT journal/<uid>/<record>", "GET journal/<uid>/<record>"]
    assert [is_read(each) for each in found] == [False, True]
