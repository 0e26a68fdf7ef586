"""`kubectl aiagent` through a real kubectl, by users with real and limited rights."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from aiagent_operator.api.kinds import AGENTPOLICY, AGENTROLE, AIAGENT
from aiagent_operator.api.schema import Kind, structural
from aiagent_operator.cli.lint import manifest
from aiagent_operator.cli.lint.documents import Document
from cluster.test_schema_agreement import answers, generated
from support import agents
from support.cluster import Cluster
from support.definitions import install
from support.edges import nearly
from support.kube import Kube, Object
from support.specs import agents as specs
from support.specs import policies, roles
from support.terminal import Answer, Terminal
from support.workplace import Workplace

pytestmark = pytest.mark.cluster

Ask = Callable[..., Answer]


@pytest.fixture
def ask(terminal: Terminal, place: Workplace) -> Ask:
    """`ask("get", ..., user="jane")` runs `kubectl aiagent get ...` in the test's namespace; else the administrator."""

    def run(*args: str, user: str = "", inside: str = "") -> Answer:
        cluster = place.installed.cluster
        config = cluster.kubeconfig_for(user) if user else cluster.kubeconfig
        where = [] if "-A" in args else ["-n", inside or place.namespace]
        return terminal.run(" ".join(["kubectl aiagent", *args, *where]), config)

    return run


@pytest.fixture
def employed(place: Workplace) -> Object:
    """An agent that may read tickets, is refused to delete them, and waits for a namespace."""
    own = agents.permission("own", rules=[agents.rule("delete", "tickets")])
    asked = (agents.permission("read-tickets"), own, agents.permission("refund", place.name("later")))
    place.employ("triage", place.new_role(namespaces={"names": [place.name("later")]}), *asked)
    return place.until_reason("triage", "Ready", "BeyondRoleCeiling")


def viewer(place: Workplace) -> str:
    """A user who may read the agents of the test's namespace, and nothing else."""
    user = place.name("viewer")
    place.let(user, "get", place.namespace, "workforce-agents-view")
    return user


# get ------------------------------------------------------------------------------------------------------------------


def test_get_shows_what_the_cluster_knows(ask: Ask, place: Workplace, employed: Object) -> None:
    head, row = ask("get").out.splitlines()
    assert head.split() == ["NAME", "ROLE", "READY", "REASON", "PHASE", "GRANTED", "ACCOUNTABLE", "AGE"]
    status = employed["status"]
    expected = ["triage", employed["spec"]["roleRef"]["name"], "False", "BeyondRoleCeiling", status["phase"], "1/3"]
    assert row.split()[:-1] == [*expected, "product@corp.example"]

    wide = ask("get", "triage", "-o", "wide").out
    assert "Answer tickets" in wide
    assert agents.condition(employed, "Ready")["message"] in wide  # type: ignore[index]
    everywhere = ask("get", "-A").out.splitlines()
    assert everywhere[0].startswith("NAMESPACE")
    assert any(line.split()[:2] == [place.namespace, "triage"] for line in everywhere)


def test_get_gives_programs_the_objects(ask: Ask, place: Workplace, employed: Object) -> None:
    one = json.loads(ask("get", "triage", "-o", "json").out)
    assert one == place.get("triage") | {"metadata": one["metadata"]}
    assert "managedFields" not in one["metadata"]
    assert one["metadata"]["uid"] == employed["metadata"]["uid"]
    every = yaml.safe_load(ask("get", "-o", "yaml").out)
    assert (every["kind"], [item["kind"] for item in every["items"]]) == ("List", ["AIAgent"])
    assert ask("get", "-o", "name").out == "aiagent.workforce.dev/triage\n"


