"""What has become of a run, from Jobs and pods as the API server gives them."""

from __future__ import annotations

import copy
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiagent_operator.api import meta
from aiagent_operator.api.runs import RunKind
from aiagent_operator.core.children import run_job
from aiagent_operator.core.children.run_job import Run
from aiagent_operator.core.objects import AgentIdentity, Manifest
from aiagent_operator.core.runs import facts as job_facts
from aiagent_operator.core.runs import outcome as runs
from aiagent_operator.core.runs.outcome import Failed, Outcome, Running, RunReason, Succeeded, Waiting

AGENT = AgentIdentity("support", "triage", "0b7e7f3a-8a1c-4f43-9d50-4f57f5a0e0d1")
TEMPLATE: Manifest = {
    "spec": {
        "template": {"spec": {"containers": [{"name": "train", "image": "a:1"}, {"name": "proxy", "image": "b:1"}]}}
    }
}
BEGIN, LATER, END = "2026-07-06T00:00:00Z", "2026-07-06T00:10:00Z", "2026-07-06T01:00:00Z"
ENDED = datetime(2026, 7, 6, 1, tzinfo=UTC)
RESULT = '{"artifact": "s3://models/7"}'


def condition(kind: str, reason: str = "", message: str = "", status: str = "True") -> Manifest:
    return {"type": kind, "status": status, "reason": reason, "message": message, "lastTransitionTime": END}


def job(*conditions: Manifest, labels: dict[str, str] | None = None, **more: Any) -> Manifest:
    """The live Job, as the builder makes it, with its status."""
    built = run_job.build(AGENT, Run(RunKind.TRAINING, 7, "train", {}), copy.deepcopy(TEMPLATE))
    built["metadata"] |= {"uid": "job-uid", "resourceVersion": "1"} | more.pop("metadata", {})
    built["metadata"]["labels"] |= labels or {}
    built["spec"] |= more.pop("spec", {})
    built["status"] = {"conditions": list(conditions)} | more
    return built


RUNNING = {"startTime": BEGIN, "active": 1}
COMPLETE = job(condition("SuccessCriteriaMet"), condition("Complete"), startTime=BEGIN, completionTime=END)


def gave_up(reason: str, message: str = "as Kubernetes says it") -> Manifest:
    return job(condition("FailureTarget", reason, message), condition("Failed", reason, message), startTime=BEGIN)


def container(name: str = "train", **state: Any) -> Manifest:
    return {"name": name, "state": state}


def ended(code: int, message: str = "", name: str = "train", at: str = LATER, **more: Any) -> Manifest:
    reason = "Error" if code else "Completed"
    return container(name, terminated={"exitCode": code, "reason": reason, "finishedAt": at, "message": message} | more)


def pod(name: str, phase: str, *statuses: Manifest, init: tuple[Manifest, ...] = (), **more: Any) -> Manifest:
    """A pod of the Job, as the kubelet and the Job controller leave it."""
    metadata = {
        "name": name,
        "creationTimestamp": more.pop("created", BEGIN),
        "ownerReferences": [{"kind": "Job", "uid": more.pop("owner", "job-uid"), "controller": True}],
    }
    spec = {"serviceAccountName": more.pop("account", "aiagent.triage.training")}
    status = {"phase": phase, "containerStatuses": list(statuses), "initContainerStatuses": list(init)} | more
    return {"metadata": metadata, "spec": spec, "status": status}


def outcome(live: Manifest, *pods: Manifest) -> Outcome:
    facts = job_facts.observe(live)
    return runs.outcome(facts, job_facts.observe_pods(facts, pods))


WENT_WELL = pod("b", "Succeeded", ended(0, RESULT), ended(0, "", "proxy"))
WENT_WRONG = pod("a", "Failed", ended(1, "Epoch 1\nno data\n"), ended(0, "", "proxy"))


