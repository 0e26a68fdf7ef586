"""`kubectl aiagent promote`, `abort` and `rollout status` of a rollout by steps, by who may and who may not."""

from collections.abc import Callable

import pytest

from support import agents
from support.kube import Object
from support.terminal import Answer, Terminal
from support.workplace import Workplace

pytestmark = pytest.mark.cluster

Ask = Callable[..., Answer]
CANARY: Object = {"strategy": "Canary", "steps": [{"weight": 50}, {"pause": {}}]}


@pytest.fixture
def ask(terminal: Terminal, place: Workplace) -> Ask:
    """`ask("abort triage", user="jane")` runs it in the test's namespace; without a user, as the administrator."""

    def run(words: str, user: str = "") -> Answer:
        cluster = place.installed.cluster
        config = cluster.kubeconfig_for(user) if user else cluster.kubeconfig
        return terminal.run(f"kubectl aiagent {words} -n {place.namespace}", config)

    return run


def user(place: Workplace, verb: str) -> str:
    """Somebody with the ClusterRole of one order."""
    name = place.name(verb)
    place.let(name, "get" if verb == "view" else verb, place.namespace, f"workforce-agents-{verb}")
    return name


def paused(place: Workplace, text: str) -> None:
    """An edit, up to the pause of its rollout."""
    place.change("triage", handbook={"instructions": {"inline": text}})
    place.until_reason("triage", "Ready", "RolloutPaused")


def test_a_rollout_is_followed_promoted_and_aborted(ask: Ask, place: Workplace) -> None:
    workload = agents.template(replicas=2)
    place.employ("triage", place.new_role(), retraining={"rollout": CANARY}, workload=workload)
    place.until_ready("triage")
    paused(place, "Be honest.")
    now = ask("rollout status triage")
    assert now.code == 1
    assert now.out.splitlines()[:3] == [
        "Revision 1 serves: 1 of 1 pods ready",
        "Revision 2 takes over: 1 of 1 pods ready",
        "1 of 3 steps are over, 50 % is in effect, and it waits for Person",
    ]
    assert "kubectl aiagent promote" in ask("describe triage", user(place, "view")).out

    for verb, other in (("promote", "abort"), ("abort", "promote")):
        answer = ask(f"{verb} triage --reason x", user(place, other))
        assert (answer.code, f"verb {verb} on aiagents/triage" in answer.err) == (3, True), answer
    promoter, aborter = place.name("promoter"), place.name("aborter")
    place.let(promoter, "promote", place.namespace, "workforce-agents-promote")
    place.let(aborter, "abort", place.namespace, "workforce-agents-abort")
    done = ask("promote triage --reason 'No complaints'", promoter)
    assert done.code == 0, done
    assert done.err.endswith("The pause of step 1 is over\n")
    assert ask("rollout status triage --watch --timeout 100").code == 0

    paused(place, "Be brief.")
    done = ask("abort triage --reason 'Too brief'", aborter)
    assert done.code == 0, done
    over = ask("rollout status triage --watch --timeout 100")
    assert over.code == 1
    last = over.out.splitlines()[-1]
    assert last.startswith("Revision 3 is rejected: AgentAction abort-triage-")
    assert f"(Too brief) (AgentRevision {place.namespace}/triage-3); revision 2 serves" in last
    late = ask("promote triage --full --reason x", promoter)
    assert (late.code, "No revision takes over" in late.err) == (1, True)
