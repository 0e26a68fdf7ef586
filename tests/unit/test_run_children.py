"""Objects of training and evaluation runs: they are the agent's, and never taken for the agent."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiagent_operator.api import meta, runs
from aiagent_operator.api.connections import Connection
from aiagent_operator.api.jobtemplate import JobTemplate
from aiagent_operator.api.runs import RunKind
from aiagent_operator.core.children import (
    belongs,
    network_policy,
    observe,
    run_account,
    run_job,
    run_network,
    selector,
    service_account,
)
from aiagent_operator.core.children.run_job import Run, RunTemplateError, Stable
from aiagent_operator.core.objects import AgentIdentity, ChildKind, Desired, Manifest, ObjectKey

AGENT = AgentIdentity("support", "triage", "0b7e7f3a-8a1c-4f43-9d50-4f57f5a0e0d1")
STORE = Connection.model_validate(
    {
        "name": "store",
        "egress": {"cidr": "203.0.113.0/24", "port": 443},
        "secretRef": {"name": "store-key"},
        "audience": "https://store.example",
    }
)
METRICS = Connection.model_validate({"name": "metrics", "egress": {"cidr": "2001:db8::/32", "port": 4317}})
TEMPLATE: Manifest = {
    "metadata": {"labels": {"kueue.x-k8s.io/queue-name": "nightly"}, "annotations": {"team": "data"}},
    "spec": {
        "suspend": True,
        "podFailurePolicy": {"rules": [{"action": "FailJob", "onExitCodes": {"operator": "In", "values": [2]}}]},
        "template": {
            "metadata": {"labels": {"app": "train"}, "annotations": {"note": "kept"}},
            "spec": {
                "securityContext": {"runAsNonRoot": True},
                "initContainers": [{"name": "fetch", "image": "fetch:1"}],
                "containers": [
                    {
                        "name": "train",
                        "image": "train:1",
                        "env": [{"name": "TRIAGE_STABLE", "value": "$(WORKFORCE_STABLE_ARTIFACT)"}],
                        "volumeMounts": [{"name": "models", "mountPath": "/store"}],
                    },
                    {
                        "name": "beside",
                        "image": "beside:1",
                        "terminationMessagePath": "/tmp/left",
                        "terminationMessagePolicy": "File",
                    },
                ],
                "volumes": [{"name": "models", "persistentVolumeClaim": {"claimName": "models"}}],
            },
        },
    },
}
STABLE = Stable(6, "s3://models/triage/$(HOME)/6", "registry.example/triage@sha256:" + "a" * 64)


def run(kind: RunKind = RunKind.TRAINING, number: int = 7, suffix: str = "train", **more: Any) -> Run:
    env = run_job.environment(AGENT, kind, number, STABLE, "Drift")
    return Run(kind, number, suffix, **{"env": env, "handbook": "aiagent.triage.0123456789"} | more)


def build(template: Manifest | None = None, of: Run | None = None) -> Manifest:
    return run_job.build(AGENT, of or run(), TEMPLATE if template is None else template)


def pod(job: Manifest) -> Manifest:
    found: Manifest = job["spec"]["template"]["spec"]
    return found


def all_containers(job: Manifest) -> list[Manifest]:
    return [*pod(job).get("initContainers", ()), *pod(job)["containers"]]


def variables(container: Manifest) -> dict[str, str]:
    return {entry["name"]: entry["value"] for entry in container["env"]}


class TestJob:
    def test_it_is_the_agents_object_under_a_name_of_its_revision(self) -> None:
        job = build()
        assert (job["apiVersion"], job["kind"]) == ("batch/v1", "Job")
        assert (job["metadata"]["namespace"], job["metadata"]["name"]) == ("support", "triage-7-train")
        assert job["metadata"]["labels"] == {
            "kueue.x-k8s.io/queue-name": "nightly",
            "app.kubernetes.io/managed-by": "aiagent-operator",
            "workforce.dev/agent": "triage",
            "workforce.dev/agent-namespace": "support",
            "workforce.dev/agent-uid": AGENT.uid,
            "workforce.dev/run": "training",
            "workforce.dev/run-of": AGENT.uid,
            "workforce.dev/revision": "7",
        }
        assert job["metadata"]["annotations"] == {"team": "data"}
        assert "ownerReferences" not in job["metadata"]

    def test_its_pods_are_not_known_as_the_agents(self) -> None:
        labels = build()["spec"]["template"]["metadata"]["labels"]
        assert labels == {
            "app": "train",
            "workforce.dev/run": "training",
            "workforce.dev/run-of": AGENT.uid,
            "workforce.dev/revision": "7",
        }

    def test_labels_of_ours_in_a_template_that_no_rule_saw_are_not_taken(self) -> None:
        template = copy.deepcopy(TEMPLATE)
        for node in (template, template["spec"]["template"]):
            node["metadata"]["labels"] |= {meta.LABEL_AGENT_UID: "other", meta.LABEL_AGENT: "other"}
            node["metadata"]["annotations"][meta.ANNOTATION_CLAIMED_BY] = "other"
            node["metadata"]["finalizers"] = ["keep"]
        template["metadata"]["labels"][meta.LABEL_MANAGED_BY] = "Helm"
        assert build(template) == build()

    def test_it_runs_without_rights_and_without_a_token_of_the_api_server(self) -> None:
        spec = pod(build())
        assert spec["serviceAccountName"] == spec["serviceAccount"] == "aiagent.triage.training"
        assert spec["automountServiceAccountToken"] is False
        assert spec["restartPolicy"] == "Never"
        assert [volume["name"] for volume in spec["volumes"]] == ["models", "workforce-handbook"]
        evaluation = pod(build(of=run(RunKind.EVALUATION, suffix="eval")))
        assert evaluation["serviceAccountName"] == "aiagent.triage.candidate"

    def test_what_the_author_says_wins_over_defaults_and_the_rest_passes_through(self) -> None:
        spec = build()["spec"]
        assert (spec["backoffLimit"], spec["activeDeadlineSeconds"]) == (2, 21_600)
        assert (spec["completions"], spec["parallelism"], spec["podReplacementPolicy"]) == (1, 1, "Failed")
        assert spec["suspend"] is True
        assert spec["podFailurePolicy"] == TEMPLATE["spec"]["podFailurePolicy"]
        assert pod(build())["securityContext"] == {"runAsNonRoot": True}
        told = {"backoffLimit": 0, "activeDeadlineSeconds": 60, "podReplacementPolicy": "TerminatingOrFailed"}
        assert build({"spec": TEMPLATE["spec"] | told})["spec"].items() >= told.items()

    def test_without_suspend_nobody_suspends_it(self) -> None:
        assert "suspend" not in build({"spec": {"template": TEMPLATE["spec"]["template"]}})["spec"]

    def test_what_the_rules_refuse_does_not_reach_the_api_server_from_old_objects_either(self) -> None:
        old = {
            "selector": {"matchLabels": {"app": "other"}},
            "manualSelector": True,
            "ttlSecondsAfterFinished": 0,
            "managedBy": "corp.example/queue",
            "completionMode": "Indexed",
            "parallelism": 9,
            "completions": 9,
        }
        pods = copy.deepcopy(TEMPLATE["spec"]["template"])
        pods["spec"] |= {"serviceAccountName": "admin", "serviceAccount": "admin", "restartPolicy": "OnFailure"}
        pods["spec"]["automountServiceAccountToken"] = True
        template = TEMPLATE | {"spec": TEMPLATE["spec"] | old | {"template": pods}}
        assert build(template) == build()

    def test_every_container_is_told_and_reads_the_handbook(self) -> None:
        job = build()
        assert [container["name"] for container in all_containers(job)] == ["fetch", "train", "beside"]
        for container in all_containers(job):
            assert (
                variables(container).items()
                >= {
                    "WORKFORCE_AGENT": "triage",
                    "WORKFORCE_NAMESPACE": "support",
                    "WORKFORCE_RUN": "training",
                    "WORKFORCE_REVISION": "7",
                    "WORKFORCE_TRIGGER": "Drift",
                    "WORKFORCE_STABLE_REVISION": "6",
                    "WORKFORCE_STABLE_IMAGE": STABLE.image,
                    "WORKFORCE_HANDBOOK": "/etc/workforce/handbook",
                }.items()
            )
            handbook = {"mountPath": "/etc/workforce/handbook", "name": "workforce-handbook", "readOnly": True}
            assert handbook in container["volumeMounts"]
        assert [variables(c)["WORKFORCE_RESULT"] for c in all_containers(job)] == [
            "/dev/termination-log",
            "/dev/termination-log",
            "/tmp/left",
        ]

    def test_our_variables_come_first_so_that_the_authors_may_refer_to_them(self) -> None:
        names = [entry["name"] for entry in pod(build())["containers"][0]["env"]]
        assert names[-1] == "TRIAGE_STABLE"
        assert all(name.startswith("WORKFORCE_") for name in names[:-1])

    def test_the_kubelet_expands_nothing_in_what_a_result_has_said(self) -> None:
        assert variables(pod(build())["containers"][0])["WORKFORCE_STABLE_ARTIFACT"] == "s3://models/triage/$$(HOME)/6"

    def test_before_the_first_promotion_the_names_are_there_and_empty(self) -> None:
        first = run_job.environment(AGENT, RunKind.TRAINING, 1, None)
        later = run_job.environment(AGENT, RunKind.TRAINING, 7, STABLE)
        assert first.keys() == later.keys()
        assert [first[name] for name in first if "STABLE" in name] == ["", "", ""]

    def test_the_end_of_the_log_is_kept_unless_the_author_does_not_want_it(self) -> None:
        policies = [container["terminationMessagePolicy"] for container in all_containers(build())]
        assert policies == ["FallbackToLogsOnError", "FallbackToLogsOnError", "File"]

    def test_connections_are_given_only_where_they_are_named(self) -> None:
        plain = pod(build())
        assert not [volume for volume in plain["volumes"] if "conn" in volume["name"]]
        given_ = run_job.named(["store"], (STORE, METRICS), "spec.retraining.connections")
        spec = pod(build(of=run(connections=given_)))
        store = next(volume for volume in spec["volumes"] if volume["name"] == "workforce-conn-store")
        assert [next(iter(source)) for source in store["projected"]["sources"]] == ["secret", "serviceAccountToken"]
        mount = {"mountPath": "/var/run/workforce/connections/store", "name": "workforce-conn-store", "readOnly": True}
        assert all(mount in container["volumeMounts"] for container in spec["containers"])

    def test_a_connection_that_is_not_declared_is_refused(self) -> None:
        assert run_job.named(["store", "store"], (METRICS, STORE), "f") == (STORE,)
        with pytest.raises(RunTemplateError, match=r'^f names "sotre", but spec.connections has "metrics", "store"'):
            run_job.named(["sotre"], (STORE, METRICS), "f")

    def test_nothing_is_added_that_the_baseline_of_pod_security_forbids(self) -> None:
        """The author's template is the author's; policies see to it. What is added stays within what they allow."""
        spec, author = pod(build(of=run(connections=(STORE,)))), TEMPLATE["spec"]["template"]["spec"]
        account = {"serviceAccountName", "serviceAccount", "automountServiceAccountToken", "restartPolicy"}
        assert set(spec) - set(author) == account
        added = [volume for volume in spec["volumes"] if volume not in author["volumes"]]
        assert {key for volume in added for key in volume} == {"name", "configMap", "projected"}
        mine = {"env", "volumeMounts", "terminationMessagePolicy"}
        for before, after in zip(author["containers"], spec["containers"], strict=True):
            assert {key for key in after if before.get(key) != after[key]} <= mine

    def test_the_template_is_not_changed(self) -> None:
        before = copy.deepcopy(TEMPLATE)
        first = build()
        assert before == TEMPLATE
        assert build() == first

    def test_what_is_built_is_what_the_template_may_say(self) -> None:
        JobTemplate.model_validate({"spec": TEMPLATE["spec"]})

    @pytest.mark.parametrize(
        ("edit", "message"),
        [
            ({"env": [{"name": "WORKFORCE_REVISION", "value": "1"}]}, r'container "train" sets WORKFORCE_REVISION'),
            ({"volumeMounts": [{"name": "m", "mountPath": "/etc/workforce/handbook"}]}, "which is reserved"),
            ({"volumeMounts": [{"name": "m", "mountPath": "/etc/workforce/handbook/"}]}, "which is reserved"),
        ],
    )
    @pytest.mark.parametrize("which", ["containers", "initContainers"])
    def test_what_would_get_in_each_others_way_is_refused(self, which: str, edit: Manifest, message: str) -> None:
        pods = {"spec": {"containers": [{"name": "app"}]} | {which: [{"name": "train"} | edit]}}
        with pytest.raises(RunTemplateError, match=message):
            build({"spec": {"template": pods}})

    def test_a_reserved_volume_is_refused(self) -> None:
        pods = {"spec": {"containers": [{"name": "a"}], "volumes": [{"name": "workforce-handbook", "emptyDir": {}}]}}
        with pytest.raises(RunTemplateError, match=r'volume "workforce-handbook".*rename it'):
            build({"spec": {"template": pods}})

    @given(st.integers(1, 10**9), st.from_regex(r"[a-z]([a-z0-9-]{0,80}[a-z0-9])?", fullmatch=True))
    def test_names_fit_and_tell_the_revision(self, number: int, suffix: str) -> None:
        agent = AgentIdentity("support", "a" * 40, "u")
        name = run_job.name_of(agent, Run(RunKind.EVALUATION, number, suffix, {}))
        assert len(name) <= 63
        assert name.startswith(f"{agent.name}-{number}-"[:54])
        assert name[-1].isalnum()
        other = run_job.name_of(agent, Run(RunKind.EVALUATION, number, suffix + "x", {}))
        assert other != name


def children() -> list[Desired]:
    accounts = [run_account.build(AGENT, kind) for kind in RunKind]
    return [*accounts, run_network.build(AGENT, (STORE, METRICS), network_policy.DnsPeers())]


def read_back(desired: Desired) -> Manifest:
    live = copy.deepcopy(desired.manifest)
    live["metadata"] |= {"uid": "u", "resourceVersion": "1"}
    return live


class TestJobAsChild:
    def test_it_is_observed_with_its_facts_whatever_others_have_set(self) -> None:
        desired = run_job.desired(AGENT, run(), TEMPLATE)
        live = read_back(desired)
        live["metadata"]["labels"]["kueue.x-k8s.io/queue-name"] = "daily"
        live["spec"] |= {"suspend": False, "selector": {"matchLabels": {"batch.kubernetes.io/controller-uid": "u"}}}
        first, child = observe(ChildKind.JOB, read_back(desired)), observe(ChildKind.JOB, live)
        assert desired.key == run_job.key_of(AGENT, run()) == ObjectKey(ChildKind.JOB, "support", "triage-7-train")
        assert (child.key, child.agent_uid, child.digest) == (desired.key, AGENT.uid, first.digest)
        assert child.job is not None
        assert (child.job.run, child.job.revision, child.job.account) == ("training", 7, "aiagent.triage.training")
        assert (child.job.queue, child.job.suspended) == ("daily", False)

    def test_a_refused_one_is_tried_again_when_the_template_changes(self) -> None:
        other = copy.deepcopy(TEMPLATE)
        other["spec"]["template"]["spec"]["containers"][0]["image"] = "train:2"
        assert run_job.desired(AGENT, run(), TEMPLATE) == run_job.desired(AGENT, run(), copy.deepcopy(TEMPLATE))
        assert run_job.desired(AGENT, run(), TEMPLATE).digest != run_job.desired(AGENT, run(), other).digest

    def test_a_job_that_the_operator_did_not_make_is_no_child(self) -> None:
        live = read_back(run_job.desired(AGENT, run(), TEMPLATE))
        assert belongs(ChildKind.JOB, live)
        live["metadata"]["labels"][meta.LABEL_MANAGED_BY] = "somebody"
        assert not belongs(ChildKind.JOB, live)
        assert belongs(ChildKind.DEPLOYMENT, live), "an adopted one"
        assert selector(ChildKind.JOB) == "workforce.dev/agent-uid,app.kubernetes.io/managed-by=aiagent-operator"
        assert selector(ChildKind.ROLE) == "workforce.dev/agent-uid"


@pytest.mark.parametrize("desired", children(), ids=lambda desired: desired.key.name)
def test_they_are_observed_as_children(desired: Desired) -> None:
    child = observe(desired.key.kind, read_back(desired))
    assert (child.digest, child.agent_uid, child.key) == (desired.digest, AGENT.uid, desired.key)


def test_accounts_of_runs_mount_no_token_and_are_nobody_elses() -> None:
    accounts = [service_account.build(AGENT), *(run_account.build(AGENT, kind) for kind in RunKind)]
    assert [account.key.name for account in accounts] == [
        "aiagent.triage",
        "aiagent.triage.training",
        "aiagent.triage.candidate",
    ]
    for account in accounts:
        assert account.key.kind is ChildKind.SERVICE_ACCOUNT
        assert account.manifest["automountServiceAccountToken"] is False
        # The policies know agents' accounts by this.
        assert account.key.name.startswith(meta.ACCOUNT_PREFIX)


def test_runs_reach_dns_and_what_is_declared_and_no_api_server() -> None:
    desired = run_network.build(AGENT, (STORE, METRICS), network_policy.DnsPeers())
    assert desired.key.name == "aiagent.triage.runs"
    spec = desired.manifest["spec"]
    assert spec["podSelector"] == {"matchLabels": {runs.LABEL_RUN_OF: AGENT.uid}}
    assert spec["policyTypes"] == ["Ingress", "Egress"]
    assert "ingress" not in spec
    same = network_policy.build(AGENT, (STORE, METRICS), [], network_policy.DnsPeers()).manifest["spec"]
    assert spec["egress"] == same["egress"]
    job = build()
    assert job["spec"]["template"]["metadata"]["labels"].items() >= spec["podSelector"]["matchLabels"].items()
    # The agent's own policy does not select runs, nor the other way round.
    assert not same["podSelector"]["matchLabels"].items() <= job["spec"]["template"]["metadata"]["labels"].items()
