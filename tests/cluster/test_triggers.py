"""Trainings by a changed handbook and a changed curriculum, on a real API server."""

from __future__ import annotations

from typing import Any

import pytest

from support import agents
from support.committee import change, here, new_policy
from support.kube import Object
from support.operator import OperatorProcess
from support.terminal import Terminal
from support.trainings import jobs, trains, until_states
from support.versions import revisions, states
from support.workplace import Workplace

pytestmark = pytest.mark.cluster

BRIEF = {"instructions": {"inline": "Be brief."}}


def taught(place: Workplace, *triggers: str, name: str = "triage", **retraining: Any) -> None:
    """An agent that was trained once, by order."""
    if not place.find(name):
        how = trains() | {"triggers": list(triggers), **retraining}
        place.employ(name, place.new_role(f"role-{name}"), retraining=how)
    place.until_ready(name)
    place.order("Retrain", f"first-{name}", name)
    place.until_ordered(f"first-{name}", "Complete", "CarriedOut")
    until_states(place, name, r1="Superseded", r2="Stable")


def hold(place: Workplace, name: str, *, held: bool) -> None:
    """Let trainings from now on run until the test has seen them, or end."""
    annotations = {"localcluster/hold": "true" if held else None}
    template = {"metadata": {"annotations": annotations}}
    place.change(name, retraining={"jobTemplate": {"spec": {"template": template}}})


def triggered(agent: Object) -> list[str]:
    found = agent["status"].get("training", {}).get("triggeredBy") or []
    return [entry["trigger"] for entry in found]


def until_not_triggered(place: Workplace, name: str = "triage") -> None:
    place.until(name, lambda agent: not triggered(agent), what="no trigger to make it due")
    place.until_settled(name)


def test_an_edit_of_the_handbook_is_served_and_trained_once(
    place: Workplace, operator: OperatorProcess, terminal: Terminal
) -> None:
    taught(place, "KnowledgeChange")
    first = revisions(place)[2]
    hold(place, "triage", held=True)
    place.change("triage", handbook=BRIEF)
    until_states(place, r1="Superseded", r2="Superseded", r3="Stable", r4="Training")

    found = revisions(place)
    assert [found[number]["spec"]["trigger"] for number in (1, 2, 3, 4)] == [
        "Created", "Retrain", "SpecChanged", "KnowledgeChange",
    ]  # fmt: skip
    assert found[3]["spec"]["learned"]["knowledge"] == first["spec"]["work"]["knowledge"]
    assert found[4]["spec"]["work"]["knowledge"] == found[3]["spec"]["work"]["knowledge"]
    place.until_reason(
        "triage", "TrainingCurrent", "KnowledgeChange", "Due since ", "handbook of revision 3, which serves"
    )
    assert triggered(place.get("triage")) == ["KnowledgeChange"]
    for command in ("describe triage", "calendar"):
        shown = terminal.run(f"kubectl aiagent {command} -n {place.namespace}", place.installed.cluster.kubeconfig)
        assert "KnowledgeChange" in shown.out, shown.screen

    # Neither a restart nor time begins a second one; and what is edited back meanwhile is trained back.
    operator.restart()
    operator.until_idle()
    assert len(jobs(place)) == 1
    (job,) = jobs(place)
    place.admin.delete("batch/v1", "jobs", job["metadata"]["name"], namespace=place.namespace)
    place.until("triage", lambda a: a["status"]["training"].get("waitsFor", {}).get("reason") == "BackingOff",
                what="the pause after a failure")  # fmt: skip
    assert triggered(place.get("triage")) == ["KnowledgeChange"], "a failure answers nothing"
    hold(place, "triage", held=False)
    place.order("Retrain", "again", "triage")
    place.until_ordered("again", "Complete", "CarriedOut", "triage made revision 5")
    until_not_triggered(place)
    assert states(place) == {1: "Superseded", 2: "Superseded", 3: "Stable", 4: "Rejected", 5: "Superseded"}
    training = agents.condition(place.get("triage"), "TrainingCurrent")
    assert training is None, "nothing is planned or promised"

    place.admin.wait_for(lambda: jobs(place) == [], what="the Jobs to be gone")
    place.until_settled("triage")
    mark = place.plane.audit_mark()
    operator.restart()
    operator.until_idle()
    assert place.writes(mark) == []


def test_an_edit_that_goes_back_before_it_was_trained_trains_nothing(place: Workplace) -> None:
    place.employ("triage", place.new_role(), retraining=trains() | {"triggers": ["KnowledgeChange"]}, handbook=BRIEF)
    taught(place)
    freeze = {"name": "now", "kind": "Freeze", "schedule": "* * * * *", "duration": "8784h"}
    new_policy(place, "freeze", here(place), windows=[freeze])
    place.until("triage", lambda a: a["status"]["training"].get("policies"), what="the policy to select it")
    place.change("triage", handbook={"instructions": {"inline": "Be kind."}})
    place.until(
        "triage",
        lambda a: triggered(a) and a["status"]["training"]["waitsFor"]["reason"] == "Window",
        what="the agent to be due, and to wait for a window",
    )
    place.change("triage", handbook=BRIEF)
    until_not_triggered(place)
    until_states(place, r1="Superseded", r2="Stable", r3="Superseded")


def test_a_curriculum_trains_all_agents_of_its_policy_by_slots_and_no_other_field_does(
    place: Workplace, operator: OperatorProcess
) -> None:
    policy = new_policy(place, "law", here(place), curriculum="2026-1", maxConcurrent=1)
    names = ("triage", "writing")
    for name in names:
        taught(place, "PolicyChange", name=name)
        hold(place, name, held=True)
    assert revisions(place)[2]["spec"]["curricula"] == [{"policy": policy, "version": "2026-1"}]

    nights = {"name": "nights", "kind": "Allow", "schedule": "* * * * *", "duration": "24h"}
    change(place, policy, windows=[nights], revisionHistoryLimit=5)
    for name in names:
        place.until_settled(name)
    assert jobs(place) == []

    change(place, policy, curriculum="2026-2")
    for name in names:
        place.until(name, lambda a: triggered(a) == ["PolicyChange"], what="both to be due")
    place.admin.wait_for(lambda: len(jobs(place)) == 1, what="one of them to train")
    (job,) = jobs(place)
    env = {e["name"]: e.get("value", "") for e in job["spec"]["template"]["spec"]["containers"][0]["env"]}
    assert (env["WORKFORCE_TRIGGER"], env["WORKFORCE_CURRICULA"]) == ("PolicyChange", f"{policy}=2026-2")
    trains_now = job["metadata"]["labels"]["workforce.dev/agent"]
    (waits,) = set(names) - {trains_now}
    place.until(waits, lambda a: a["status"]["training"].get("waitsFor", {}).get("reason") == "Slot", what="its turn")
    place.until_reason(waits, "TrainingCurrent", "PolicyChange", f'AgentPolicy "{policy}" asks for curriculum 2026-2')

    # A policy that goes makes nobody due; what trains goes on, and teaches what it began with.
    place.admin.delete(agents.API, "agentpolicies", policy)
    until_not_triggered(place, waits)
    until_states(place, waits, r1="Superseded", r2="Stable")
    until_states(place, trains_now, r1="Superseded", r2="Stable", r3="Training")
