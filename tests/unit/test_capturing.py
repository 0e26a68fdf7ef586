"""What is captured of an agent that leaves, from whom, what is said of the rest; and the key it is encrypted to."""

import base64
import hashlib
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiagent_operator.api.archive import GapReason
from aiagent_operator.api.archivestatus import MOST_GAPS, Capture
from aiagent_operator.api.conditions import Reason
from aiagent_operator.core import capturing, offboarding, onboarding
from aiagent_operator.core.archive import archivekey, layout, payload
from aiagent_operator.core.archive.contents import missing
from aiagent_operator.core.archive.errors import KeyFileError
from aiagent_operator.core.archive.manifest import Stored, gap
from aiagent_operator.core.capturing import Missed, Source
from aiagent_operator.core.journal import data
from aiagent_operator.core.leaving import irrevocable
from aiagent_operator.core.objects import AgentIdentity, Child, ChildKind, ObjectKey
from aiagent_operator.core.plan import Plan, Room
from support.agents import permission
from support.decisions import IDENTITY, after, observed, said

DELETED = datetime(2026, 1, 1, tzinfo=UTC)


def at_work() -> dict[ObjectKey, Child]:
    children: dict[ObjectKey, Child] = {}
    for _ in range(6):
        children = after(children, onboarding.decide(observed(permission("refund"), children=children.values())))
    return children


def leaving(children: dict[ObjectKey, Child], *done: str, archived: bool = True, **said: str) -> Plan:
    status = {"archive": {"name": "a", "captured": list(done), **said}} if done else {}
    room = Room(True) if archived else None
    return offboarding.decide(
        observed(permission("refund"), children=children.values(), deleting=True, status=status, journal=room)
    )


def test_logs_are_read_after_the_bindings_are_gone_and_before_anything_else_goes() -> None:
    children = at_work()
    bindings = leaving(children)
    assert not bindings.capture
    assert {write.key.kind for write in bindings.writes} == {ChildKind.ROLE_BINDING}
    children = after(children, bindings)

    plan = leaving(children)
    assert (plan.capture, plan.writes, plan.archive) == (frozenset({Capture.LOGS, Capture.HANDBOOK}), (), False)
    assert said(plan, "Ready")[:2] == (False, Reason.OFFBOARDING.value)

    assert ChildKind.DEPLOYMENT in {write.key.kind for write in leaving(children, "Logs").writes}
    assert ChildKind.DEPLOYMENT in {write.key.kind for write in leaving(children, archived=False).writes}


def test_the_handbook_of_one_that_nobody_calls_back_comes_with_its_logs_and_keeps_no_pod() -> None:
    children = {key: child for key, child in at_work().items() if key.kind is not ChildKind.ROLE_BINDING}
    assert leaving(children).capture == {Capture.LOGS, Capture.HANDBOOK}
    called = observed(permission("refund"), children=children.values(), journal=Room(True))
    assert capturing.due(called) == {Capture.LOGS}, "an order to offboard may be taken back"
    ended = leaving(children, "Logs")
    assert not ended.capture, "what the store did not take with the logs is waited for when the pods are gone"
    assert ChildKind.DEPLOYMENT in {write.key.kind for write in ended.writes}

    gone = {key: child for key, child in children.items() if key.kind is not ChildKind.DEPLOYMENT}
    for _ in range(2):
        gone = after(gone, leaving(gone, "Logs", "Handbook"))
    assert {key.kind for key in gone} == {ChildKind.AGENT_REVISION}, "once is enough, and nothing waits for it"


@pytest.mark.parametrize(
    ("retirement", "more", "wanted", "last"),
    [
        ({}, set(), {Capture.LOGS, Capture.HANDBOOK}, True),
        ({"memory": {"claimName": "facts"}}, set(), {Capture.LOGS}, False),
        ({"decisionLog": {"volume": {"claimName": "facts"}}}, set(), {Capture.LOGS}, False),
        ({}, {Capture.KPIS}, {Capture.LOGS}, False),
    ],
    ids=["nothing else", "a memory", "a decision log", "series"],
)
def test_the_handbook_comes_with_the_logs_only_where_all_is_captured_with_it(
    retirement: dict[str, Any], more: set[Capture], wanted: set[Capture], last: bool
) -> None:
    o = observed(
        permission("refund"),
        children=at_work().values(),
        deleting=True,
        journal=Room(True),
        spec={"retirement": retirement} if retirement else None,
    )
    assert capturing.due(o, more) == wanted
    assert capturing.last(wanted) is last
    assert capturing.last(capturing.rest(o, more))


