"""Decisions about an agent that leaves: the order of its end, what holds it up, and what is asked in proof."""

from dataclasses import replace

from aiagent_operator.api.conditions import Reason
from aiagent_operator.api.runs import RunKind
from aiagent_operator.core import offboarding, onboarding
from aiagent_operator.core.children import role, run_account, run_job, run_network
from aiagent_operator.core.children.network_policy import DnsPeers
from aiagent_operator.core.children.run_job import Run
from aiagent_operator.core.objects import Child, ChildKind, ObjectKey
from aiagent_operator.core.plan import Failure, Finalizer, Observed, Plan, Proof, Room, Verb, create
from aiagent_operator.core.rights import holdings
from aiagent_operator.core.rights.ledger import MOST_RIGHTS
from support.agents import permission, rule
from support.decisions import HOME, IDENTITY, after, kinds, observed, said

ASKED = (permission("read-tickets", "crm"), permission("refund"))


def employed(*permissions: dict[str, object]) -> dict[ObjectKey, Child]:
    """The children of an agent that is onboarded."""
    children: dict[ObjectKey, Child] = {}
    for _ in range(6):
        plan = onboarding.decide(observed(*permissions, children=children.values()))
        children = after(children, plan)
    return children


def leaving(children: dict[ObjectKey, Child], **facts: object) -> Observed:
    return observed(*ASKED, children=children.values(), deleting=True, **facts)  # type: ignore[arg-type]


def test_where_it_is_archived_its_records_stay_until_then() -> None:
    children, seen = employed(*ASKED), []
    while True:
        o = leaving(children, journal=Room(True), status={"archive": {"name": "a", "captured": ["Handbook", "Logs"]}})
        plan = offboarding.decide(o)
        if not plan.writes:
            break
        seen.append(kinds(plan))
        children = after(children, plan)
    assert [kind for _, kind, _ in seen[-1]] == ["ConfigMap", "NetworkPolicy", "ServiceAccount"]
    assert [key.kind for key in children] == [ChildKind.AGENT_REVISION]
    assert not plan.needs & children.keys()
    o = read(o, plan)
    assert offboarding.decide(o).needs_proof
    remaining = offboarding.decide(replace(o, proof=Proof(("get tickets",))))
    assert (remaining.archive, remaining.finalizer) == (False, Finalizer.KEEP)
    last = offboarding.decide(replace(o, proof=Proof()))
    assert last.archive
    # The journal ends with the archive, and is told of the steps before.
    assert [step["name"] for step in last.first["offboarding"]["steps"]] == ["Revoke", "Terminate"]

    o = replace(o, agent=o.agent.model_copy(update={"status": {"archive": {"name": "a", "completed": "now"}}}))
    plan = offboarding.decide(o)
    assert kinds(plan) == [("delete", "AgentRevision", HOME)]
    o = replace(o, children={})
    assert offboarding.decide(read(o, offboarding.decide(o))) == Plan(finalizer=Finalizer.REMOVE)


def read(o: Observed, plan: Plan) -> Observed:
    """The same, after what the plan needs was looked for and not found."""
    return replace(o, live={**o.live, **dict.fromkeys(plan.needs)})


def test_the_steps_of_an_end() -> None:
    children, steps = employed(*ASKED), []
    while True:
        plan = offboarding.decide(leaving(children))
        if not plan.writes:
            break
        steps.append(kinds(plan))
        children = after(children, plan)

    assert steps == [
        [("delete", "RoleBinding", "crm"), ("delete", "RoleBinding", HOME)],
        [("delete", "Deployment", HOME), ("delete", "Role", "crm"), ("delete", "Role", HOME)],
        [
            ("delete", "AgentRevision", HOME),
            ("delete", "ConfigMap", HOME),
            ("delete", "NetworkPolicy", HOME),
            ("delete", "ServiceAccount", HOME),
        ],
    ]
    assert children == {}
    assert {key.kind for key in plan.needs} == {ChildKind.ROLE_BINDING}
    assert {key.namespace for key in plan.needs} == {HOME, "crm"}


