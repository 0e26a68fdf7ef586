"""`kubectl aiagent suspend` and `resume`, by users who may and users who may not."""

import pytest

from aiagent_operator.core.archive import index
from aiagent_operator.core.objects import AgentIdentity
from support import agents
from support.agents import permission
from support.terminal import Answer, Terminal
from support.workplace import Workplace

pytestmark = pytest.mark.cluster


def commander(place: Workplace, *verbs: str) -> str:
    """A user who may order these in the test's namespace."""
    user = place.name("commander")
    for verb in verbs:
        place.let(user, verb, place.namespace, f"workforce-agents-{verb}")
    return user


def run(place: Workplace, terminal: Terminal, user: str, *words: str) -> Answer:
    config = place.installed.cluster.kubeconfig_for(user)
    return terminal.run(" ".join(["kubectl aiagent", *words, "-n", place.namespace]), config)


def test_an_agent_is_suspended_and_resumed_by_who_may(place: Workplace, terminal: Terminal) -> None:
    place.employ("triage", place.new_role(), permission("refund"))
    uid = place.until_ready("triage")["metadata"]["uid"]
    user = commander(place, "suspend", "resume")

    stopped = run(place, terminal, user, "suspend triage --reason 'Wrong prices'")
    assert stopped.code == 0, stopped
    assert stopped.out.startswith("agentaction.workforce.dev/suspend-triage-")
    assert "no rights are bound" in stopped.err
    assert place.rights(uid) == set()
    (order,) = place.admin.list(agents.API, "agentactions", namespace=place.namespace)
    assert (order["spec"]["requestedBy"], order["spec"]["reason"]) == (user, "Wrong prices")

    back = run(place, terminal, user, "resume triage --reason 'Prices are right again'")
    assert back.code == 0, back
    assert "No order suspends triage any more" in back.err
    place.until_ready("triage")


def test_who_may_only_suspend_cannot_resume(place: Workplace, terminal: Terminal) -> None:
    place.employ("triage", place.new_role(), permission("refund"))
    place.until_ready("triage")
    user = commander(place, "suspend")
    assert run(place, terminal, user, "suspend triage --reason x --no-wait").code == 0
    refused = run(place, terminal, user, "resume triage --reason x")
    assert refused.code == 3
    assert "verb resume on aiagents/triage" in refused.err


def test_an_agent_leaves_and_comes_again_by_who_may(place: Workplace, terminal: Terminal) -> None:
    role = place.new_role()
    place.employ("triage", role, permission("refund"))
    uid = place.until_ready("triage")["metadata"]["uid"]
    user = commander(place, "offboard", "rehire")

    looked = run(place, terminal, user, "offboard triage --why Replaced --reason 'triage-v2 is here' --dry-run")
    assert looked.code == 0, looked
    assert "nothing was changed" in looked.err
    lines = {line.split(":")[0]: line.partition(":")[2].strip() for line in looked.out.splitlines()[1:]}
    assert lines["Rights"] == "1 in 1 namespaces would end"
    assert lines["Archive"].endswith("beside what its pods and volumes hold")
    assert lines["Kept until"].endswith("as the default asks")
    assert place.is_ready("triage")

    left = run(place, terminal, user, "offboard triage --why Replaced --reason 'triage-v2 is here'")
    assert left.code == 0, left
    assert "triage is out" in left.err
    assert place.rights(uid) == set()
    later = run(place, terminal, user, "offboard triage --why Business --reason x --notice 1h")
    assert (later.code, later.err) == (0, "")
    admin = place.installed.cluster.kubeconfig
    described = terminal.run(f"kubectl aiagent describe triage -n {place.namespace}", admin).out
    assert "Retired" in described
    assert "kubectl aiagent rehire NAME --reason WHY" in described

    place.dismiss("triage")
    place.until_gone("triage")
    place.employ("triage", role, permission("refund"))
    back = run(place, terminal, user, "rehire triage --reason 'It was better' --wait")
    assert back.code == 0, back
    assert "No order keeps triage out any more" in back.err
    place.until_ready("triage")


def test_several_are_named_by_their_labels_and_a_failure_is_the_exit_code(place: Workplace, terminal: Terminal) -> None:
    user = commander(place, "suspend", "resume")
    failed = run(place, terminal, user, "resume -l team=a --reason x")
    assert failed.code == 1
    assert "No AIAgent in this namespace has these labels" in failed.err
    assert run(place, terminal, user, "suspend -l team=a --reason x").code == 0


@pytest.mark.parametrize(
    ("words", "remedy"),
    [
        ("suspend --reason x", "give the NAME of one agent, or --selector"),
        ("suspend triage -l a=b --reason x", "give the NAME of one agent, or --selector"),
        ("suspend -l a --reason x", "write key=value"),
        ("suspend -l a==b --reason x", "write key=value"),
        ("suspend triage", "--reason"),
    ],
)
def test_wrong_usage_is_said(place: Workplace, terminal: Terminal, words: str, remedy: str) -> None:
    answer = run(place, terminal, place.name("nobody"), words)
    assert answer.code == 2
    assert remedy in answer.err


def test_an_archive_is_held_and_released_by_who_may(place: Workplace, terminal: Terminal) -> None:
    place.employ("triage", place.new_role(), permission("refund"))
    uid = place.until_ready("triage")["metadata"]["uid"]
    place.dismiss("triage")
    place.until_gone("triage")
    name = index.name(AgentIdentity(place.namespace, "triage", uid))
    user = place.name("counsel")
    for verb in ("hold", "release"):
        place.let(user, verb, place.namespace, f"workforce-archives-{verb}")

    held = run(place, terminal, user, "hold triage --ground LegalClaims --reason 'Case 4711'")
    assert held.code == 0, held
    assert held.out.startswith("agentaction.workforce.dev/hold-triage-")
    assert f"AgentArchive {name} is held" in held.err
    (entry,) = place.admin.get(agents.API, "agentarchives", name)["status"]["holds"]
    assert (entry["by"], entry["ground"], entry["reason"]) == (user, "LegalClaims", "Case 4711")

    refused = run(place, terminal, user, f"release --archive {name} --reason 'It is mine'")
    assert refused.code == 3
    assert f"verb release on agentarchives/{name} in the whole cluster" in refused.err

    free = run(place, terminal, user, "release triage --reason 'The case is closed'")
    assert free.code == 0, free
    assert f"No order holds {name} any more" in free.err
    assert "holds" not in place.admin.get(agents.API, "agentarchives", name)["status"]
    missing = run(place, terminal, user, "release nobody --reason 'A slip'")
    assert missing.code == 1
    assert "There is no archive of an AIAgent" in missing.err