@pytest.mark.parametrize(
    ("live", "pods", "expected"),
    [
        pytest.param(COMPLETE, [WENT_WELL], Succeeded(RESULT, "b", ENDED), id="completed"),
        pytest.param(
            COMPLETE, [WENT_WRONG, WENT_WELL], Succeeded(RESULT, "b", ENDED), id="completed at the second try"
        ),
        pytest.param(
            COMPLETE,
            [WENT_WELL, pod("a", "Succeeded", ended(0, "later", at=END), created=LATER)],
            Succeeded("later", "a", ENDED),
            id="two pods succeeded: the one that ended last",
        ),
        pytest.param(
            COMPLETE,
            [pod("b", "Succeeded", ended(0, "the proxy's", "proxy"), ended(0, RESULT))],
            Succeeded(RESULT, "b", ENDED),
            id="the statuses come in another order",
        ),
        pytest.param(
            COMPLETE,
            [pod("b", "Succeeded", ended(0, RESULT), ended(137, "", "proxy"), init=(ended(0, "fetched", "fetch"),))],
            Succeeded(RESULT, "b", ENDED),
            id="a sidecar that was ended is no failure",
        ),
        pytest.param(
            job(condition("Complete"), condition("Suspended", "JobResumed", status="False"), completionTime=END),
            [WENT_WELL],
            Succeeded(RESULT, "b", ENDED),
            id="held by a queue before",
        ),
        pytest.param(
            job(condition("Complete"), completionTime=END, metadata={"deletionTimestamp": END}),
            [WENT_WELL],
            Succeeded(RESULT, "b", ENDED),
            id="deleted once it was complete",
        ),
        pytest.param(job(**RUNNING), [pod("a", "Running", container(running={}))], Running(), id="running"),
        pytest.param(
            job(**RUNNING),
            [pod("a", "Pending", container(waiting={"reason": "ContainerCreating"}))],
            Running(),
            id="its volumes are being mounted",
        ),
        pytest.param(
            job(**RUNNING),
            [
                pod(
                    "a",
                    "Pending",
                    container(waiting={"reason": "ImagePullBackOff", "message": "no such image\nat all"}),
                )
            ],
            Running('pod a: container "train": ImagePullBackOff: no such image at all'),
            id="no image",
        ),
        pytest.param(
            job(**RUNNING),
            [pod("a", "Pending", init=(container("fetch", waiting={"reason": "CreateContainerConfigError"}),))],
            Running('pod a: container "fetch": CreateContainerConfigError'),
            id="no Secret for an init container",
        ),
        pytest.param(
            job(**RUNNING),
            [WENT_WRONG, pod("b", "Running", container(running={}), created=LATER)],
            Running('1 of 3 tries failed, the last one: container "train" ended with exit code 1 (Error)'),
            id="a second try runs",
        ),
        pytest.param(
            job(**RUNNING),
            [
                pod("z", "Running", container(running={})),
                pod("a", "Pending", container(waiting={"reason": "ErrImagePull"}), created=LATER),
            ],
            Running('pod a: container "train": ErrImagePull'),
            id="of two pods at once the newer one tells",
        ),
        pytest.param(
            job(condition("FailureTarget", "DeadlineExceeded", "too long"), **RUNNING),
            [pod("a", "Running", container(running={}))],
            Running("Job support/triage-7-train is ending (DeadlineExceeded: too long); its pod has still to stop"),
            id="over its deadline, and its pod still there",
        ),
        pytest.param(
            job(condition("SuccessCriteriaMet", "CompletionsReached"), **RUNNING),
            [WENT_WELL],
            Running("Job support/triage-7-train is ending (CompletionsReached); its pod has still to stop"),
            id="succeeded, and not yet counted",
        ),
    ],
)
def test_how_it_goes(live: Manifest, pods: list[Manifest], expected: Outcome) -> None:
    assert outcome(live, *pods) == expected


@pytest.mark.parametrize(
    ("live", "pods", "reason", "words"),
    [
        pytest.param(
            job(spec={"suspend": True}, labels={"kueue.x-k8s.io/queue-name": "nightly"}),
            [],
            RunReason.QUEUED,
            "waits in Kueue's queue nightly: its Workload says for what",
            id="queued",
        ),
        pytest.param(
            job(spec={"suspend": True}), [], RunReason.SUSPENDED, "is suspended: set spec.suspend", id="by its author"
        ),
        pytest.param(
            job(
                condition("Suspended", "JobSuspended"),
                spec={"suspend": True},
                metadata={
                    "managedFields": [
                        {"manager": meta.MANAGER, "operation": "Update", "fieldsV1": {"f:spec": {"f:suspend": {}}}},
                        {"manager": "kubectl-patch", "operation": "Update", "fieldsV1": {"f:spec": {"f:suspend": {}}}},
                    ]
                },
            ),
            [WENT_WRONG],
            RunReason.SUSPENDED,
            'is suspended by "kubectl-patch"',
            id="by a person",
        ),
        pytest.param(
            job(startTime=BEGIN), [], RunReason.NO_POD, "has no pod: where this stays, its events say why", id="no pod"
        ),
        pytest.param(
            job(startTime=BEGIN),
            [WENT_WRONG],
            RunReason.NO_POD,
            "has no pod now; 1 of 3 tries failed",
            id="between two tries",
        ),
        pytest.param(
            job(**RUNNING),
            [pod("a", "Pending", conditions=[condition("PodScheduled", "Unschedulable", "0/3 nodes", "False")])],
            RunReason.UNSCHEDULABLE,
            "pod a of Job support/triage-7-train has no node (Unschedulable: 0/3 nodes)",
            id="no node has room",
        ),
    ],
)
def test_what_it_waits_for(live: Manifest, pods: list[Manifest], reason: RunReason, words: str) -> None:
    found = outcome(live, *pods)
    assert isinstance(found, Waiting)
    assert found.reason is reason
    assert words in found.message


