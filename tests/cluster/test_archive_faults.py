"""A store that breaks while agents leave: they wait without rights, and what ends as an archive is whole."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from aiagent_operator.core.archive import index
from aiagent_operator.core.objects import AgentIdentity
from support import agents, storeproxy
from support.agents import permission
from support.archivefolder import ArchiveFolder
from support.operator import Installation, OperatorProcess
from support.s3server import REGION, S3Server
from support.storeproxy import Answer, Corrupt, Fault, Half, Hang, Reset, Slow, StoreProxy, Truncate
from support.workplace import Workplace

pytestmark = pytest.mark.cluster

# What happens to the requests about one agent's archive: to all of them, or to those with this method.
LASTING: dict[str, tuple[Fault, str]] = {
    "down": (Reset(), ""),
    "hanging": (Hang(), ""),
    "busy": (Answer(503, "SlowDown"), ""),
    "full": (Answer(507, "InsufficientStorage"), "PUT"),
    "denied": (Answer(403, "InvalidAccessKeyId"), ""),
    "skewed": (Answer(403, "RequestTimeTooSkewed"), ""),
    "corrupted": (Corrupt(), "GET"),
    "cut-short": (Truncate(2), "GET"),
}
# What is over by itself, or never stands in the way.
PASSING: dict[str, tuple[Fault, str, int | None]] = {
    "slow": (Slow(0.3), "", None),
    "partial": (Half(), "PUT", 2),
    "unsaid": (Answer(500, "InternalError", after=True), "PUT", 2),
    "reset": (Reset(after=True), "", 3),
}


@pytest.fixture(scope="module")
def server() -> Iterator[S3Server]:
    with S3Server() as found:
        yield found


@pytest.fixture
def proxy(server: S3Server) -> Iterator[StoreProxy]:
    with storeproxy.beside(server.endpoint) as found:
        yield found


@pytest.fixture
def bucket(server: S3Server, tmp_path: Path) -> ArchiveFolder:
    return ArchiveFolder(tmp_path / "described", "vault", server.data / server.bucket())


@pytest.fixture
def operator(
    vacant: Workplace,
    installed: Installation,
    server: S3Server,
    proxy: StoreProxy,
    bucket: ArchiveFolder,
    tmp_path: Path,
) -> Iterator[OperatorProcess]:
    file = bucket.described_in_bucket(REGION, proxy.url, server.secret(tmp_path / "secret"))
    with installed.alone(archive_file=str(file), archive_proof_interval="1") as operator:
        yield operator
        proxy.heal()
        left = vacant.admin.list(agents.API, "aiagents", namespace=vacant.namespace)
        installed.let_go([agent["metadata"] for agent in left])


def employed(place: Workplace, *names: str) -> dict[str, str]:
    """The UID of each."""
    for name in names:
        place.employ(name, place.new_role(name), permission("refund"))
    return {name: place.until_ready(name)["metadata"]["uid"] for name in names}


def certified(place: Workplace, uids: dict[str, str]) -> set[str]:
    """Those of whom an AgentArchive says that they are archived."""
    found = {
        name: place.admin.find(agents.API, "agentarchives", index.name(AgentIdentity(place.namespace, name, uid)))
        for name, uid in uids.items()
    }
    return {name for name, record in found.items() if record and record.get("status", {}).get("phase") == "Certified"}


def test_whatever_breaks_nothing_is_lost_and_nothing_certified_that_was_not_read_back(
    vacant: Workplace, operator: OperatorProcess, proxy: StoreProxy, bucket: ArchiveFolder
) -> None:
    place, uids = vacant, employed(vacant, *LASTING, *PASSING)
    operator.until_idle()
    for name, (fault, method) in LASTING.items():
        proxy.inject(fault, method, f"archives/{uids[name]}")
    for name, (fault, method, times) in PASSING.items():
        proxy.inject(fault, method, uids[name], times=times)
    for name in uids:
        place.dismiss(name)

    for name in uids:
        place.until_cannot(name, "create", "refunds")
    for name in PASSING:
        place.until_gone(name)
    for name in LASTING:
        # What is asked first says so for all; each kind of error has its text in the tests of the store.
        place.until_reason(name, "Ready", "Offboarding", "Its rights have ended")
    assert certified(place, uids) == set(PASSING)
    for name in PASSING:
        bucket.verified(uids[name])
    for name in LASTING:
        assert "manifest.json" not in bucket.archived(uids[name]) or name in ("corrupted", "cut-short")

    proxy.heal()
    for name in LASTING:
        place.until_gone(name)
    assert certified(place, uids) == set(uids)
    for uid in uids.values():
        # Logs are given up after a time, for the work must end; that is said.
        gaps = bucket.verified(uid).get("notCaptured", [])
        assert all(gap["path"].startswith("logs") for gap in gaps), gaps
        assert bucket.told(uid)[-1] == "Terminated"