def test_get_selects_by_label_and_says_where_there_is_nothing(ask: Ask, place: Workplace, employed: Object) -> None:
    place.admin.patch(agents.API, "aiagents", "triage", {"metadata": {"labels": {"a": "b"}}}, namespace=place.namespace)
    assert "triage" in ask("get", "-l", "a=b").out
    nothing = ask("get", "-l", "a=c")
    assert (nothing.code, nothing.out, nothing.err) == (0, "", f"No agents found in namespace {place.namespace}.\n")


def test_what_does_not_exist_is_3_with_the_way_to_find_it(ask: Ask, place: Workplace) -> None:
    for args in (
        ["get", "ghost"],
        ["describe", "ghost"],
        ["can-i", "ghost", "get", "pods"],
        ["can-i", "ghost", "--list"],
    ):
        answer = ask(*args)
        assert answer.code == 3
        assert answer.err.startswith(f"error: AIAgent {place.namespace}/ghost: it does not exist there")
        assert "kubectl aiagent get -A" in answer.err


def test_who_may_not_read_is_told_what_is_missing(ask: Ask, place: Workplace, employed: Object) -> None:
    for args in (["get"], ["get", "-A"], ["describe", "triage"], ["can-i", "triage", "--list"]):
        answer = ask(*args, user="nobody-special")
        assert (answer.code, answer.out) == (3, "")
        assert 'User "nobody-special" cannot' in answer.err
        assert "workforce-agents-view" in answer.err


def test_impersonation_in_the_kubeconfig_is_not_ignored(terminal: Terminal, place: Workplace, tmp_path: Path) -> None:
    config = yaml.safe_load(place.installed.cluster.kubeconfig.read_text())
    for entry in config["users"]:
        entry["user"] |= {"as": "jane", "as-groups": ["a-team"]}
    path = tmp_path / "as"
    path.write_text(yaml.safe_dump(config))
    answer = terminal.run("kubectl aiagent get -A", path)
    assert answer.code == 3
    assert 'User "jane" cannot list' in answer.err


def test_kubectl_completes_the_names_of_agents(
    ask: Ask, terminal: Terminal, place: Workplace, employed: Object
) -> None:
    line = f"kubectl __complete aiagent describe -n {place.namespace} tri"
    answer = terminal.run(line, place.installed.cluster.kubeconfig)
    assert answer.out.splitlines()[0] == "triage", answer.screen


# can-i ----------------------------------------------------------------------------------------------------------------


def test_can_i_is_the_api_servers_answer(ask: Ask, place: Workplace, employed: Object) -> None:
    place.until_can("triage", "list", "tickets")
    group = agents.READ_TICKETS["apiGroups"][0]
    for verb, resource, more in (
        ("list", f"tickets.{group}", []),
        ("get", f"tickets.{group}", ["--resource-name", "one"]),
        ("delete", f"tickets.{group}", []),
        ("get", f"tickets.{group}", ["--subresource", "status"]),
        ("get", "cm", []),
        ("create", "selfsubjectaccessreviews.authorization.k8s.io", []),
    ):
        answer = ask("can-i", "triage", verb, resource, *more, "-o", "json")
        body = json.loads(answer.out)
        asked = body["resourceAttributes"]
        truth = place.admin.allowed(
            agents.username(place.namespace, "triage"),
            verb,
            asked["resource"],
            groups=agents.groups(place.namespace),
            group=asked.get("group", ""),
            namespace=asked.get("namespace", ""),
            name=asked.get("name", ""),
            subresource=asked.get("subresource", ""),
        )
        assert body["allowed"] is truth
        assert answer.code == (0 if truth else 1)
    assert ask("can-i", "triage", "list", f"tickets.{group}").out == "yes\n"
    assert "allowed by RoleBinding" in ask("can-i", "triage", "list", f"tickets.{group}", "-o", "wide").out
    assert ask("can-i", "triage", "delete", f"tickets.{group}").out.split()[0] == "no"
    quiet = ask("can-i", "triage", "delete", f"tickets.{group}", "-q")
    assert (quiet.code, quiet.screen) == (1, "")