@pytest.mark.parametrize(
    ("live", "pods", "reason", "words", "tail"),
    [
        pytest.param(
            gave_up("BackoffLimitExceeded"),
            [WENT_WRONG, pod("b", "Failed", ended(2, "bad data", at=END), created=LATER)],
            "BackoffLimitExceeded",
            "Job support/triage-7-train failed (BackoffLimitExceeded: as Kubernetes says it); "
            'pod b: container "train" ended with exit code 2 (Error); mend what its log names',
            "bad data",
            id="no try is left: the newest pod says why",
        ),
        pytest.param(
            gave_up("DeadlineExceeded"),
            [WENT_WRONG, pod("b", "Succeeded", ended(0, RESULT, at=END), created=LATER)],
            "DeadlineExceeded",
            'pod a: container "train" ended with exit code 1',
            "Epoch 1\nno data",
            id="a pod that succeeded too late is no reason",
        ),
        pytest.param(
            gave_up("BackoffLimitExceeded"),
            [pod("a", "Failed", ended(137, "", reason="OOMKilled", signal=9))],
            "BackoffLimitExceeded",
            'container "train" ended with exit code 137, signal 9 (OOMKilled)',
            "",
            id="out of memory",
        ),
        pytest.param(
            gave_up("BackoffLimitExceeded"),
            [pod("a", "Failed", init=(ended(1, "403", "fetch"),))],
            "BackoffLimitExceeded",
            'container "fetch" ended with exit code 1',
            "403",
            id="an init container",
        ),
        pytest.param(
            gave_up("BackoffLimitExceeded"),
            [pod("a", "Failed", ended(0), ended(3, "proxy down", "proxy"))],
            "BackoffLimitExceeded",
            'container "proxy" ended with exit code 3',
            "proxy down",
            id="another container",
        ),
        pytest.param(
            gave_up("BackoffLimitExceeded"),
            [pod("a", "Failed", ended(143, "told to stop", "proxy"), ended(1, "no data"))],
            "BackoffLimitExceeded",
            'container "train" ended with exit code 1',
            "no data",
            id="the container of the result has the most to say",
        ),
        pytest.param(
            gave_up("BackoffLimitExceeded"),
            [pod("a", "Failed", reason="Evicted", message="The node was low on resource: memory.")],
            "BackoffLimitExceeded",
            "pod a: Evicted: The node was low on resource: memory.",
            "",
            id="evicted before it had containers",
        ),
        pytest.param(
            gave_up("BackoffLimitExceeded"),
            [
                WENT_WRONG,
                pod("b", "Failed", reason="Evicted", conditions=[condition("Ready", status="False")], created=LATER),
            ],
            "BackoffLimitExceeded",
            "pod b: Evicted;",
            "",
            id="evicted at the last try",
        ),
        pytest.param(
            gave_up("PodFailurePolicy"),
            [
                pod(
                    "a",
                    "Failed",
                    ended(137),
                    conditions=[condition("DisruptionTarget", "PreemptionByScheduler", "by c")],
                )
            ],
            "PodFailurePolicy",
            "pod a: PreemptionByScheduler: by c; mend what its log names; podFailurePolicy of the jobTemplate",
            "",
            id="preempted",
        ),
        pytest.param(
            gave_up("DeadlineExceeded", "Job was active longer than specified deadline"),
            [],
            "DeadlineExceeded",
            "longer than specified deadline); raise activeDeadlineSeconds (now 21600), or let the run do less",
            "",
            id="over its deadline",
        ),
        pytest.param(
            gave_up("SomethingNew"), [], "SomethingNew", "failed (SomethingNew", "", id="a reason of tomorrow"
        ),
        pytest.param(
            gave_up("BackoffLimitExceeded"),
            [pod("a", "Failed")],
            "BackoffLimitExceeded",
            "pod a: it says no reason",
            "",
            id="a pod that says nothing",
        ),
        pytest.param(
            COMPLETE, [], RunReason.RESULT_LOST, "its pod is gone, and the result with it", "", id="pod removed"
        ),
        pytest.param(COMPLETE, [WENT_WRONG], RunReason.RESULT_LOST, "its pod is gone", "", id="the good pod removed"),
        pytest.param(
            COMPLETE,
            [pod("b", "Succeeded", ended(0, " \n"), ended(0, RESULT, "proxy"))],
            RunReason.NO_RESULT,
            'container "train" of pod b left no termination message: write the result to $WORKFORCE_RESULT',
            "",
            id="no result, for another container's counts not",
        ),
        pytest.param(
            job(metadata={"deletionTimestamp": END}, **RUNNING),
            [pod("a", "Running", container(running={}))],
            RunReason.JOB_REMOVED,
            "was deleted while it ran",
            "",
            id="deleted",
        ),
    ],
)
def test_why_it_failed(live: Manifest, pods: list[Manifest], reason: str, words: str, tail: str) -> None:
    found = outcome(live, *pods)
    assert isinstance(found, Failed)
    assert (found.reason, found.tail) == (reason, tail)
    assert words in found.message


