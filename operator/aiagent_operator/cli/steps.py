"""What people can do about a reason, and the right that each step takes, so that the reader learns whose turn it is.

The same advice as in docs/troubleshooting.md; a test keeps every reason in both.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from aiagent_operator.api.conditions import Reason
from aiagent_operator.cli.rights import Right, Step

_EDIT = Right.EDIT_AGENT
_OTHER_ROLE = Step("name another role in spec.roleRef.name", _EDIT)
_DROP_NAMESPACE = Step("take the namespace out of spec.permissions", _EDIT)
_BINDINGS = (
    Step(
        "remove the bindings that the message names, or bind workforce-edit and workforce-admin instead",
        Right.REMOVE_BINDING,
    ),
    Step("the same, where they are bound in the whole cluster", Right.REMOVE_CLUSTER_BINDING),
)

_STORE = (Step("see in the operator's log what is wrong with the archive store", Right.READ_OPERATOR),)
_TOO_OLD = (
    Step("see in status.training.waitsFor why it is not trained, and mend that in the spec", _EDIT),
    Step("give the AgentPolicy that status.training.maxAge names a longer maxAge, or other agents", Right.EDIT_POLICY),
)

_FINDING = (
    Step(
        "read what was found, and let other revisions take over: kubectl aiagent promote NAME --reason WHY",
        Right.PROMOTE,
    ),
    Step("go back to an earlier revision: kubectl aiagent rollback NAME --to-revision N --reason WHY", Right.ROLLBACK),
)

# Orders speak for themselves; describe shows agents.
_OF_ORDERS = (
    Reason.IN_FORCE, Reason.CARRIED_OUT, Reason.WAITING_FOR_AGENTS, Reason.RESUMING, Reason.NO_AGENT,
    Reason.STILL_SUSPENDED, Reason.NOTICE, Reason.PREVIEWED, Reason.REHIRING, Reason.STILL_OFFBOARDED,
    Reason.ROLLING_BACK, Reason.OVERTAKEN, Reason.NO_REVISION, Reason.RETRAINING, Reason.NO_RETRAINING,
    Reason.TRAINING_FAILED, Reason.NO_ROLLOUT,
)  # fmt: skip
# Of orders about archives, which the command does not show.
_OF_ORDERS_ABOUT_ARCHIVES = (
    Reason.WAITING_FOR_ARCHIVES, Reason.RELEASING, Reason.NO_ARCHIVE, Reason.STILL_HELD, Reason.NOT_LEAVING,
    Reason.TOO_EARLY, Reason.ARCHIVED, Reason.ABANDONING, Reason.NOTHING_TO_ERASE, Reason.EXPIRED,
)  # fmt: skip
# Of an AgentArchive, which the command does not show.
_OF_ARCHIVES = (
    Reason.READ_BACK, Reason.CERTIFIED, Reason.NO_SIGNING_KEY, Reason.ALTERED, Reason.PURGING, Reason.PURGED,
    Reason.ABANDONED, Reason.ERASING, Reason.ERASED, Reason.HELD,
)  # fmt: skip

STEPS: Final[Mapping[Reason, tuple[Step, ...]]] = {
    Reason.PENDING: (
        Step("where it stays so, check that aiagent-operator runs and watches this namespace", Right.READ_OPERATOR),
    ),
    Reason.ONBOARDED: (),
    Reason.ONBOARDING: (),
    Reason.SUSPENDED: (
        Step("where the spec suspends it, set spec.suspended to false, to give rights and pods back", _EDIT),
        Step("where an order does, end it: kubectl aiagent resume NAME --reason WHY", Right.RESUME),
        Step("where an AgentPolicy does for the age of its training, have it trained, or edit that policy",
             Right.EDIT_POLICY),
    ),
    Reason.SUSPENDING: (),
    Reason.OFFBOARDING: (
        Step("where the operator is gone for good, remove the finalizer workforce.dev/offboarding", Right.ABANDON),
    ),
    Reason.RETIRED: (
        Step("to employ it again, end the order: kubectl aiagent rehire NAME --reason WHY; then apply it anew",
             Right.REHIRE),
    ),
    Reason.WAITING_FOR_SUCCESSOR: (
        Step("let its successor take over: the message says what that takes", _EDIT),
        Step("or take spec.retirement.successorRef out: it ends without handover", _EDIT),
    ),
    Reason.WAITING_FOR_HANDOVER: (
        Step("where its predecessor is to leave now: kubectl aiagent offboard PREDECESSOR", Right.OFFBOARD),
        Step("to have it hired without what that one leaves, take spec.succession out", _EDIT),
    ),
    Reason.SUCCESSION_INVALID: (Step("correct spec.succession here, or spec.retirement.successorRef there", _EDIT),),
    Reason.NAMESPACE_TERMINATING: (_DROP_NAMESPACE,),
    Reason.DEFINITION_TERMINATING: (
        Step("save all AIAgents, then remove their finalizer workforce.dev/offboarding", Right.ABANDON),
    ),
    Reason.INVALID_SPEC: (
        Step("correct the field that the message names, or have the operator upgraded", _EDIT),
    ),
    Reason.ACCEPTED: (),
    Reason.ROLE_NOT_FOUND: (Step("create the AgentRole", Right.CREATE_ROLE), _OTHER_ROLE),
    Reason.ROLE_NOT_APPROVED: (Step("set the role's spec.lifecycle.state to Approved", Right.EDIT_ROLE), _OTHER_ROLE),
    Reason.ROLE_DEPRECATED: (Step("move to the successor in spec.roleRef.name", _EDIT),),
    Reason.NAMESPACE_NOT_ALLOWED: (_DROP_NAMESPACE, Step("allow it in the role's spec.namespaces", Right.EDIT_ROLE)),
    Reason.OWNER_MISSING: (Step("add an owner of that function to spec.owners", _EDIT),),
    Reason.GRANTED: (),
    Reason.NONE_REQUESTED: (),
    Reason.SET_NOT_FOUND: (
        Step("name a set that the role has, or give the permission rules of its own", _EDIT),
        Step("add the set to the role's spec.permissionSets", Right.EDIT_ROLE),
    ),
    Reason.BEYOND_ROLE_CEILING: (
        Step("take the rights out of spec.permissions", _EDIT),
        Step("add them to the role's spec.ceiling", Right.EDIT_ROLE),
    ),
    Reason.NOT_GRANTABLE: (
        Step("label a ClusterRole that holds the rights: kubectl label clusterrole NAME workforce.dev/grantable=true",
             Right.LABEL_CLUSTER_ROLE),
        Step("take the rights out of spec.permissions", _EDIT),
    ),
    Reason.FORBIDDEN_RIGHT: (
        Step("take the right out of spec.permissions, where it is the agent's own rule", _EDIT),
        Step("take it out of the role's set", Right.EDIT_ROLE),
    ),
    Reason.FORBIDDEN_COMBINATION: (
        Step("drop one of the permissions that the message names, and give it to another agent", _EDIT),
    ),
    Reason.TOO_MANY_RIGHTS: (Step("ask for fewer rights, or divide the work between agents", _EDIT),),
    Reason.NAMESPACE_NOT_FOUND: (Step("create the namespace", Right.CREATE_NAMESPACE), _DROP_NAMESPACE),
    Reason.NOT_ISOLATED: _BINDINGS,
    Reason.NAME_TAKEN: (
        Step("delete or rename the object that the message names, or employ the agent under another name", _EDIT),
    ),
    Reason.REFUSED_BY_API: (
        Step("read the policy or quota that the message names; compare with ClusterRole workforce-grantable",
             Right.LABEL_CLUSTER_ROLE),
    ),
    Reason.AVAILABLE: (),
    Reason.UNGATED_CHANGE: (),
    Reason.PROGRESSING: (),
    Reason.HANDBOOK_NOT_FOUND: (
        Step("create the ConfigMap or the key", Right.CREATE_CONFIG_MAP),
        Step("name another in spec.handbook.instructions.configMapKeyRef", _EDIT),
    ),
    Reason.TARGET_NOT_FOUND: (
        Step("create the target", Right.CREATE_DEPLOYMENT),
        Step("name another in spec.workload.targetRef", _EDIT),
    ),
    Reason.TARGET_CLAIMED: (
        Step("name another workload in spec.workload, or release this one from the other agent", _EDIT),
    ),
    Reason.CONTAINER_NOT_FOUND: (
        Step("name another in spec.workload.container", _EDIT),
        Step("add the container to the target", Right.EDIT_DEPLOYMENT),
    ),
    Reason.FIELD_CONFLICT: (
        Step("take the field out of the other manager's manifests", Right.EDIT_DEPLOYMENT),
        Step("set spec.workload.targetRef.onConflict to TakeOver", _EDIT),
    ),
    Reason.WORKLOAD_INVALID: (Step("correct spec.workload.template", _EDIT),),
    Reason.PODS_FAILING: (
        Step("do what the message says; more stands in the pods' logs and events", Right.READ_PODS),
        Step("correct spec.workload", _EDIT),
    ),
    Reason.ROLLOUT_PAUSED: (
        Step("go on, where it waits for a person: kubectl aiagent promote NAME --reason WHY", Right.PROMOTE),
        Step("go back to what serves: kubectl aiagent abort NAME --reason WHY", Right.ABORT),
    ),
    Reason.ROLLOUT_STOPPED: (
        Step("go on in spite of it: kubectl aiagent promote NAME --reason WHY", Right.PROMOTE),
        Step("go back to what serves: kubectl aiagent abort NAME --reason WHY", Right.ABORT),
        Step("correct spec.workload or spec.handbook: another revision takes over then", _EDIT),
    ),
    Reason.TRAFFIC_NOT_FOUND: (
        Step("create the Service, or let it select workforce.dev/agent: NAME", Right.EDIT_SERVICE),
        Step("create the HTTPRoute, or let a rule of it name both Services in backendRefs", Right.EDIT_ROUTE),
        Step("name another in spec.retraining.rollout", _EDIT),
    ),
    Reason.AUTOSCALED: (
        Step("use strategy Recreate, or leave spec.retraining.rollout out", _EDIT),
        Step("take the autoscaler that the message names away", Right.EDIT_DEPLOYMENT),
    ),
    Reason.NO_CANARY: (
        Step("use strategy Recreate, or leave spec.retraining.rollout out", _EDIT),
        Step("change the workload as the message says", Right.EDIT_STATEFUL_SET),
    ),
    Reason.GATEWAY_API_MISSING: (
        Step("install the Gateway API (https://gateway-api.sigs.k8s.io), with a controller for it", Right.CREATE_CRD),
        Step("take trafficRouting out of spec.retraining.rollout: weights are numbers of pods then", _EDIT),
    ),
    Reason.REVISION_REJECTED: (
        Step("ask for other work in the spec, which is then rolled out", _EDIT),
        Step("try it again: kubectl aiagent rollback NAME --to-revision N --reason WHY", Right.ROLLBACK),
    ),
    Reason.EVALUATING: (),
    Reason.EVALUATION_FAILED: (
        Step("change the work, in spec.workload.template or spec.handbook: other work is evaluated anew", _EDIT),
        Step("let it serve all the same: kubectl aiagent rollback NAME --to-revision N --reason WHY", Right.ROLLBACK),
    ),
    Reason.EVALUATION_INCONCLUSIVE: (
        Step("change the work, in spec.workload.template or spec.handbook: other work is evaluated anew", _EDIT),
        Step("let it pass all the same: kubectl aiagent promote NAME --reason WHY", Right.PROMOTE),
        Step("give it up, where another revision serves: kubectl aiagent abort NAME --reason WHY", Right.ABORT),
    ),
    Reason.EVALUATION_INVALID: (
        Step("correct spec.retraining.evaluations as the message says", _EDIT),
        Step("where the message names the role, correct its spec.hiringEvaluations", Right.EDIT_ROLE),
    ),
    Reason.EVALUATION_REQUIRED: (
        Step("add an evaluation of that name to spec.retraining.evaluations", _EDIT),
        Step("take it out of requiredEvaluations of the AgentPolicy that the message names", Right.EDIT_POLICY),
    ),
    Reason.HELD_BY_FINDING: _FINDING,
    Reason.FINDING: _FINDING,
    Reason.FINDING_RELEASED: (),
    Reason.REVIEW_INVALID: (Step("correct spec.supervision as the message says", _EDIT),),
    Reason.REVIEW_UNCLEAR: (
        Step("see in the AgentEvaluation why nothing was measured, and correct spec.supervision.evaluations", _EDIT),
    ),
    Reason.NOT_REVIEWED: (),
    Reason.REVIEWED: (),
    **dict.fromkeys(_OF_ORDERS, ()),
    **dict.fromkeys(_OF_ORDERS_ABOUT_ARCHIVES, ()),
    Reason.POLICY_UNREADABLE: (Step("correct the field of the AgentPolicy that the message names", Right.EDIT_POLICY),),
    Reason.UP_TO_DATE: (),
    Reason.OVERDUE: _TOO_OLD,
    Reason.OVERDUE_BEYOND_GRACE: _TOO_OLD,
    Reason.SUSPENDED_FOR_AGE: _TOO_OLD,
    # A trigger is what trains: there is nothing to do but to wait for it, or for what status.training waits for.
    Reason.DRIFT: (),
    Reason.KNOWLEDGE_CHANGE: (),
    Reason.POLICY_CHANGE: (),
    Reason.DRIFTING: (
        Step("where no trigger Drift trains it: kubectl aiagent retrain NAME --reason WHY", Right.RETRAIN),
        Step("correct query or bound of spec.supervision.drift, where it is no drift", _EDIT),
    ),
    Reason.BOUND_CROSSED: (),
    Reason.NOT_MEASURED: (
        Step("correct the query of spec.supervision.drift, or have the Prometheus mended that it asks", _EDIT),
    ),
    Reason.EXPOSED: _BINDINGS,
    Reason.FOREIGN_RIGHTS: _BINDINGS,
    Reason.NETWORK_WIDENED: (
        Step("let that NetworkPolicy select other pods", Right.EDIT_NETWORK_POLICY),
        Step("declare the connection in spec.connections", _EDIT),
    ),
    Reason.GRANTING: (),
    Reason.STORE_DISPUTED: (Step("let the AgentPolicies agree on one archive store", Right.EDIT_POLICY),),
    **dict.fromkeys((Reason.STORE_UNAVAILABLE, Reason.STORE_NOT_FOUND, Reason.JOURNAL_STUCK), _STORE),
    Reason.JOURNAL_UNREADABLE: _STORE,
    **dict.fromkeys(_OF_ARCHIVES, ()),
}  # fmt: skip

HELD_BACK: Final = (
    Step("ask for other work in the spec, which is then rolled out", _EDIT),
    Step("let it serve all the same: kubectl aiagent rollback NAME --to-revision N --reason WHY", Right.ROLLBACK),
)
"""What can be done about a revision that the spec asks for and that an order went back from."""

WAITED_FOR: Final = frozenset(
    {
        Reason.ROLE_NOT_FOUND,
        Reason.NAMESPACE_NOT_FOUND,
        Reason.HANDBOOK_NOT_FOUND,
        Reason.TARGET_NOT_FOUND,
        Reason.TRAFFIC_NOT_FOUND,
        Reason.GATEWAY_API_MISSING,
    }
)
"""Reasons where something has to come into being, and the operator goes on by itself when it does."""


def of(reason: str) -> tuple[Step, ...]:
    """The steps for a reason; none for one that this version does not know."""
    return STEPS.get(Reason(reason), ()) if reason in set(Reason) else ()