def with_runs(children: dict[ObjectKey, Child]) -> dict[ObjectKey, Child]:
    """The same with a training under way: its account, its network policy and its Job."""
    run = Run(RunKind.TRAINING, 2, "train", run_job.environment(IDENTITY, RunKind.TRAINING, 2, None))
    template = {"spec": {"template": {"spec": {"containers": [{"name": "train", "image": "train:1"}]}}}}
    made = (
        run_account.build(IDENTITY, RunKind.TRAINING),
        run_network.build(IDENTITY, (), DnsPeers()),
        run_job.desired(IDENTITY, run, template),
    )
    return after(children, Plan(tuple(map(create, made))))


def test_a_run_is_stopped_before_what_limits_it_goes() -> None:
    children, steps = with_runs(employed(*ASKED)), []
    while plan := offboarding.decide(leaving(children)):
        if not plan.writes:
            break
        steps.append({(write.key.kind, write.key.name) for write in plan.writes})
        children = after(children, plan)

    job = (ChildKind.JOB, "triage-2-train")
    limits = {
        (ChildKind.NETWORK_POLICY, "aiagent.triage.runs"),
        (ChildKind.SERVICE_ACCOUNT, "aiagent.triage.training"),
    }
    assert [job in step for step in steps] == [False, True, False]
    assert [limits <= step for step in steps] == [False, False, True]
    assert children == {}


def test_what_limits_a_run_stays_until_its_pods_are_gone() -> None:
    children = {key: replace(child, deleting=key.kind is ChildKind.JOB) for key, child in with_runs({}).items()}

    plan = offboarding.decide(leaving(children))

    assert plan.writes == ()
    assert "Job home/triage-2-train" in said(plan, "Ready")[2]


def test_runs_of_an_agent_that_is_gone_are_stopped_first_too() -> None:
    children, steps = with_runs({}), []
    while children:
        plan = offboarding.sweep(IDENTITY, children, {})
        steps.append({write.key.kind for write in plan.writes})
        children = after(children, plan)

    assert steps == [{ChildKind.JOB}, {ChildKind.SERVICE_ACCOUNT, ChildKind.NETWORK_POLICY}]


def test_the_finalizer_goes_only_after_the_proof() -> None:
    o = leaving({})
    o = read(o, offboarding.decide(o))

    asked = offboarding.decide(o)
    remaining = offboarding.decide(replace(o, proof=Proof(remaining=("RoleBinding crm/x still exists",))))
    residual = offboarding.decide(replace(o, proof=Proof(residual=("get tickets through a group",))))

    assert {namespace for namespace, _ in asked.needs_proof or ()} == {"crm", HOME}
    assert asked.finalizer is Finalizer.KEEP
    assert (remaining.finalizer, remaining.requeue_after) == (Finalizer.KEEP, 1.0)
    assert "still exists" in said(remaining, "Ready")[2]
    assert residual.finalizer is Finalizer.REMOVE


def test_what_is_not_ours_to_finish_is_left() -> None:
    assert offboarding.decide(observed(deleting=True, finalizers=("other.example/one",))) == Plan()


def test_the_end_of_the_definition_pauses_everything() -> None:
    plan = offboarding.decide(leaving(employed(*ASKED), definition_terminating=True))

    assert plan.writes == ()
    assert said(plan, "Ready")[1] == "DefinitionTerminating"


def test_a_refusal_is_said_and_the_others_go_on() -> None:
    children = employed(*ASKED)
    stuck = next(key for key in children if key.kind is ChildKind.ROLE_BINDING and key.namespace == "crm")
    failure = Failure("", Reason.REFUSED_BY_API, f"delete of {stuck} was refused")

    plan = offboarding.decide(leaving(children, failures={stuck: failure}))

    assert kinds(plan) == [("delete", "RoleBinding", HOME)]
    assert plan.patience == 0.0, "a refusal is said at once"
    assert said(plan, "Ready")[1:] == ("RefusedByApiServer", f"Refused, and tried again: {failure.message}")
    assert plan.requeue_after == 30.0