def test_a_job_that_is_gone_has_failed() -> None:
    found = runs.outcome(None, ())
    assert isinstance(found, Failed)
    assert found.reason == RunReason.JOB_REMOVED


@pytest.mark.parametrize("theirs", [{"owner": "another"}, {"account": "default"}, {"account": "aiagent.triage"}])
def test_a_pod_that_somebody_else_made_leaves_no_result(theirs: dict[str, str]) -> None:
    forged = pod("z", "Succeeded", ended(0, '{"artifact": "s3://evil/7"}', at=END), **theirs)
    assert outcome(COMPLETE, forged, WENT_WELL) == Succeeded(RESULT, "b", ENDED)
    found = outcome(COMPLETE, forged)
    assert isinstance(found, Failed)
    assert found.reason == RunReason.RESULT_LOST


def test_a_pod_without_an_owner_is_nobodys() -> None:
    orphan = copy.deepcopy(WENT_WELL)
    del orphan["metadata"]["ownerReferences"]
    assert isinstance(outcome(COMPLETE, orphan), Failed)


def test_what_is_shown_of_a_log_is_its_end_without_escapes() -> None:
    log = "x" * 5000 + "\x1b[31mthe end"
    found = outcome(gave_up("BackoffLimitExceeded"), pod("a", "Failed", ended(1, log)))
    assert isinstance(found, Failed)
    assert len(found.tail) == runs.TAIL
    assert found.tail.endswith(r"\u001b[31mthe end")


def test_times_are_those_of_the_job() -> None:
    facts = job_facts.observe(gave_up("BackoffLimitExceeded"))
    assert facts.started == datetime(2026, 7, 6, tzinfo=UTC)
    assert facts.finished == ENDED
    assert (facts.account, facts.container, facts.tries) == ("aiagent.triage.training", "train", 3)
    fresh = job_facts.observe({k: v for k, v in job().items() if k != "status"})
    assert (fresh.started, fresh.finished, fresh.complete, fresh.failed) == (None, None, False, None)


_POD = st.builds(
    lambda name, phase, code, message, more: pod(name, phase, ended(code, message), **more),
    st.sampled_from("abc"),
    st.sampled_from(["Pending", "Running", "Succeeded", "Failed", "Unknown"]),
    st.integers(0, 3),
    st.text(max_size=20),
    st.sampled_from([{}, {"reason": "Evicted"}, {"created": LATER}, {"conditions": [condition("Ready")]}]),
)
_CONDITIONS = st.lists(
    st.builds(
        condition,
        st.sampled_from(["Complete", "Failed", "FailureTarget", "SuccessCriteriaMet", "Suspended", "Future"]),
        st.sampled_from(["", "DeadlineExceeded"]),
        st.text(max_size=20),
        st.sampled_from(["True", "False", "Unknown"]),
    ),
    max_size=4,
)


@given(_CONDITIONS, st.booleans(), st.lists(_POD, max_size=4), st.randoms(use_true_random=False))
def test_every_state_has_an_answer_that_does_not_depend_on_the_order_of_pods(
    conditions: list[Manifest], suspend: bool, pods: list[Manifest], random: Any
) -> None:
    live = job(*conditions, spec={"suspend": suspend})
    named = [{**each, "metadata": each["metadata"] | {"name": f"p{number}"}} for number, each in enumerate(pods)]
    found = outcome(live, *named)
    shuffled = list(named)
    random.shuffle(shuffled)
    assert outcome(live, *shuffled) == found
    is_true = {each["type"] for each in conditions if each["status"] == "True"}
    assert isinstance(found, Succeeded | Failed) == bool(is_true & {"Complete", "Failed"})
