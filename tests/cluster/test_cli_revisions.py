"""`kubectl aiagent history`, `diff`, `rollback` and `rollout status`, by users who may and users who may not."""

import json
from collections.abc import Callable

import pytest

from support import agents
from support.kube import Object
from support.terminal import Answer, Terminal
from support.workplace import Workplace

pytestmark = pytest.mark.cluster

Ask = Callable[..., Answer]


@pytest.fixture
def ask(terminal: Terminal, place: Workplace) -> Ask:
    """`ask("history triage", user="jane")` runs it in the test's namespace; without a user, as the administrator."""

    def run(words: str, user: str = "") -> Answer:
        cluster = place.installed.cluster
        config = cluster.kubeconfig_for(user) if user else cluster.kubeconfig
        return terminal.run(f"kubectl aiagent {words} -n {place.namespace}", config)

    return run


def until_serves(place: Workplace, number: int) -> Object:
    """Wait until a revision serves alone."""

    def holds(agent: Object) -> bool:
        revision = (agent.get("status") or {}).get("revision") or {}
        return bool(revision.get("stable") == number and not revision.get("rollingOut"))

    return place.until("triage", holds, what=f"revision {number} to serve")


@pytest.fixture
def revised(place: Workplace) -> Object:
    """An agent whose second revision serves: another image, model and instructions than the first."""
    place.employ("triage", place.new_role())
    place.until_ready("triage")
    containers = [{"name": "app", "image": "registry.example/agent:2"}]
    place.change(
        "triage",
        workload={"template": {"spec": {"containers": containers}}},
        handbook={"instructions": {"inline": "Be kind.\nBe quick."}},
        model={"provider": "corp", "name": "small"},
    )
    until_serves(place, 2)
    return place.until_ready("triage")


def user(place: Workplace, what: str) -> str:
    """A user with one of our ClusterRoles, or a built-in one, in the test's namespace."""
    name = place.name(what)
    place.let(name, "rollback" if what.endswith("rollback") else "get", place.namespace, what)
    return name


# history --------------------------------------------------------------------------------------------------------------


def test_history_is_read_by_who_may_read_agents(ask: Ask, place: Workplace, revised: Object) -> None:
    viewer = user(place, "workforce-agents-view")
    answer = ask("history triage", viewer)
    assert answer.code == 0, answer
    head, *rows = [line.split() for line in answer.out.splitlines()]
    assert head == ["REVISION", "STATE", "NOW", "TRIGGER", "MODEL", "AGE"]
    assert [row[:-1] for row in rows] == [
        ["2", "Stable", "serves", "SpecChanged", "corp/small"],
        ["1", "Superseded", "Created"],
    ]
    wide = ask("history triage -o wide", viewer).out
    assert "registry.example/agent:2" in wide
    assert revised["status"]["handbook"]["digest"].removeprefix("sha256:")[:10] in wide
    assert ask("history triage -o name", viewer).out.split() == [
        "agentrevision.workforce.dev/triage-2",
        "agentrevision.workforce.dev/triage-1",
    ]
    items = json.loads(ask("history triage -o json", viewer).out)["items"]
    stored = place.admin.get(agents.API, "agentrevisions", "triage-2", namespace=place.namespace)
    stored["metadata"].pop("managedFields", None)
    assert items[0] == stored


def test_history_is_not_that_of_a_former_agent_of_the_name(ask: Ask, place: Workplace, revised: Object) -> None:
    place.dismiss("triage")
    place.until_gone("triage")
    place.employ("triage", revised["spec"]["roleRef"]["name"])
    uid = until_serves(place, 1)["metadata"]["uid"]
    items = json.loads(ask("history triage -o json").out)["items"]
    assert [(item["spec"]["number"], item["spec"]["agentRef"]["uid"]) for item in items] == [(1, uid)]


def test_an_agent_without_a_revision_says_where_to_look(ask: Ask, place: Workplace) -> None:
    place.employ("triage", place.name("missing"))
    place.until_reason("triage", "Ready", "RoleNotFound")
    answer = ask("history triage")
    assert (answer.code, answer.out) == (0, "")
    assert "kubectl aiagent describe triage" in answer.err
    status = ask("rollout status triage")
    assert status.code == 1
    assert "role is accepted" in status.out
    assert "no revision" in ask("diff triage 1").err