def test_can_i_resolves_resources_as_kubectl_does(ask: Ask, place: Workplace, employed: Object) -> None:
    def attributes(resource: str) -> Object:
        asked: Object = json.loads(ask("can-i", "triage", "get", resource, "-o", "json").out)["resourceAttributes"]
        return asked

    assert attributes("deploy") == attributes("Deployment") == attributes("deployments.apps")
    assert attributes("deploy")["group"] == "apps"
    nodes = ask("can-i", "triage", "get", "nodes", "-o", "json")
    assert "is not in namespaces" in nodes.err
    assert "namespace" not in json.loads(nodes.out)["resourceAttributes"]
    unknown = ask("can-i", "triage", "get", "frobs")
    assert 'the API server lists no resource "frobs"' in unknown.err
    assert unknown.code == 1


def test_can_i_asks_in_another_namespace(ask: Ask, place: Workplace) -> None:
    crm = place.new_namespace("crm")
    place.employ("triage", place.new_role(), agents.permission("read-tickets", crm))
    place.until_ready("triage")
    place.until_can("triage", "list", "tickets", namespace=crm)
    resource = f"tickets.{agents.READ_TICKETS['apiGroups'][0]}"
    assert ask("can-i", "triage", "list", resource, "--in", crm).code == 0
    assert ask("can-i", "triage", "list", resource).code == 1


def test_an_admin_of_the_namespace_may_ask_there_and_nowhere_else(ask: Ask, place: Workplace, employed: Object) -> None:
    user = place.name("owner")
    place.let_administer(user, place.namespace)
    resource = f"tickets.{agents.READ_TICKETS['apiGroups'][0]}"
    answer = ask("can-i", "triage", "list", resource, "-o", "json", user=user)
    assert json.loads(answer.out)["askedBy"] == "LocalSubjectAccessReview"
    assert answer.code == 0
    elsewhere = ask("can-i", "triage", "list", resource, "--in", "default", user=user)
    assert elsewhere.code == 3
    assert (
        "no right to create subjectaccessreviews, nor localsubjectaccessreviews in namespace default" in elsewhere.err
    )


def test_who_may_only_read_gets_the_list_and_is_told_why_no_more(ask: Ask, place: Workplace, employed: Object) -> None:
    user = viewer(place)
    refused = ask("can-i", "triage", "get", "pods", user=user)
    assert (refused.code, refused.out) == (3, "")
    assert "can-i NAME --list" in refused.err
    listed = ask("can-i", "triage", "--list", user=user)
    group = agents.READ_TICKETS["apiGroups"][0]
    assert listed.code == 0
    assert listed.out.splitlines()[1].split() == [place.namespace, f"tickets.{group}", "get,list", "*", "read-tickets"]
    assert len(listed.out.splitlines()) == 2
    assert f"From status.permissions of AIAgent {place.namespace}/triage" in listed.err


def test_the_list_of_a_suspended_agent_says_that_nothing_is_bound(ask: Ask, place: Workplace, employed: Object) -> None:
    place.change("triage", suspended=True)
    place.until_reason("triage", "Ready", "Suspended")
    place.until_cannot("triage", "list", "tickets")
    assert ask("can-i", "triage", "list", f"tickets.{agents.READ_TICKETS['apiGroups'][0]}").code == 1
    assert "suspended: nothing of it is bound" in ask("can-i", "triage", "--list").err
    assert json.loads(ask("can-i", "triage", "--list", "-o", "json").out)["inForce"] is False


# describe -------------------------------------------------------------------------------------------------------------


def test_describe_begins_with_what_is_wrong_and_what_is_waited_for(
    ask: Ask, place: Workplace, employed: Object
) -> None:
    text = ask("describe", "triage").out
    order = [
        "Agent: ", "Why not ready:", 'permission "own" (BeyondRoleCeiling)', "What it waits for:",
        'permission "refund" (NamespaceNotFound)', "Who can do what next:", "Owners:", "Permissions:", "Handbook:",
        "Workload:", "Inventory:", "Conditions:",
    ]  # fmt: skip
    assert [text.index(part) for part in order] == sorted(text.index(part) for part in order)
    for entry in employed["status"]["inventory"]:
        assert entry["name"] in text
    assert employed["status"]["handbook"]["digest"] in text
    assert "product@corp.example (Product)" in text