def test_what_is_being_deleted_is_waited_for_and_not_deleted_again() -> None:
    children = {key: replace(child, deleting=True) for key, child in employed(*ASKED).items()}

    plan = offboarding.decide(leaving(children))

    assert plan.writes == ()
    assert "waiting for the bindings" in said(plan, "Ready")[2]
    assert plan.requeue_after is not None
    assert 0 < plan.patience < plan.requeue_after, "what goes in a moment nobody reads of, and what stays everybody"


def test_a_child_without_labels_is_found_by_its_uid_and_a_stranger_of_its_name_is_not_touched() -> None:
    entry = {"apiVersion": "v1", "kind": "ServiceAccount", "namespace": HOME, "name": "aiagent.triage", "uid": "u1"}
    o = leaving({}, status={"inventory": [entry]})
    key = ObjectKey(ChildKind.SERVICE_ACCOUNT, HOME, "aiagent.triage")
    o = read(o, offboarding.decide(o))

    own = offboarding.decide(replace(o, live={**o.live, key: {"metadata": {"uid": "u1"}}}))
    other = offboarding.decide(replace(o, live={**o.live, key: {"metadata": {"uid": "u2"}}}))

    assert [(w.verb, w.key, w.uid) for w in own.writes] == [(Verb.DELETE, key, "u1")]
    assert other.writes == ()
    assert other.needs_proof is not None


def test_what_the_api_server_has_said_to_be_gone_is_not_looked_for_again_but_bindings_always_are() -> None:
    kinds_of = (ChildKind.SERVICE_ACCOUNT, ChildKind.DEPLOYMENT, ChildKind.ROLE_BINDING)
    entry = {"apiVersion": "v1", "namespace": HOME, "name": role.name_in(IDENTITY, HOME), "generation": 1}
    inventory = [{**entry, "kind": kind.value, "uid": f"u-{kind}"} for kind in kinds_of]
    o = leaving({}, status={"inventory": inventory})
    assert {key.kind for key in offboarding.decide(o).needs} == set(kinds_of)
    answered = replace(o, ended={f"u-{ChildKind.SERVICE_ACCOUNT}", f"u-{ChildKind.ROLE_BINDING}"})
    found = offboarding.decide(answered).needs
    assert {key.kind for key in found} == {ChildKind.DEPLOYMENT, ChildKind.ROLE_BINDING}
    assert {key.namespace for key in found if key.kind is ChildKind.ROLE_BINDING} == {HOME, "crm"}


def test_rights_that_are_asked_about_are_those_it_can_have_had() -> None:
    status = {
        "permissions": [
            {
                "name": "old",
                "state": "Granted",
                "reason": "Granted",
                "message": "",
                "namespaces": ["archive"],
                "rules": [rule("update", "articles")],
            }
        ]
    }
    held = holdings.rights_held(leaving({}, status=status))

    found = {(namespace, right.resource, right.verb) for namespace, each in held for right in each.rights()}
    assert found == {
        ("archive", "articles", "update"),
        ("crm", "tickets", "get"),
        ("crm", "tickets", "list"),
        (HOME, "refunds", "create"),
    }


def test_a_spec_beyond_the_bound_costs_no_more_questions_than_the_bound() -> None:
    rules = [rule("get list", " ".join(f"kind{n}x{m}" for m in range(16))) for n in range(16)]
    asked = [permission(f"p{n}", *(f"space-{m}" for m in range(16)), rules=rules) for n in range(31)]
    for missing in (False, True):
        o = observed(*asked, permission("refund"), deleting=True, missing_role=missing)

        held = holdings.rights_held(o)

        assert sum(1 for _, each in held for _ in each.rights()) <= MOST_RIGHTS


def test_orphans_lose_their_bindings_first() -> None:
    children = employed(*ASKED)
    steps = []
    while children:
        plan = offboarding.sweep(IDENTITY, children, {})
        assert plan.writes
        steps.append({w.key.kind for w in plan.writes})
        children = after(children, plan)

    assert steps[0] == {ChildKind.ROLE_BINDING}
    assert steps[1] == {ChildKind.ROLE, ChildKind.DEPLOYMENT}