@pytest.mark.parametrize("words", ["history triage", "diff triage 1", "rollout status triage"])
def test_who_may_not_read_is_told_what_is_missing(ask: Ask, place: Workplace, revised: Object, words: str) -> None:
    answer = ask(words, "nobody-special")
    assert (answer.code, answer.out) == (3, "")
    assert "workforce-agents-view" in answer.err


# diff -----------------------------------------------------------------------------------------------------------------


def test_a_difference_is_that_of_work_and_handbook(ask: Ask, place: Workplace, revised: Object) -> None:
    answer = ask("diff triage 1 2", user(place, "view"))
    assert answer.code == 1, answer
    changes = {line for line in answer.out.splitlines() if line[:1] in "+-"}
    assert {(line[0], line.split()[-1]) for line in changes if "image:" in line} == {
        ("-", "registry.example/agent:1"),
        ("+", "registry.example/agent:2"),
    }
    assert changes >= {
        "--- triage-1/work.yaml", "+++ triage-2/work.yaml", "--- triage-1/handbook.json", "+++ triage-2/handbook.json",
        "--- triage-1/instructions.md", "+++ triage-2/instructions.md", "+Be quick.", '-  "model": null,',
    }  # fmt: skip
    assert "-Be kind." not in changes
    assert answer.err == "from revision 1 (Superseded) to revision 2 (Stable, serves)\n"
    assert "\x1b" not in answer.out


def test_one_number_is_compared_with_what_serves(ask: Ask, place: Workplace, revised: Object) -> None:
    back = ask("diff triage 1")
    assert back.code == 1
    assert "-Be quick." in back.out
    same = ask("diff triage 2")
    assert (same.code, same.out) == (0, "")
    assert "nothing differs" in same.err
    missing = ask("diff triage 7")
    assert (missing.code, missing.out) == (3, "")
    assert f"AIAgent {place.namespace}/triage has no revision 7: name one of 2, 1" in missing.err


def test_who_may_not_read_handbooks_sees_their_digests(ask: Ask, place: Workplace, revised: Object) -> None:
    answer = ask("diff triage 1 2", user(place, "workforce-agents-view"))
    assert answer.code == 1
    assert f"+{revised['status']['handbook']['digest']}" in answer.out.splitlines()
    assert "+++ triage-2/handbook.digest" in answer.out
    assert "Be quick" not in answer.out
    assert "you need the verb get on configmaps" in answer.err
    assert "registry.example/agent:2" in answer.out


# rollback -------------------------------------------------------------------------------------------------------------


def test_a_rollback_is_followed_and_what_it_holds_back_is_said(ask: Ask, place: Workplace, revised: Object) -> None:
    commander = user(place, "workforce-agents-rollback")
    done = ask("rollback triage --reason 'Too quick'", commander)
    assert done.code == 0, done
    assert done.out.startswith("agentaction.workforce.dev/rollback-triage-")
    assert done.err.endswith("Revision 1 serves\n")
    (order,) = place.admin.list(agents.API, "agentactions", namespace=place.namespace)
    assert (order["spec"]["requestedBy"], order["spec"]["reason"]) == (commander, "Too quick")

    place.until("triage", lambda agent: agent["status"]["revision"].get("heldBack") == 2, what="2 to be held back")
    place.installed.operator().until_idle()
    _, *rows = [line.split() for line in ask("history triage", commander).out.splitlines()]
    assert [row[:5] for row in rows] == [
        ["2", "RolledBack", "is", "held", "back"],
        ["1", "Stable", "serves", "Created", rows[1][-1]],
    ]
    assert "Too quick" in ask("history triage -o wide", commander).out
    status = ask("rollout status triage", commander)
    assert status.code == 1
    assert "Revision 2, which the spec asks for, is held back by a rollback" in status.out
    assert ask("rollout status triage --watch --timeout 60", commander).code == 1

    wide = [line.split() for line in ask("get triage -o wide", commander).out.splitlines()]
    assert wide[1][wide[0].index("REVISION")] == "1"
    text = ask("describe triage", commander).out
    assert "Revision:     1 serves, 2 is held back, though the spec asks for it" in text
    steps = {line.split()[0]: line for line in text.splitlines() if "revision 2" in line and "rollback" in line}
    assert list(steps) == ["you"]
    assert "not you   ask for other work in the spec" in text

    again = ask("rollback triage --to-revision 2 --reason 'It was not that'", commander)
    assert again.code == 0, again
    until_serves(place, 2)
    place.until_ready("triage")
    assert ask("rollout status triage", commander).code == 0