def test_its_handbook_is_captured_once_its_pods_are_gone_and_before_it_goes() -> None:
    children = {key: child for key, child in at_work().items() if key.kind is not ChildKind.ROLE_BINDING}
    children = after(children, leaving(children, "Logs"))
    children = {key: child for key, child in children.items() if key.kind is not ChildKind.DEPLOYMENT}
    identity = leaving(children, "Logs")
    removed = {write.key.kind for write in identity.writes}
    assert removed == {ChildKind.SERVICE_ACCOUNT, ChildKind.NETWORK_POLICY}, (
        "nobody acts as it, whatever its store does"
    )
    children = after(children, identity)
    first = leaving(children, "Logs")
    assert (first.capture, first.writes) == (frozenset(), ())
    assert first.status["archive"]["captured"] == ["Logs"]
    assert irrevocable(first.status), "from then on nobody calls it back"
    plan = leaving(children, "Logs", capturing="2026-01-01T00:00:00Z")
    assert (plan.capture, plan.writes) == (frozenset({Capture.HANDBOOK}), ())
    assert "archive" not in plan.status
    assert "putting its handbook" in said(plan, "Ready")[2]
    (book,) = [key.name for key in children if key.kind is ChildKind.CONFIG_MAP]
    assert ChildKind.CONFIG_MAP in {write.key.kind for write in leaving(children, "Logs", "Handbook").writes}
    assert book in capturing.handbooks(observed(children=children.values()))


def test_the_handbooks_are_those_that_revisions_and_the_status_name() -> None:
    assert capturing.handbooks(observed()) == {}
    told = {"handbook": {"configMap": "aiagent.triage.0123456789", "digest": "sha256:d"}}
    assert capturing.handbooks(observed(status=told)) == {"aiagent.triage.0123456789": "sha256:d"}


def test_without_pods_nothing_is_captured() -> None:
    children = {key: child for key, child in at_work().items() if key.kind is ChildKind.ROLE}
    assert not leaving(children).capture


@given(st.integers(-100, 10_000), st.floats(1, 1000))
def test_the_time_for_it_runs_from_the_deletion_and_is_never_none(passed: int, seconds: float) -> None:
    o = observed(deleting=True, moment=DELETED + timedelta(seconds=passed))
    left = capturing.left(o, seconds)
    assert capturing.LEAST <= left <= max(seconds, capturing.LEAST)
    assert left == max(capturing.LEAST, seconds - max(0, passed))


def pod(name: str, account: str = "aiagent.triage", **fields: Any) -> dict[str, Any]:
    return {"metadata": {"name": name}, "spec": {"serviceAccountName": account, "containers": [], **fields}}


def status(name: str, **states: Any) -> dict[str, Any]:
    return {"name": name, "state": {}, **states}


def test_every_container_that_was_started_has_a_log() -> None:
    spec = {
        "initContainers": [{"name": "init"}],
        "containers": [{"name": "app"}, {"name": "waiting"}, {"name": "crashed"}, {"name": "unknown"}],
        "ephemeralContainers": [{"name": "debugger"}],
    }
    found = pod("p", **spec) | {
        "status": {
            "initContainerStatuses": [status("init", state={"terminated": {"exitCode": 0}})],
            "containerStatuses": [
                status("app", state={"running": {}}),
                status("waiting", state={"waiting": {"reason": "ContainerCreating"}}, lastState={}),
                status("crashed", state={"waiting": {}}, lastState={"terminated": {"exitCode": 1}}),
            ],
            "ephemeralContainerStatuses": [status("debugger", state={"terminated": {}})],
        }
    }
    names = [source.container for source in capturing.sources([found, pod("pending")], IDENTITY)]
    assert names == ["app", "crashed", "debugger", "init"]


@pytest.mark.parametrize(
    ("account", "own"),
    [
        ("aiagent.triage", True),
        ("aiagent.triage.training", True),
        ("aiagent.triage.candidate", True),
        ("aiagent.triage-2", False),
        ("default", False),
        ("", False),
    ],
)
def test_only_pods_under_its_own_accounts_are_its_own(account: str, *, own: bool) -> None:
    running = {"status": {"containerStatuses": [status("app", state={"running": {}})]}}
    found = pod("p", account, containers=[{"name": "app"}]) | running
    assert capturing.sources([found], IDENTITY) == ((Source("p", "app"),) if own else ())


