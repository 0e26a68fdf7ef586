"""Adoption as pure decisions; what the API server makes of them is in tests/cluster/test_adoption_fields.py."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiagent_operator.api import meta
from aiagent_operator.api.connections import Connection
from aiagent_operator.api.workload import OnConflict
from aiagent_operator.core import injection
from aiagent_operator.core.children import deployment, observe
from aiagent_operator.core.injection import Injection
from aiagent_operator.core.objects import AgentIdentity, ChildKind, Manifest
from aiagent_operator.core.targets import adoption, contents, disputes, release

AGENT = AgentIdentity("support", "triage", "11111111-1111-1111-1111-111111111111")
OTHER = AgentIdentity("support", "other", "22222222-2222-2222-2222-222222222222")
PODS = injection.build(AGENT, "aiagent.triage.0123456789", [Connection(name="crm", audience="https://crm.example")])


def target(*containers: str, account: str = "", kind: str = "Deployment", **metadata: Any) -> Manifest:
    """A workload as it is read from the API server, with nobody known to have set its fields."""
    pod: Manifest = {"containers": [{"name": name, "image": name} for name in containers or ("app",)]}
    if account:
        pod |= {"serviceAccountName": account, "serviceAccount": account}
    return {
        "apiVersion": "apps/v1",
        "kind": kind,
        "metadata": {"name": "app", "namespace": "support", "uid": "u", "resourceVersion": "1", **metadata},
        "spec": {
            "replicas": 2,
            "selector": {"matchLabels": {"app": "app"}},
            "template": {"metadata": {"labels": {"app": "app"}}, "spec": pod},
        },
    }


def adopted(live: Manifest, pods: Injection = PODS) -> Manifest:
    """The target with everything put in."""
    live = copy.deepcopy(live)
    labels = meta.child_labels(AGENT.name, AGENT.namespace, AGENT.uid)
    live["metadata"].setdefault("labels", {}).update(labels)
    live["metadata"].setdefault("annotations", {})[meta.ANNOTATION_CLAIMED_BY] = AGENT.uid
    template = live["spec"]["template"]
    template["metadata"]["labels"] |= labels
    template["spec"] = injection.into(template["spec"], pods)
    del template["spec"]["automountServiceAccountToken"]
    return live


names = st.lists(st.sampled_from(["app", "log", "cache", "proxy"]), min_size=1, max_size=4, unique=True)


@given(containers=names)
def test_the_digest_does_not_depend_on_the_containers(containers: list[str]) -> None:
    live = adopted(target(*containers))
    assert contents.owned(live) == contents.desired_digest(AGENT, PODS)
    assert adoption.plan(live, AGENT, PODS, OnConflict.REFUSE) == adoption.Converged()


@given(containers=names, data=st.data())
def test_a_container_without_the_mounts_is_drift(containers: list[str], data: st.DataObject) -> None:
    live = adopted(target(*containers))
    chosen = data.draw(st.sampled_from(live["spec"]["template"]["spec"]["containers"]))
    chosen["volumeMounts"].pop(data.draw(st.integers(0, len(chosen["volumeMounts"]) - 1)))
    assert contents.owned(live) != contents.desired_digest(AGENT, PODS)
    assert isinstance(adoption.plan(live, AGENT, PODS, OnConflict.REFUSE), adoption.Apply)


def test_what_the_owner_does_elsewhere_is_no_drift() -> None:
    live = adopted(target())
    live["spec"]["replicas"] = 7
    live["metadata"]["labels"]["team"] = "theirs"
    live["metadata"]["annotations"]["note"] = "theirs"
    spec = live["spec"]["template"]["spec"]
    spec["volumes"].insert(0, {"name": "data", "emptyDir": {}})
    spec["containers"][0]["volumeMounts"].insert(0, {"name": "data", "mountPath": "/data"})
    spec["initContainers"] = [{"name": "migrate", "image": "migrate"}]
    assert contents.owned(live) == contents.desired_digest(AGENT, PODS)


@pytest.mark.parametrize("kind", list(OnConflict))
def test_an_account_that_nobody_is_known_to_have_set_counts_as_somebodys(kind: OnConflict) -> None:
    outcome = adoption.plan(target(account="theirs"), AGENT, PODS, kind)
    if kind is OnConflict.REFUSE:
        assert isinstance(outcome, adoption.Conflict)
        assert outcome.manager == ""
        assert "a manager that is not known" in outcome.message
    else:
        assert isinstance(outcome, adoption.Apply)
        assert outcome.force
        annotations = outcome.body["metadata"]["annotations"]
        assert annotations[meta.ANNOTATION_PRIOR_ACCOUNT] == "theirs"
        assert meta.ANNOTATION_PRIOR_MANAGER not in annotations


def test_an_account_left_behind_by_the_operator_itself_is_replaced_without_force() -> None:
    fields = {"f:spec": {"f:template": {"f:spec": {"f:serviceAccountName": {}}}}}
    entry = {"manager": meta.MANAGER, "operation": "Apply", "fieldsV1": fields}
    live = target(account="aiagent.former", managedFields=[entry])
    outcome = adoption.plan(live, AGENT, PODS, OnConflict.REFUSE)
    assert isinstance(outcome, adoption.Apply)
    assert not outcome.force
    assert meta.ANNOTATION_PRIOR_ACCOUNT not in outcome.body["metadata"]["annotations"]


def test_what_is_recorded_for_the_way_back_is_applied_again_with_every_change() -> None:
    recorded = {meta.ANNOTATION_PRIOR_ACCOUNT: "theirs", meta.ANNOTATION_PRIOR_MANAGER: "helm"}
    live = adopted(target(annotations=dict(recorded)))
    live["spec"]["template"]["spec"]["containers"].append({"name": "new", "image": "new"})
    outcome = adoption.plan(live, AGENT, PODS, OnConflict.REFUSE)
    assert isinstance(outcome, adoption.Apply)
    assert outcome.body["metadata"]["annotations"] == {meta.ANNOTATION_CLAIMED_BY: AGENT.uid, **recorded}


def test_every_patch_is_for_exactly_the_version_that_was_looked_at() -> None:
    live = target()
    outcome = adoption.plan(live, AGENT, PODS, OnConflict.REFUSE)
    assert isinstance(outcome, adoption.Apply)
    patches = [outcome.patch, *release.release(adopted(live), AGENT)]
    scaled = release.scale(live, suspended=True)
    assert scaled is not None
    for patch in (*patches, scaled):
        assert patch.body["metadata"]["resourceVersion"] == "1"


class TestClaims:
    def test_the_message_names_holder_and_remedy(self) -> None:
        outcome = adoption.plan(adopted(target()), OTHER, PODS, OnConflict.TAKE_OVER)
        assert isinstance(outcome, adoption.Claimed)
        assert outcome.by == "support/triage"
        assert meta.ANNOTATION_CLAIMED_BY in outcome.message

    def test_a_claim_without_labels_is_named_by_its_uid(self) -> None:
        outcome = adoption.plan(target(annotations={meta.ANNOTATION_CLAIMED_BY: "x"}), AGENT, PODS, OnConflict.REFUSE)
        assert isinstance(outcome, adoption.Claimed)
        assert (outcome.uid, outcome.by) == ("x", "with UID x")

    def test_a_templates_deployment_is_nobodys_target(self) -> None:
        template = {"spec": {"containers": [{"name": "app", "image": "app"}]}}
        live = deployment.build(OTHER, 1, template, 1, PODS).manifest
        for agent in (AGENT, OTHER):
            outcome = adoption.plan(live, agent, PODS, OnConflict.TAKE_OVER)
            assert isinstance(outcome, adoption.Claimed)
            assert "template of AIAgent support/other" in outcome.message

    def test_a_target_that_lost_its_claim_is_still_an_adopted_one(self) -> None:
        """What has no claim would be taken for the operator's own, and deleted."""
        live = adopted(target())
        del live["metadata"]["annotations"]
        assert observe(ChildKind.DEPLOYMENT, live).claimed_by == AGENT.uid


