"""The memory of an agent that leaves: when its Job is made, what it is, and when it is not waited for any longer."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Mapping
from copy import deepcopy
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any, cast

import pytest

from aiagent_operator.api import capture, meta, runs
from aiagent_operator.api.agentaction import AgentActionSpec
from aiagent_operator.api.archive import GapReason
from aiagent_operator.api.archivestatus import Capture
from aiagent_operator.api.memory import LogVolume, Memory
from aiagent_operator.core import memories, offboarding
from aiagent_operator.core.archive import index, layout, manifest, payload, retention
from aiagent_operator.core.archive.sending import AUDIENCE, Packed, Received
from aiagent_operator.core.children import memory, observe, run_network
from aiagent_operator.core.children.memory import Intake, Owner
from aiagent_operator.core.children.network_policy import DnsPeers
from aiagent_operator.core.objects import Child, ChildKind, Manifest, ObjectKey
from aiagent_operator.core.orders import Order
from aiagent_operator.core.plan import Finalizer, Observed, Plan, Proof, Room, Verb
from aiagent_operator.core.rights.grants import NamespaceFacts
from aiagent_operator.core.runs.facts import PodFacts, Said
from aiagent_operator.runtime.client import Api
from aiagent_operator.runtime.journal import Journal
from aiagent_operator.runtime.memories import Memories, left_out
from aiagent_operator.runtime.queue import WorkQueue
from aiagent_operator.runtime.settings import Settings
from aiagent_operator.runtime.store import Store
from support import archives
from support.archives import IDENTITY as KEY
from support.decisions import HOME, IDENTITY, after, kinds, observed

KEY_ID = payload.encryption(KEY).key_id
INTAKE = Intake("https://10.1.2.3:8443/v1/memory", "-----BEGIN CERTIFICATE-----\n", "op@sha256:1", KEY_ID, 3600)
BEGAN = datetime(2026, 1, 1, tzinfo=UTC)
ASKED = Memory(claim_name="facts")
JOB = memory.job(IDENTITY, ASKED, Owner(), INTAKE)
MISSING = 'persistentvolumeclaim "facts" not found'


def leaving(
    children: Mapping[ObjectKey, Child] | None = None,
    *,
    seconds: float = 0.0,
    intake: Intake | None = INTAKE,
    status: Mapping[str, Any] | None = None,
    pods: tuple[PodFacts, ...] | None = None,
    asks: Manifest | None = None,
    job: ObjectKey | None = None,
    **facts: Any,
) -> Observed:
    now = BEGAN + timedelta(seconds=seconds)
    given: dict[str, Any] = {
        "journal": Room(free=True),
        "spec": {"retirement": {"memory": asks or {"claimName": "facts"}}},
        "time": now.isoformat().replace("+00:00", "Z"),
        "moment": now,
        **facts,
    }
    found = observed(deleting=True, status=status, intake=intake, **given)
    return replace(found, children=children or {}, pods={} if pods is None else {job or JOB.key: pods})


def live(**status: Any) -> Manifest:
    metadata = {**JOB.manifest["metadata"], "uid": "j1", "resourceVersion": "1"}
    return {**JOB.manifest, "metadata": metadata, "status": {"startTime": "2026-01-01T00:00:00Z", **status}}


def at_work(job: Manifest | None = None) -> dict[ObjectKey, Child]:
    """The children when the Job is there."""
    before = after({}, offboarding.decide(leaving()))
    return before | {JOB.key: observe(ChildKind.JOB, job or live())}


TOLD = {"pod_ip": "127.0.0.1", "image": "op"}
BEGUN = {"archive": {"name": "x", "capturing": "2026-01-01T00:00:00Z"}}


def test_account_and_network_come_first_then_the_job_and_the_moment_is_noted_before() -> None:
    plan = offboarding.decide(leaving())
    assert kinds(plan) == [("create", "NetworkPolicy", HOME), ("create", "ServiceAccount", HOME)]
    assert plan.first == {"archive": {"name": index.name(IDENTITY), "capturing": "2026-01-01T00:00:00Z"}}
    children = after({}, plan)
    plan = offboarding.decide(leaving(children, status=BEGUN))
    assert kinds(plan) == [("create", "Job", HOME)]
    assert not plan.first
    children = after(children, plan)
    plan = offboarding.decide(leaving(children, status=BEGUN))
    assert plan.needs_pods == {JOB.key}
    plan = offboarding.decide(leaving(children, status=BEGUN, pods=(PodFacts("p", BEGAN, running=True),)))
    assert not plan.writes
    assert plan.finalizer is Finalizer.KEEP


def test_it_is_asked_where_to_send_to_only_when_that_is_needed() -> None:
    assert offboarding.decide(leaving(intake=None)).needs_intake
    for spec in ({}, {"retirement": {}}, {"retirement": {"retention": "720h"}}):
        plan = offboarding.decide(leaving(intake=None, spec=spec))
        assert not plan.remembers
        assert plan.needs == frozenset(_bindings())
    assert not offboarding.decide(leaving(intake=None, journal=None)).remembers
    done = {"archive": {"name": "x", "captured": ["Logs", "Memory"]}}
    assert not offboarding.decide(leaving(intake=None, status=done)).remembers


def test_nothing_is_packed_while_anything_is_left_that_may_write_or_that_has_rights() -> None:
    job = observe(ChildKind.JOB, _run())
    plan = offboarding.decide(leaving({job.key: job}, intake=None, status={"archive": {"captured": ["Logs"]}}))
    assert not plan.remembers
    assert kinds(plan) == [("delete", "Job", HOME)]


def _run() -> Manifest:
    labels = {**JOB.manifest["metadata"]["labels"], "workforce.dev/run": "training"}
    metadata = {"name": "triage-1-train", "namespace": HOME, "labels": labels, "uid": "r", "resourceVersion": "1"}
    return {**JOB.manifest, "metadata": metadata}


def test_once_it_is_done_all_of_it_goes_and_the_agent_after_it() -> None:
    done = {"archive": {"name": "x", "captured": ["Logs", "Memory"]}}
    children = at_work()
    plan = offboarding.decide(leaving(children, status=done))
    assert kinds(plan) == [("delete", "Job", HOME)]
    del children[JOB.key]
    plan = offboarding.decide(leaving(children, status=done))
    assert kinds(plan) == [("delete", "NetworkPolicy", HOME), ("delete", "ServiceAccount", HOME)]
    plan = offboarding.decide(leaving({}, status=done, live=dict.fromkeys(_bindings()), proof=Proof()))
    assert plan.archive


def _bindings() -> list[ObjectKey]:
    return list(offboarding.decide(leaving({}, status={"archive": {"captured": ["Logs", "Memory"]}})).needs)


@pytest.mark.parametrize(
    ("job", "pods", "seconds", "reason", "text"),
    [
        pytest.param(
            {"conditions": [{"type": "Complete", "status": "True"}]},
            (PodFacts("p", BEGAN, succeeded=True, finished=BEGAN, message="{}"),),
            60,
            GapReason.UNREADABLE,
            "did not get all",
            id="ended well, and nothing is noted",
        ),
        pytest.param(
            {"conditions": [{"type": "Failed", "status": "True", "reason": "BackoffLimitExceeded"}]},
            (PodFacts("p", BEGAN, finished=BEGAN, why="exit code 1", message="the operator refused (503)"),),
            60,
            GapReason.UNREADABLE,
            "the operator refused (503)",
            id="failed",
        ),
        pytest.param(
            {"conditions": [{"type": "Failed", "status": "True", "reason": "DeadlineExceeded"}]},
            (),
            60,
            GapReason.DEADLINE_EXCEEDED,
            "DeadlineExceeded",
            id="took too long by itself",
        ),
        pytest.param(
            {},
            (PodFacts("p", BEGAN, held=Said("Unschedulable", MISSING)),),
            601,
            GapReason.NOT_FOUND,
            MISSING,
            id="no such claim",
        ),
        pytest.param(
            {},
            (PodFacts("p", BEGAN, stuck="Multi-Attach error for volume"),),
            601,
            GapReason.DEADLINE_EXCEEDED,
            "Multi-Attach",
            id="bound elsewhere",
        ),
        pytest.param(
            {}, (PodFacts("p", BEGAN, running=True),), 3600, GapReason.DEADLINE_EXCEEDED, "3600 s", id="too large"
        ),
        pytest.param({}, (), 601, GapReason.DEADLINE_EXCEEDED, "no pod", id="no pod"),
    ],
)
def test_what_cannot_be_had_is_said_to_be_missing(
    job: Manifest, pods: tuple[PodFacts, ...], seconds: float, reason: GapReason, text: str
) -> None:
    plan = offboarding.decide(leaving(at_work(live(**job)), status=BEGUN, seconds=seconds, pods=pods))
    assert plan.missing is not None
    assert (plan.missing.path, plan.missing.reason) == ("memory.tar", reason)
    assert text in plan.missing.message
    assert not plan.writes


@pytest.mark.parametrize(
    ("pods", "seconds"),
    [
        ((PodFacts("p", BEGAN, held=Said("Unschedulable", MISSING)),), 599),
        ((PodFacts("p", BEGAN, running=True),), 3599),
        ((), 30),
    ],
)
def test_it_is_waited_for_until_then_and_looked_at_again(pods: tuple[PodFacts, ...], seconds: float) -> None:
    plan = offboarding.decide(leaving(at_work(), status=BEGUN, seconds=seconds, pods=pods))
    assert plan.missing is None
    assert not plan.writes
    assert plan.requeue_after is not None
    assert plan.requeue_after <= 3600 - seconds


def test_in_a_namespace_that_is_being_deleted_nothing_is_made() -> None:
    for children in ({}, at_work()):
        facts = {HOME: NamespaceFacts({}, terminating=True)}
        plan = offboarding.decide(leaving(children, namespaces=facts, intake=None))
        assert plan.missing is not None
        assert plan.missing.reason is GapReason.NAMESPACE_TERMINATING
        assert not plan.writes


def test_an_operator_that_takes_no_volumes_says_so_and_one_whose_store_is_away_waits() -> None:
    plan = offboarding.decide(leaving(intake=Intake(problem="it was not told its address")))
    assert plan.missing is not None
    told = (GapReason.UNREACHABLE, "spec.retirement.memory: it was not told its address")
    assert (plan.missing.reason, plan.missing.message) == told
    plan = offboarding.decide(leaving(intake=Intake(waits="archive store local is full")))
    assert not plan.writes
    assert plan.missing is None
    assert "archive store local is full" in plan.verdicts[0].message


def test_another_leader_has_its_own_job_once_the_one_before_is_gone() -> None:
    other = replace(INTAKE, url="https://10.9.9.9:8443/v1/memory")
    children = at_work()
    plan = offboarding.decide(leaving(children, intake=other, status=BEGUN, seconds=5))
    assert [(write.verb, write.key) for write in plan.writes] == [(Verb.DELETE, JOB.key)]
    children[JOB.key] = replace(children[JOB.key], deleting=True)
    assert not offboarding.decide(leaving(children, intake=other, status=BEGUN, seconds=6)).writes
    del children[JOB.key]
    plan = offboarding.decide(leaving(children, intake=other, status=BEGUN, seconds=7))
    # The network leads to the one leader only.
    assert kinds(plan) == [("replace", "NetworkPolicy", HOME)]
    children = after(children, plan)
    (write,) = offboarding.decide(leaving(children, intake=other, status=BEGUN, seconds=8)).writes
    assert write.key.name != JOB.key.name
    # The deadline is the one of the beginning.
    plan = offboarding.decide(
        replace(
            leaving(after(children, Plan(writes=(write,))), intake=other, status=BEGUN, seconds=3600),
            pods={write.key: (PodFacts("p", BEGAN, running=True),)},
        )
    )
    assert plan.missing is not None


def test_by_order_it_is_packed_as_well_while_the_steps_are_told() -> None:
    said = {"offboarding": {"reason": "Replaced", "mode": "Emergency"}}
    spec = {"action": "Offboard", "agentRef": {"name": "triage"}, "requestedBy": "ann", "reason": "A test", **said}
    order = Order(HOME, "bye", "o", 1, BEGAN, AgentActionSpec.model_validate(spec))
    status = {"phase": "Offboarding", "inventory": [], "permissions": [{"name": "refund", "state": "Granted"}]}
    ordered = leaving(status=status, offboards=(order,))
    ordered = replace(ordered, agent=ordered.agent.model_copy(update={"metadata": _not_deleted(ordered)}))
    plan = offboarding.decide(ordered)
    assert kinds(plan) == [("create", "NetworkPolicy", HOME), ("create", "ServiceAccount", HOME)]
    assert "offboarding" in plan.status
    job = {JOB.key: at_work()[JOB.key]}
    running = {JOB.key: (PodFacts("p", BEGAN, running=True),)}
    assert not offboarding.decide(replace(ordered, children=job, pods=running)).writes


def _not_deleted(o: Observed) -> Any:
    return o.agent.metadata.model_copy(update={"deletion_timestamp": None})


def test_the_job_can_do_nothing_but_read_the_volume_and_reach_the_operator() -> None:
    spec = JOB.manifest["spec"]["template"]["spec"]
    (container,) = spec["containers"]
    assert spec["serviceAccountName"] == "aiagent.triage.memory"
    assert spec["automountServiceAccountToken"] is False
    assert all(mount["readOnly"] for mount in container["volumeMounts"])
    (token,) = spec["volumes"][1]["projected"]["sources"]
    assert token["serviceAccountToken"]["audience"] == AUDIENCE
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
        "readOnlyRootFilesystem": True,
    }
    assert spec["securityContext"]["runAsNonRoot"] is True
    assert {each["name"]: each["value"] for each in container["env"]} == {
        capture.ENV_KEY: KEY_ID,
        capture.ENV_URL: INTAKE.url,
        capture.ENV_CERTIFICATE: INTAKE.certificate,
    }
    network = memory.network(IDENTITY, INTAKE)
    assert network.manifest["spec"]["egress"] == [
        {"ports": [{"port": 8443, "protocol": "TCP"}], "to": [{"ipBlock": {"cidr": "10.1.2.3/32"}}]}
    ]
    assert network.key == run_network.build(IDENTITY, (), DnsPeers()).key
    six = memory.network(IDENTITY, replace(INTAKE, url="https://[fd00::1]:8443/v1/memory"))
    assert six.manifest["spec"]["egress"][0]["to"] == [{"ipBlock": {"cidr": "fd00::1/128"}}]


def test_names_of_jobs_fit_and_accounts_are_told_apart() -> None:
    longest = memory.job(replace(IDENTITY, name="a" * 40), ASKED, Owner(), INTAKE)
    assert len(longest.key.name) <= 63
    assert meta.agent_of_run(capture.account_name("triage"), capture.RUN) == "triage"
    for other in (
        "aiagent.triage",
        "aiagent.triage.training",
        "aiagent..memory",
        "triage.memory",
        "aiagent.memory",
        "",
    ):
        assert meta.agent_of_run(other, capture.RUN) is None


@pytest.mark.parametrize(
    ("asked", "pods", "expected"),
    [
        ({}, {}, Owner(65532, 65532)),
        ({}, {"securityContext": {"runAsUser": 1000, "runAsGroup": 7, "fsGroup": 2000}}, Owner(1000, 2000)),
        ({}, {"securityContext": {"runAsUser": 1000, "runAsGroup": 7}}, Owner(1000, 7)),
        ({}, {"containers": [{"securityContext": {"runAsUser": 5, "runAsGroup": 6}}]}, Owner(5, 6)),
        ({}, {"securityContext": {"runAsUser": 0, "fsGroup": 0}}, Owner(65532, 65532)),
        ({}, {"securityContext": {"runAsUser": "x"}}, Owner(65532, 65532)),
        ({"run_as_user": 9, "run_as_group": 8}, {"securityContext": {"runAsUser": 1000, "fsGroup": 2}}, Owner(9, 8)),
    ],
)
def test_it_reads_as_whoever_wrote(asked: dict[str, int], pods: Manifest, expected: Owner) -> None:
    spec = {"workload": {"template": {"spec": pods}}}
    assert memory.owner(Memory(claim_name="facts", **asked), spec) == expected


def test_a_job_that_somebody_removes_is_made_again() -> None:
    children = at_work()
    del children[JOB.key]
    assert kinds(offboarding.decide(leaving(children, status=BEGUN, seconds=9))) == [("create", "Job", HOME)]


def test_what_of_the_volume_is_not_in_the_tar_is_named_beside_it() -> None:
    what = memories.BY_RUN[capture.RUN]
    assert left_out(Received(1, "00", Packed(files=3)), what) is None
    gap = left_out(Received(1, "00", Packed(files=3, unreadable=2, changed=1)), what)
    assert gap is not None
    assert gap.reason is GapReason.UNREADABLE
    assert "2 could not be read and 1 changed while they were read" in gap.message
    changed = left_out(Received(1, "00", Packed(changed=1)), what)
    assert changed is not None
    assert changed.reason is GapReason.CHANGED_MEANWHILE
    # Both may be in one manifest: what is missing of an item is not the item.
    item, _ = archives.encrypted(layout.MEMORY, b"tar")
    files = [*archives.stored(), item]
    kept = retention.decide((), archives.SEALED)
    sealed = manifest.read(manifest.seal(archives.ARCHIVE, archives.leaving(), files, (gap,), kept))
    assert sealed.not_captured == (gap,)


@pytest.mark.parametrize(
    ("archive", "told", "says"),
    [
        (None, {}, "address and image"),
        ("x", {"pod_ip": "127.0.0.1"}, "address and image"),
        ("x", TOLD, "cannot listen"),
    ],
)
async def test_before_it_is_known_whether_it_listens_nothing_is_decided(
    archive: object, told: dict[str, str], says: str
) -> None:
    with socket.create_server(("0.0.0.0", 0)) as taken:
        settings = Settings(upload_port=taken.getsockname()[1], **told)
        journal = cast("Journal", SimpleNamespace(archive=archive))
        desk = Memories(
            cast("Api", None), cast("Store", None), WorkQueue(backoff_initial=1, backoff_max=1), settings, journal
        )
        asked = asyncio.create_task(desk.intake(leaving()))
        await asyncio.sleep(0)
        assert not asked.done()
        await desk.run()
        assert says in (await asked).problem


# The decision log on a volume ----------------------------------------------------------------------------------------

LOGGED = LogVolume(claim_name="facts", path="logs/decisions")
LOG_JOB = memory.job(IDENTITY, LOGGED, Owner(), INTAKE)
LOG = {"decisionLog": {"volume": {"claimName": "facts", "path": "logs/decisions"}}}
BOTH = {"spec": {"retirement": {**LOG, "memory": {"claimName": "facts"}}}}


def logging(children: Mapping[ObjectKey, Child] | None = None, **facts: Any) -> Observed:
    """An agent that leaves, whose decision log is on a volume."""
    return leaving(children, job=LOG_JOB.key, **({"spec": {"retirement": LOG}} | facts))


def packing(status: Mapping[str, Any] | None = None, **facts: Any) -> dict[ObjectKey, Child]:
    """The children when the Job of the decision log is there."""
    metadata = {**LOG_JOB.manifest["metadata"], "uid": "j2", "resourceVersion": "1"}
    job = {**LOG_JOB.manifest, "metadata": metadata, "status": {"startTime": "2026-01-01T00:00:00Z", **(status or {})}}
    return after({}, offboarding.decide(logging(**facts))) | {LOG_JOB.key: observe(ChildKind.JOB, job)}


def test_the_job_of_a_decision_log_is_that_of_a_memory_with_a_folder() -> None:
    other = memory.job(IDENTITY, Memory(claim_name="facts"), Owner(), INTAKE).manifest
    made = deepcopy(LOG_JOB.manifest)
    assert LOG_JOB.key.name.startswith("triage-decisions-")
    assert made["metadata"]["labels"] == other["metadata"]["labels"] | {runs.LABEL_RUN: "decisions"}
    # Of the same containers otherwise: what is told of the folder is all that is beside.
    assert made["spec"].pop("podFailurePolicy")["rules"][0]["onExitCodes"]["values"] == [capture.NO_FOLDER]
    ours, theirs = (each["spec"]["template"]["spec"] for each in (made, other))
    (container,), (known,) = ours.pop("containers"), theirs.pop("containers")
    assert ours == theirs
    told = {each["name"]: each["value"] for each in container.pop("env")}
    assert {name: told.pop(name) for name in (capture.ENV_FOLDER, capture.ENV_ROOT)} == {
        capture.ENV_FOLDER: "logs/decisions", capture.ENV_ROOT: "decisions",
    }  # fmt: skip
    assert told == {each["name"]: each["value"] for each in known.pop("env")}
    assert container == known | {"name": "decisions"}
    whole = memory.job(IDENTITY, LogVolume(claim_name="facts"), Owner(), INTAKE).manifest["spec"]["template"]["spec"]
    assert capture.ENV_FOLDER not in {each["name"] for each in whole["containers"][0]["env"]}
    assert len(memory.job(replace(IDENTITY, name="a" * 40), LOGGED, Owner(), INTAKE).key.name) <= 63


def test_one_volume_comes_after_the_other_the_decision_log_first_and_each_has_the_whole_time() -> None:
    children = packing(**BOTH)
    plan = offboarding.decide(logging(children, status=BEGUN, seconds=3000, **BOTH))
    assert plan.needs_pods == {LOG_JOB.key}
    assert memories.jobs(logging(children, status=BEGUN, **BOTH)) == {LOG_JOB.key}
    # It is noted when the hour is nearly over.
    o = logging(children, status=BEGUN, seconds=3500, **BOTH)
    archive = memories.captured(o, memories.BY_RUN[capture.DECISIONS], BEGUN["archive"])
    assert archive == {"name": index.name(IDENTITY), "capturing": o.time, "captured": ["Decisions"]}
    done = {"archive": archive}
    assert kinds(offboarding.decide(logging(children, status=done, seconds=3500, **BOTH))) == [("delete", "Job", HOME)]
    del children[LOG_JOB.key]
    plan = offboarding.decide(logging(children, status=done, seconds=3510, **BOTH))
    assert [(write.verb, write.key) for write in plan.writes] == [(Verb.CREATE, JOB.key)]
    running = {JOB.key: (PodFacts("p", BEGAN, running=True),)}
    o = logging(children | {JOB.key: at_work()[JOB.key]}, status=done, seconds=7000, **BOTH)
    assert offboarding.decide(replace(o, pods=running)).missing is None
    late = logging(children | {JOB.key: at_work()[JOB.key]}, status=done, seconds=7101, **BOTH)
    plan = offboarding.decide(replace(late, pods=running))
    assert plan.missing is not None
    assert plan.missing.path == "memory.tar"
    # After the last one nothing begins.
    archive = memories.captured(late, memories.BY_RUN[capture.RUN], archive)
    assert (archive["captured"], archive["capturing"]) == (["Decisions", "Memory"], done["archive"]["capturing"])
    assert memories.asked(logging(status={"archive": archive}, **BOTH)) is None


@pytest.mark.parametrize(
    ("job", "pods", "seconds", "reason", "says"),
    [
        pytest.param(
            {"conditions": [{"type": "Failed", "status": "True", "reason": "PodFailurePolicy"}]},
            (PodFacts("p", BEGAN, finished=BEGAN, why="exit code 3", message="logs is not there"),),
            60,
            GapReason.NOT_FOUND,
            'spec.retirement.decisionLog.volume: in the volume of claim "facts" logs is not there',
            id="no such folder",
        ),
        pytest.param(
            {"conditions": [{"type": "Failed", "status": "True", "reason": "BackoffLimitExceeded"}]},
            (PodFacts("p", BEGAN, finished=BEGAN, why="exit code 1", message="Permission denied"),),
            60,
            GapReason.UNREADABLE,
            "Permission denied",
            id="not its reader",
        ),
        pytest.param(
            {},
            (PodFacts("p", BEGAN, held=Said("Unschedulable", MISSING)),),
            601,
            GapReason.NOT_FOUND,
            f"spec.retirement.decisionLog.volume: no pod of Job {HOME}/{LOG_JOB.key.name} has started",
            id="no such claim",
        ),
        pytest.param(
            {}, (PodFacts("p", BEGAN, running=True),), 3600, GapReason.DEADLINE_EXCEEDED, "3600 s", id="too large"
        ),
    ],
)
def test_a_decision_log_that_cannot_be_had_is_said_to_be_missing_by_its_field(
    job: Manifest, pods: tuple[PodFacts, ...], seconds: float, reason: GapReason, says: str
) -> None:
    plan = offboarding.decide(logging(packing(job), status=BEGUN, seconds=seconds, pods=pods))
    assert plan.missing is not None
    assert (plan.missing.path, plan.missing.reason) == ("decisions.tar", reason)
    assert says in plan.missing.message
    assert "spec.retirement.decisionLog.volume: " in plan.missing.message


def test_both_are_named_in_a_namespace_that_is_being_deleted_and_where_an_order_gives_them_up() -> None:
    facts = {HOME: NamespaceFacts({}, terminating=True)}
    found = []
    archive: Mapping[str, Any] = {"name": "x"}
    for _ in range(2):
        o = logging(namespaces=facts, intake=None, status={"archive": archive}, **BOTH)
        plan, wanted = offboarding.decide(o), memories.asked(o)
        assert plan.missing is not None
        assert wanted is not None
        found.append((plan.missing.path, plan.missing.reason))
        archive = memories.captured(o, wanted.what, archive)
    assert found == [(path, GapReason.NAMESPACE_TERMINATING) for path in ("decisions.tar", "memory.tar")]
    assert "capturing" not in archive
    assert [gap.path for gap in memories.given_up(logging(**BOTH))] == ["decisions.tar", "memory.tar"]
    done = logging(status={"archive": {"captured": ["Decisions"]}}, **BOTH)
    assert [(gap.path, gap.reason) for gap in memories.given_up(done)] == [("memory.tar", GapReason.ABANDONED)]


def test_what_of_a_decision_log_is_not_in_the_tar_is_named_as_the_log() -> None:
    gap = left_out(Received(1, "00", Packed(unreadable=2)), memories.BY_RUN[capture.DECISIONS])
    assert gap is not None
    assert (gap.path, gap.reason) == ("decisions", GapReason.UNREADABLE)
    assert "of its decision log 2 could not be read" in gap.message


def test_only_a_log_in_a_store_is_copied_from_one() -> None:
    for log, copied in ((LOG["decisionLog"], False), ({"store": "local"}, True)):
        plan = offboarding.decide(
            logging(status={"archive": {"captured": ["Logs", *([] if copied else ["Decisions"])], "capturing": "x"}},
                    spec={"retirement": {"decisionLog": log}})
        )  # fmt: skip
        assert (Capture.DECISIONS in plan.capture) is copied