@pytest.mark.parametrize("who", ["viewer", "owner"])
def test_describe_says_whose_turn_it_is(ask: Ask, place: Workplace, employed: Object, who: str) -> None:
    if who == "viewer":
        user = viewer(place)
    else:
        user = place.name("owner")
        place.let_administer(user, place.namespace)
    body = json.loads(ask("describe", "triage", "-o", "json", user=user).out)
    may = who == "owner"
    assert body["youMay"] == {"edit": may, "delete": may}
    steps = {step["needs"]["resource"]: step["youMay"] for step in body["next"]}
    assert steps == {"aiagents": may, "agentroles": False, "namespaces": False}
    assert [trouble["reason"] for trouble in body["notReady"]] == ["BeyondRoleCeiling"]
    assert [trouble["reason"] for trouble in body["waitsFor"]] == ["NamespaceNotFound"]
    word = "you" if may else "not you"
    text = ask("describe", "triage", user=user).out
    assert f"May edit the agent: {word}. May delete it, which ends its employment: {word}." in text


def test_describe_of_an_agent_without_a_role(ask: Ask, place: Workplace) -> None:
    place.employ("triage", place.name("missing"), agents.permission("read-tickets"))
    place.until_reason("triage", "Ready", "RoleNotFound")
    body = json.loads(ask("describe", "triage", "-o", "json").out)
    assert [(t["subject"], t["reason"]) for t in body["waitsFor"]] == [("role", "RoleNotFound")]
    assert body["notReady"] == []
    text = ask("describe", "triage").out
    assert "nothing exists yet" in text
    assert "create the AgentRole" in text


def test_describe_of_an_agent_at_work_has_nothing_to_complain_of(ask: Ask, place: Workplace) -> None:
    place.employ("triage", place.new_role(), agents.permission("read-tickets"))
    place.until_ready("triage")
    text = ask("describe", "triage", "-o", "wide").out
    assert "Why not ready" not in text
    assert "What it waits for" not in text
    assert f"Identity:      {agents.username(place.namespace, 'triage')}" in text
    assert "Pods:          1 of 1 ready" in text
    assert "get, list tickets" in text


def test_describe_of_an_agent_that_nobody_has_seen(ask: Ask, place: Workplace) -> None:
    place.installed.end_shared()
    place.employ("triage", place.new_role(), agents.permission("read-tickets"))
    text = ask("describe", "triage").out
    assert "agent (Pending)" in text
    assert "asked for, not decided yet: read-tickets" in text


# lint -----------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def kube(control_plane: Cluster) -> Kube:
    install(control_plane.admin)
    return control_plane.admin


@pytest.mark.parametrize(
    ("kind", "strategy"),
    [(AIAGENT, specs()), (AGENTROLE, roles()), (AGENTPOLICY, policies())],
    ids=["AIAgent", "AgentRole", "AgentPolicy"],
)  # fmt: skip
def test_lint_refuses_what_the_api_server_refuses_and_nothing_else(kube: Kube, kind: Kind, strategy: object) -> None:
    near = generated(nearly(strategy, structural(kind.spec)), 400)  # type: ignore[arg-type]
    judged = {True: 0, False: 0}
    differ = []
    for answer in answers(kube, kind, near, "Strict"):
        issues = manifest.check(Document("", answer.sent, {})).issues
        judged[bool(issues)] += 1
        if bool(issues) is not (answer.error is not None):
            differ.append(f"{issues}\n{answer}")
    assert differ[:3] == [], len(differ)
    assert min(judged.values()) > 0.04 * len(near), judged