def missed(count: int) -> list[Missed]:
    return [Missed(layout.log(f"p-{n}", "app"), GapReason.UNREACHABLE, "no answer", again=True) for n in range(count)]


def test_few_gaps_are_named_each_and_many_together() -> None:
    few = capturing.gaps(missed(MOST_GAPS), terminating=False)
    assert [each.path for each in few] == sorted(each.path for each in missed(MOST_GAPS))
    (many,) = capturing.gaps(missed(MOST_GAPS + 1), terminating=False)
    assert (many.path, many.reason) == ("logs", GapReason.UNREACHABLE)
    assert many.message.startswith(f"{MOST_GAPS + 1} logs, logs/p-0/app.log, ")
    assert capturing.gaps([], terminating=False) == ()
    (doomed,) = capturing.gaps(missed(1), terminating=True)
    assert doomed.reason is GapReason.NAMESPACE_TERMINATING


def test_what_the_status_says_is_missing_stands_in_the_archive() -> None:
    (lost,) = capturing.gaps(missed(1), terminating=False)
    said = {"captured": ["Logs"], "notCaptured": [lost.model_dump(mode="json", by_alias=True)]}
    worked = {"revision": {"latest": 1}}
    assert capturing.known({"archive": said, **worked}, terminating=True) == (lost,)
    assert capturing.known(worked, terminating=False) == ()
    assert capturing.known({}, terminating=True) == ()
    (gone,) = capturing.known(worked, terminating=True)
    assert (gone.path, gone.reason) == ("logs", GapReason.NAMESPACE_TERMINATING)


def test_what_was_captured_is_told_in_numbers_that_the_sums_of_the_archive_prove() -> None:
    files = (Stored("memory.tar.age", "b" * 64, 20), Stored("handbook/triage-1.json.age", "a" * 64, 3))
    found = capturing.snapshot(files, {"logs/triage-1/app.log", "memory.tar"})
    lines = f"{'a' * 64}  handbook/triage-1.json.age\n{'b' * 64}  memory.tar.age\n".encode()
    assert found == {"items": 2, "bytes": 23, "digest": f"sha256:{hashlib.sha256(lines).hexdigest()}", "missing": 1}
    assert capturing.snapshot((), set())["items"] == 0
    data.check(found)


def test_what_is_stored_after_all_is_not_missing() -> None:
    lost = gap("logs/p/app.log", GapReason.UNREACHABLE, "no answer")
    there = Stored(f"logs/p/{'0' * 32}/app.log.age", "0" * 64, 1)
    assert missing([lost], [there]) == []
    assert missing([lost, lost], []) == [lost]


# The key --------------------------------------------------------------------------------------------------------------


def test_the_key_of_an_archive_is_found_again() -> None:
    identity = payload.new_identity()
    secret = archivekey.build(IDENTITY, "workforce-system", identity)
    assert archivekey.read(secret, IDENTITY) == payload.encryption(identity)
    assert base64.b64decode(secret["data"]["identity"]) == f"{identity}\n".encode()


@given(st.from_regex(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?", fullmatch=True), st.uuids().map(str))
def test_its_name_is_one_and_bounded(namespace: str, uid: str) -> None:
    agent = AgentIdentity(namespace, "a" * 40, uid)
    assert len(archivekey.name(agent)) <= 125
    assert archivekey.name(agent) == archivekey.name(agent)
    assert archivekey.name(agent) != archivekey.name(AgentIdentity(namespace, "a" * 40, f"{uid}x"))


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"type": "Opaque"}, "has the type Opaque"),
        ({"metadata": {"name": "n", "namespace": "w", "labels": {}}}, "not labelled with the UID"),
        ({"data": {}}, "no identity of age"),
        ({"data": {"identity": "%%%"}}, "no identity of age"),
        ({"data": {"identity": base64.b64encode(b"AGE-SECRET-KEY-1NONSENSE").decode()}}, "no identity of age"),
        ({"data": {"identity": base64.b64encode(b"\xff").decode()}}, "no identity of age"),
    ],
)
def test_a_secret_of_somebody_elses_is_named_and_not_shown(change: dict[str, Any], says: str) -> None:
    secret = {**archivekey.build(IDENTITY, "workforce-system", payload.new_identity()), **change}
    with pytest.raises(KeyFileError, match=says) as found:
        archivekey.read(secret, IDENTITY)
    assert "NONSENSE" not in str(found.value)
    assert "remove it" in str(found.value)
