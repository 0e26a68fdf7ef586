"""Hiring: each row of the table in docs/hiring.md, and what an agent goes through before it holds a right."""

import json
import re
from dataclasses import replace
from typing import Any

import pytest

from aiagent_operator.api.agentevaluation import Phase, Provider, Purpose
from aiagent_operator.core import onboarding
from aiagent_operator.core.children import evaluation
from aiagent_operator.core.objects import Child, ChildKind, EvaluationFacts, Manifest, ObjectKey
from aiagent_operator.core.plan import Plan, Verb
from aiagent_operator.core.versions import gating, revisions
from aiagent_operator.core.versions.revisions import RollbackOrder
from support import agents
from support.agents import permission
from support.decisions import HOME, IDENTITY, compiled, observed, said
from support.documents import ROOT, blocks, objects, table
from support.gates import Desk, by_job, template
from unit.test_revisions import read

PAGE = ROOT / "docs" / "hiring.md"
ROWS = table(PAGE, "work")
_RUN = re.compile(r"(\d+)x (\w+)")
TARGET = {"targetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "triage"}}
HANDBOOK = {"instructions": {"inline": "Be brief."}}
GOOD = json.dumps({"measurements": [{"name": "m", "value": "1.5"}]})
BAD = json.dumps({"measurements": [{"name": "m", "value": "0.5"}]})


def run(number: int, name: str, phase: Phase, role: str) -> Child:
    """A hiring evaluation of a revision, as it was observed."""
    its = EvaluationFacts(number, name, Purpose.HIRING, Provider.PROMETHEUS, phase, "it said so", role)
    key = evaluation.key_of(IDENTITY, number, name, evaluation.hiring(role))
    return Child(key, f"uid-{key.name}", "1", IDENTITY.uid, "", evaluation=its)


@pytest.mark.parametrize(("work", "hired", "role", "cell", "asks", "gate", "rights", "reason"), ROWS)
def test_row(work: str, hired: str, role: str, cell: str, asks: str, gate: str, rights: str, reason: str) -> None:
    parts = cell.split(", ") if cell else []
    runs = [run(int(m[1]), "x", Phase(m[2]), "judge") for part in parts if (m := _RUN.fullmatch(part))]
    known = read(", ".join(part for part in parts if not _RUN.fullmatch(part)))
    given = {"judge": [template("x")], "clerk": []}[role]
    spec: dict[str, Any] = {"roleRef": {"name": role}} | ({"workload": TARGET} if work == "target" else {})
    o = observed(
        children=[*known, *runs],
        role=compiled(role, hiringEvaluations=given),
        spec=spec,
        status={"hiredAs": hired} if hired else {},
    )
    found = gating.look(o, revisions.choose(known, asks, 0), known)
    stands = "rejects" if found.rejects else "shut" if found.shut else "open"
    holds = "all" if found.hires and not found.withholds else "keeps" if hired else "none"
    assert (stands, holds, found.verdict.reason.value if found.verdict else "") == (gate, rights, reason)


def test_every_phase_and_every_outcome_has_a_row() -> None:
    assert {phase.value for phase in Phase} == {m[2] for row in ROWS for m in _RUN.finditer(row[3])}
    assert {row[5] for row in ROWS} == {"open", "shut", "rejects"}
    assert {row[6] for row in ROWS} == {"all", "keeps", "none"}
    assert {(row[0], bool(row[1])) for row in ROWS} == {(w, h) for w in ("template", "target") for h in (True, False)}


def test_the_sample_is_a_role_that_can_be_used() -> None:
    (sample,) = objects(blocks(PAGE, "yaml")[0])
    role = compiled("dispute-clerk", **sample["spec"])
    assert [each.name for each in role.role.spec.hiring_evaluations] == ["interview"]


# What an agent goes through ------------------------------------------------------------------------------------------


def candidate(*hiring: Manifest, role: str = "support", **spec: Any) -> Desk:
    """A new agent of a role with these hiring evaluations."""
    desk = Desk(permission("refund"), **spec)
    moved(desk, *hiring, role=role)
    return desk


def moved(desk: Desk, *hiring: Manifest, role: str = "support", **spec: Any) -> None:
    """The agent's role is this one from now on, with these hiring evaluations."""
    desk.spec["roleRef"] = {"name": role}
    desk.facts["role"] = compiled(role, hiringEvaluations=list(hiring), **spec)


def held(desk: Desk) -> set[str]:
    """Verb and resource of what is bound."""
    bound = {key.namespace for key in desk.bodies if key.kind is ChildKind.ROLE_BINDING}
    return {
        f"{verb} {resource}"
        for key, body in desk.bodies.items()
        if key.kind is ChildKind.ROLE and key.namespace in bound
        for rule in body["rules"]
        for verb in rule["verbs"]
        for resource in rule["resources"]
    }


def states(plan: Plan) -> dict[str, tuple[str, str]]:
    return {entry["name"]: (entry["state"], entry["reason"]) for entry in plan.status["permissions"]}


def name_of(number: int, name: str, role: str = "support") -> str:
    return evaluation.name_of(IDENTITY, number, name, evaluation.hiring(role))


def job_of(desk: Desk) -> str:
    """The one Job that there is."""
    (name,) = desk.of(ChildKind.JOB)
    return name


def test_no_right_before_the_role_has_hired_and_nothing_of_it_is_left_after() -> None:
    desk = candidate(by_job("interview"))
    plan = desk.settle()
    assert (held(desk), desk.of(ChildKind.DEPLOYMENT)) == (set(), {})
    assert states(plan) == {"refund": ("Pending", "Evaluating")}
    for text in ('hiring evaluation "interview" of AgentRole "support"', "no right is bound"):
        assert text in plan.status["permissions"][0]["message"]
    assert said(plan, "Ready")[:2] == said(plan, "WorkloadReady")[:2] == (False, "Evaluating")
    assert "hiredAs" not in plan.status
    record = desk.of(ChildKind.AGENT_EVALUATION)[name_of(1, "interview")]["spec"]
    assert (record["purpose"], record["role"], record["revision"]) == ("Hiring", "support", 1)
    pods = desk.of(ChildKind.JOB)[job_of(desk)]["spec"]["template"]["spec"]
    assert pods["serviceAccountName"] == "aiagent.triage.candidate"

    desk.finish(job_of(desk), GOOD)
    plan = desk.settle()
    assert held(desk) == {"create refunds"}
    assert plan.status["hiredAs"] == "support"
    assert said(plan, "Ready")[0] is True
    assert desk.of(ChildKind.JOB) == {}
    assert set(desk.of(ChildKind.SERVICE_ACCOUNT)) == {"aiagent.triage"}
    assert set(desk.of(ChildKind.NETWORK_POLICY)) == {"aiagent.triage"}


def test_who_is_hired_is_written_down_before_the_first_right() -> None:
    desk = candidate(template("interview"))
    measured = {}
    for _ in range(24):
        plan = desk.decide(measured)
        if any(write.key.kind is ChildKind.ROLE_BINDING for write in plan.writes):
            assert plan.first["hiredAs"] == "support"
            return
        for write in plan.writes:
            desk.write(write)
        measured = desk.measured(plan)
    pytest.fail("nothing was ever bound")


def test_the_roles_and_the_agents_own_have_to_pass_though_they_are_called_the_same() -> None:
    desk = candidate(template("live"), retraining={"evaluations": [template("live", min="2")]})
    desk.answer = lambda *_: ""
    desk.settle()
    assert desk.phases() == {"triage-1-live": "Pending", name_of(1, "live"): "Pending"}

    def passes(purpose: str) -> None:
        for body in desk.of(ChildKind.AGENT_EVALUATION).values():
            if body["spec"]["purpose"] == purpose:
                body["status"] = {"phase": "Successful"}

    passes("Promotion")
    desk.settle()
    assert held(desk) == set()
    passes("Hiring")
    desk.settle()
    assert held(desk) == {"create refunds"}


def test_what_fails_is_rejected_and_other_work_heals_it() -> None:
    desk = candidate(by_job("interview"))
    desk.settle()
    desk.finish(job_of(desk), BAD)
    plan = desk.settle()
    assert desk.states() == {"triage-1": "Rejected"}
    assert said(plan, "Ready")[:2] == (False, "EvaluationFailed")
    assert 'hiring evaluation "interview" of AgentRole "support" is Failed' in said(plan, "RevisionAccepted")[2]
    assert "0.5 is below min 1" in said(plan, "RevisionAccepted")[2]
    assert held(desk) == set()

    desk.spec["handbook"] = HANDBOOK
    desk.settle()
    assert held(desk) == set()
    desk.finish(job_of(desk), GOOD)
    assert said(desk.settle(), "Ready")[0] is True
    assert held(desk) == {"create refunds"}


def test_what_is_inconclusive_waits() -> None:
    desk = candidate(template("interview"))
    desk.answer = lambda *_: "I"
    plan = desk.settle()
    assert said(plan, "RevisionAccepted")[:2] == (None, "EvaluationInconclusive")
    assert states(plan) == {"refund": ("Pending", "EvaluationInconclusive")}
    assert (held(desk), desk.of(ChildKind.DEPLOYMENT)) == (set(), {})


def test_who_was_hired_stays_hired() -> None:
    desk = candidate()
    assert desk.settle().status["hiredAs"] == "support"
    moved(desk, template("interview"))
    assert said(desk.settle(), "Ready")[0] is True
    assert (held(desk), desk.phases()) == ({"create refunds"}, {})
    desk.spec["handbook"] = HANDBOOK
    desk.settle()
    assert (desk.states()["triage-2"], desk.phases()) == ("Stable", {})


# A transfer ----------------------------------------------------------------------------------------------------------


def transferred() -> Desk:
    """An agent with tickets and refunds that moves to a role which has also invoices, and no refunds."""
    desk = Desk(permission("read-tickets"), permission("refund"), permission("bill"))
    sets = {"read-tickets": [agents.READ_TICKETS], "refund": [agents.REFUND]}
    moved(desk, role="clerk", sets=sets)
    desk.settle()
    assert held(desk) == {"get tickets", "list tickets", "create refunds"}
    desk.answer = lambda *_: ""
    moved(desk, template("interview"), role="judge", sets={**sets, "refund": [agents.REFUND], "bill": [agents.BILL]})
    return desk


def test_a_transfer_gives_nothing_new_before_it_has_passed() -> None:
    desk = transferred()
    plan = desk.settle()
    assert held(desk) == {"get tickets", "list tickets", "create refunds"}
    assert states(plan) == {
        "read-tickets": ("Granted", "Granted"),
        "refund": ("Granted", "Granted"),
        "bill": ("Pending", "Evaluating"),
    }
    assert said(plan, "Ready")[:2] == (False, "Evaluating")
    assert 'it holds only what AgentRole "clerk" gave it already' in said(plan, "RevisionAccepted")[2]
    assert desk.phases() == {name_of(1, "interview", "judge"): "Pending"}
    assert "stableRevision" not in desk.of(ChildKind.AGENT_EVALUATION)[name_of(1, "interview", "judge")]["spec"]
    assert desk.status["hiredAs"] == "clerk"
    assert set(desk.of(ChildKind.DEPLOYMENT)) == {"triage-1"}

    desk.answer = lambda *_: "S"
    plan = desk.settle()
    assert held(desk) == {"get tickets", "list tickets", "create refunds", "create invoices"}
    assert (desk.status["hiredAs"], said(plan, "Ready")[0]) == ("judge", True)


def test_what_the_new_role_does_not_grant_goes_at_once() -> None:
    desk = transferred()
    moved(desk, template("interview"), role="judge", sets={"bill": [agents.BILL], "refund": [agents.REFUND]})
    desk.settle()
    assert held(desk) == {"create refunds"}


def test_a_permission_that_is_wider_than_what_is_held_waits_whole() -> None:
    desk = transferred()
    wider = {"read-tickets": [agents.rule("get list create", "tickets")], "refund": [agents.REFUND]}
    moved(desk, template("interview"), role="judge", sets=wider)
    desk.settle()
    assert held(desk) == {"create refunds"}


def test_a_transfer_that_fails_leaves_what_is_held_and_ends_by_going_back() -> None:
    desk = transferred()
    desk.answer = lambda *_: "F"
    plan = desk.settle()
    assert desk.states() == {"triage-1": "Stable"}
    status, reason, message = said(plan, "RevisionAccepted")
    assert (status, reason) == (False, "EvaluationFailed")
    for text in ("Revision 1 has not passed", 'AgentRole "judge"', 'or name AgentRole "clerk" again'):
        assert text in message
    assert "create invoices" not in held(desk)

    moved(desk, role="clerk")
    assert said(desk.settle(), "Ready")[0] is True
    assert desk.status["hiredAs"] == "clerk"


def test_a_transfer_that_failed_is_healed_by_other_work() -> None:
    desk = transferred()
    desk.answer = lambda *_: "F"
    desk.settle()
    desk.answer = lambda *_: "S"
    desk.spec["handbook"] = HANDBOOK
    assert said(desk.settle(), "Ready")[0] is True
    assert desk.states() == {"triage-1": "Superseded", "triage-2": "Stable"}
    assert "create invoices" in held(desk)


@pytest.mark.parametrize("answer", ["I", "F"])
def test_an_order_lets_work_serve_and_hires_nobody(answer: str) -> None:
    desk = transferred()
    desk.answer = lambda *_: answer
    desk.spec["handbook"] = HANDBOOK
    desk.settle()
    before = held(desk)
    desk.facts["rollback"] = RollbackOrder("on", "u", "AgentAction on by jane", 2)
    plan = desk.settle()
    assert desk.states()["triage-2"] == "Stable"
    assert (held(desk), desk.status["hiredAs"], said(plan, "Ready")[0]) == (before, "clerk", False)


def test_a_suspension_or_a_deleted_binding_is_no_way_around() -> None:
    desk = transferred()
    desk.spec["suspended"] = True
    desk.settle()
    desk.spec["suspended"] = False
    desk.settle()
    assert held(desk) == set()

    desk = transferred()
    desk.settle()
    for key in [key for key in desk.bodies if key.kind is ChildKind.ROLE_BINDING]:
        del desk.bodies[key]
    desk.settle()
    assert held(desk) == set()
    desk.answer = lambda *_: "S"
    desk.settle()
    assert "create invoices" in held(desk)


@pytest.mark.parametrize("serves", [False, True])
def test_no_role_is_widened_under_a_binding_that_a_finalizer_keeps(serves: bool) -> None:
    desk = Desk(permission("read-tickets"), permission("bill"))
    desk.ready = serves
    moved(desk, role="clerk", sets={"read-tickets": [agents.READ_TICKETS]})
    desk.settle()
    for body in (body for key, body in desk.bodies.items() if key.kind is ChildKind.ROLE_BINDING):
        body["metadata"]["deletionTimestamp"] = "2026-03-01T12:00:00Z"
    desk.answer = lambda *_: ""
    wider = {"read-tickets": [agents.rule("get list update", "tickets")], "bill": [agents.BILL]}
    moved(desk, template("interview"), role="judge", sets=wider)
    desk.settle()
    assert held(desk) == {"get tickets", "list tickets"}


def test_runs_for_one_role_do_not_count_for_another() -> None:
    desk = candidate(template("interview"))
    desk.settle()
    desk.answer = lambda *_: ""
    moved(desk, template("interview"), role="judge")
    desk.settle()
    assert desk.phases() == {name_of(1, "interview"): "Successful", name_of(1, "interview", "judge"): "Pending"}
    assert desk.status["hiredAs"] == "support"


# Whatever happens meanwhile ------------------------------------------------------------------------------------------


def test_a_role_that_is_edited_while_it_hires_asks_for_what_it_says_now() -> None:
    desk = candidate(template("interview"))
    desk.answer = lambda *_: ""
    desk.settle()
    moved(desk, template("interview"), template("safety"))
    desk.settle()
    assert desk.phases() == {name_of(1, "interview"): "Pending", name_of(1, "safety"): "Pending"}
    desk.answer = lambda name, _: "S" if name == "safety" else ""
    desk.settle()
    assert held(desk) == set()
    moved(desk, template("safety"))
    desk.settle()
    assert held(desk) == {"create refunds"}
    assert desk.phases()[name_of(1, "interview")] == "Inconclusive", "what nobody asks for any more is ended"


@pytest.mark.parametrize("missing", [False, True])
def test_while_the_role_is_withdrawn_no_run_begins_and_a_job_goes_on(missing: bool) -> None:
    desk = candidate(by_job("interview"))
    desk.settle()
    if missing:
        desk.facts["missing_role"] = True
    else:
        moved(desk, by_job("interview"), by_job("safety"), state="Draft")
    desk.finish(job_of(desk), GOOD)
    desk.settle()
    assert held(desk) == set()
    assert set(desk.phases()) == {name_of(1, "interview")}
    desk.facts.pop("missing_role", None)
    moved(desk, by_job("interview"))
    desk.settle()
    assert desk.phases() == {name_of(1, "interview"): "Successful"}
    assert held(desk) == {"create refunds"}


def test_a_record_that_is_deleted_by_hand_is_made_anew() -> None:
    desk = candidate(by_job("interview"))
    desk.settle()
    del desk.bodies[evaluation.key_of(IDENTITY, 1, "interview", evaluation.hiring("support"))]
    desk.settle()
    assert desk.phases() == {name_of(1, "interview"): "Pending"}
    assert held(desk) == set()
    desk.finish(job_of(desk), GOOD)
    desk.settle()
    assert held(desk) == {"create refunds"}


def test_a_suspended_agent_is_not_hired_and_no_run_begins() -> None:
    desk = candidate(by_job("interview"), suspended=True)
    plan = desk.settle()
    assert (desk.of(ChildKind.JOB), desk.phases(), "hiredAs" in plan.status) == ({}, {}, False)
    desk.spec["suspended"] = False
    desk.settle()
    desk.spec["suspended"] = True
    desk.finish(job_of(desk), GOOD)
    plan = desk.settle()
    assert (held(desk), "hiredAs" in plan.status) == (set(), False)
    desk.spec["suspended"] = False
    desk.settle()
    assert held(desk) == {"create refunds"}


# What a role's Job gets ----------------------------------------------------------------------------------------------

FOREIGN = {
    "secret volume": {"volumes": [{"name": "v", "secret": {"secretName": "payroll"}}]},
    "claim": {"volumes": [{"name": "v", "persistentVolumeClaim": {"claimName": "data"}}]},
    "copy of a claim": {"volumes": [{"name": "v", "ephemeral": {"volumeClaimTemplate": {"spec": {}}}}]},
    "pull secret": {"imagePullSecrets": [{"name": "registry"}]},
    "device": {"resourceClaims": [{"name": "v", "resourceClaimName": "gpu"}]},
    "projected token": {"volumes": [{"name": "v", "projected": {"sources": [{"serviceAccountToken": {"path": "t"}}]}}]},
    "variables": {"containers": [{"name": "c", "image": "i", "envFrom": [{"secretRef": {"name": "payroll"}}]}]},
    "variable of an init container": {
        "initContainers": [
            {
                "name": "c",
                "image": "i",
                "env": [{"name": "A", "valueFrom": {"configMapKeyRef": {"name": "n", "key": "k"}}}],
            }
        ]
    },
}


def using(**pod: Any) -> Manifest:
    """A hiring evaluation whose pod has more in its spec."""
    found = by_job("interview")
    found["job"]["spec"]["template"]["spec"] |= pod
    return found


@pytest.mark.parametrize("pod", FOREIGN.values(), ids=FOREIGN.keys())
def test_a_roles_job_names_nothing_of_the_agents_namespace(pod: Manifest) -> None:
    desk = candidate(using(**pod))
    plan = desk.settle()
    assert (desk.of(ChildKind.JOB), desk.phases(), held(desk)) == ({}, {}, set())
    assert said(plan, "RevisionAccepted")[1] == "EvaluationInvalid"
    assert 'evaluation "interview" of AgentRole "support"' in said(plan, "RevisionAccepted")[2]
    # Its author corrects it, and the agent goes on.
    moved(desk, by_job("interview"))
    desk.settle()
    assert len(desk.of(ChildKind.JOB)) == 1


def test_a_roles_job_may_have_what_is_its_own() -> None:
    own = {
        "volumes": [{"name": "v", "emptyDir": {}}],
        "containers": [
            {
                "name": "c",
                "image": "i",
                "env": [
                    {"name": "A", "value": "b"},
                    {"name": "N", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
                ],
            }
        ],
    }
    desk = candidate(using(**own))
    desk.settle()
    assert len(desk.of(ChildKind.JOB)) == 1


def test_a_roles_job_gets_files_of_no_connection() -> None:
    connection = {"name": "crm", "egress": {"cidr": "203.0.113.0/24", "port": 443}, "secretRef": {"name": "crm"}}
    both = {"connections": ["crm"], "evaluations": [by_job("own")]}
    desk = candidate(by_job("interview"), connections=[connection], retraining=both)
    desk.settle()
    volumes = {
        name: json.dumps(body["spec"]["template"]["spec"]["volumes"]) for name, body in desk.of(ChildKind.JOB).items()
    }
    assert '{"name": "crm"}' in volumes.pop("triage-1-eval-own")
    (text,) = volumes.values()
    assert "secret" not in text


def test_the_pass_that_revokes_waits_for_no_evaluation() -> None:
    desk = transferred()
    moved(desk, template("interview"), role="judge", sets={"bill": [agents.BILL]})
    plan = desk.decide()
    assert plan.revokes
    assert {write.verb for write in plan.writes if write.key.kind is ChildKind.ROLE_BINDING} == {Verb.DELETE}


def test_the_status_alone_says_who_is_hired_and_a_record_without_it_hires_anew() -> None:
    """As after a restore without status: nothing is bound before what is asked for has passed again."""
    desk = candidate(template("interview"))
    desk.settle()
    desk.status = {}
    desk.bodies = {key: body for key, body in desk.bodies.items() if key.kind is not ChildKind.AGENT_EVALUATION}
    desk.answer = lambda *_: ""
    plan = desk.settle()
    assert (held(desk), "hiredAs" in plan.status) == (set(), False)


def test_an_onboarding_without_hiring_costs_no_write_more() -> None:
    o = observed(permission("refund"))
    assert "hiredAs" not in onboarding.decide(o).first
    hired = replace(o, agent=o.agent.model_copy(update={"status": {"hiredAs": "support"}}))
    assert onboarding.decide(hired).writes == onboarding.decide(o).writes


def test_names_of_runs_for_two_roles_never_meet() -> None:
    names = {name_of(1, "interview", role) for role in ("a", "b", "x" * 253)} | {"triage-1-interview"}
    assert len(names) == 4
    assert all(len(name) <= 63 for name in names)
    assert ObjectKey(ChildKind.AGENT_EVALUATION, HOME, name_of(1, "interview")).name.startswith("triage-1-interview.")