def test_who_may_not_roll_back_is_told_the_verb(ask: Ask, place: Workplace, revised: Object) -> None:
    owner = place.name("owner")
    place.let_administer(owner, place.namespace)
    for who, words in (
        (owner, 'cannot create resource "agentactions"'),
        (user(place, "workforce-agents-suspend"), "verb rollback on aiagents/triage"),
    ):
        answer = ask("rollback triage --reason x", who)
        assert answer.code == 3
        assert words in answer.err
    assert not place.admin.list(agents.API, "agentactions", namespace=place.namespace)


def test_a_rollback_to_what_does_not_exist_fails(ask: Ask, place: Workplace, revised: Object) -> None:
    answer = ask("rollback triage --to-revision 9 --reason x", user(place, "workforce-agents-rollback"))
    assert answer.code == 1
    assert "9" in answer.err.splitlines()[-1]


def test_numbers_are_completed(terminal: Terminal, place: Workplace, revised: Object) -> None:
    for before, after, expected in (
        ("diff", "triage", {"1", "2"}),
        ("diff", "triage 1", {"1", "2"}),
        ("rollback", "triage --to-revision", {"1", "2"}),
        ("rollout status", "", {"triage"}),
    ):
        command = f"kubectl __complete aiagent {before} -n {place.namespace} {after} ''"
        answer = terminal.run(command, place.installed.cluster.kubeconfig)
        assert set(answer.out.split()[:-1]) == expected, answer.screen


# rollout status -------------------------------------------------------------------------------------------------------


def test_it_says_how_far_a_revision_is_and_follows_it(ask: Ask, place: Workplace, revised: Object) -> None:
    assert ask("rollout status triage").out == "Revision 2 serves: 1 of 1 pods ready\n"
    place.change("triage", workload=agents.template(held=True))
    place.until("triage", lambda agent: agent["status"]["revision"].get("rollingOut") == 3, what="3 to take over")
    lines = ["Revision 2 serves: 1 of 1 pods ready", "Revision 3 takes over: 0 of 1 pods ready"]

    now = ask("rollout status triage", user(place, "view"))
    assert now.code == 1
    assert now.out.splitlines()[:2] == lines
    late = ask("rollout status triage --watch --timeout 2")
    assert late.code == 1
    assert late.out.splitlines()[:2] == lines
    assert len(set(late.out.splitlines())) == len(late.out.splitlines())
    assert "is not done after 2 s" in late.err

    # Who may not read Deployments reads the same in what the operator says.
    summary = ask("rollout status triage", user(place, "workforce-agents-view"))
    assert summary.code == 1
    assert summary.out.splitlines()[:2] == ["Revision 2 serves", "Revision 3 takes over"]
    assert "revision 3 takes over with 0 of 1 pods ready" in summary.out.splitlines()[2]

    place.change("triage", workload={"template": {"metadata": {"annotations": {"localcluster/hold": None}}}})
    done = ask("rollout status triage --watch --timeout 100")
    assert done.code == 0, done
    assert done.out.splitlines()[-1] == "Revision 4 serves: 1 of 1 pods ready"
    assert ask("rollout status triage", user(place, "workforce-agents-suspend")).out == done.out.splitlines()[-1] + "\n"


def test_an_adopted_workload_has_revisions_too(ask: Ask, place: Workplace) -> None:
    place.admin.create(agents.workload(place.namespace, "theirs"))
    place.employ("triage", place.new_role(), workload=agents.target("theirs"))
    place.until_ready("triage")
    until_serves(place, 1)
    assert ask("rollout status triage").out == "Revision 1 serves: 1 of 1 pods ready\n"
    place.change("triage", handbook={"instructions": {"inline": "Be quick."}})
    until_serves(place, 2)
    answer = ask("diff triage 1 2")
    assert answer.code == 1
    assert [line for line in answer.out.splitlines() if line[:1] in "+-"] == [
        "--- triage-1/instructions.md", "+++ triage-2/instructions.md", "-Be kind.", "+Be quick.",
    ]  # fmt: skip
    assert "IMAGES" in ask("history triage -o wide").out