class TestScale:
    @pytest.mark.parametrize(
        ("recorded", "replicas", "manager"),
        [
            ("3", 3, "before-first-apply"),
            ("3 helm", 3, "helm"),
            ("0 a manager with spaces", 0, "a manager with spaces"),
            ("", 1, "before-first-apply"),
            ("-4", 1, "before-first-apply"),
            ("three", 1, "before-first-apply"),
            ("99999999999999999999", 1, "before-first-apply"),
        ],
    )
    def test_what_was_recorded_comes_back_and_nonsense_is_no_crash(
        self, recorded: str, replicas: int, manager: str
    ) -> None:
        live = target(annotations={meta.ANNOTATION_PRIOR_REPLICAS: recorded})
        live["spec"]["replicas"] = 0
        patch = release.scale(live, suspended=False)
        assert patch is not None
        assert patch.body["spec"] == {"replicas": replicas}
        assert patch.manager == manager
        assert patch.body["metadata"]["annotations"] == {meta.ANNOTATION_PRIOR_REPLICAS: None}

    def test_a_target_that_its_owner_has_at_zero_stays_there(self) -> None:
        live = target()
        live["spec"]["replicas"] = 0
        assert release.scale(live, suspended=True) is None
        assert release.scale(live, suspended=False) is None


@pytest.mark.parametrize(
    ("recorded", "account"),
    [(None, None), ("theirs", "theirs"), ("aiagent.payroll", None), ("aiagent.payroll.training", None)],
)
def test_the_account_that_comes_back_is_never_another_agents(recorded: str | None, account: str | None) -> None:
    """Whoever may annotate a workload would else have it run as any agent of the namespace."""
    live = adopted(target())
    if recorded:
        live["metadata"]["annotations"][meta.ANNOTATION_PRIOR_ACCOUNT] = recorded
    live["metadata"]["resourceVersion"] = "1"
    (patch,) = release.release(live, AGENT)
    spec = patch.body["spec"]["template"]["spec"]
    assert (spec["serviceAccountName"], spec["serviceAccount"]) == (account, account)


@pytest.mark.parametrize(
    "error", [{}, {"details": None}, {"details": {"causes": None}}, {"details": {"causes": [{"reason": "Other"}]}}]
)
def test_an_answer_without_a_disputed_field_is_no_conflict(error: Manifest) -> None:
    assert disputes.conflict_message(error, target()) is None


def test_a_cause_in_unknown_words_still_names_the_field() -> None:
    cause = {"reason": "FieldManagerConflict", "message": "no quotes here", "field": ".spec.replicas"}
    conflict = disputes.conflict_message({"details": {"causes": [cause]}}, target())
    assert conflict is not None
    assert ".spec.replicas" in conflict.message
    assert "not known" in conflict.manager
