"""docs/cli.md shows what the command prints: each of its commands is run, and what it prints is what stands there.

`UPDATE_DOCS=1` writes what was printed into the page instead.
"""

import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from support import agents
from support.cluster import Cluster
from support.documents import ROOT, blocks, objects
from support.kube import Kube, Object
from support.operator import OperatorProcess
from support.terminal import Terminal, sessions, timeless

pytestmark = pytest.mark.cluster

PAGE = ROOT / "docs" / "cli.md"
COMMANDS = {"get", "describe", "can-i", "lint", "history", "diff", "rollout", "rollback", "promote", "abort"}
COMMANDS |= {"retrain", "calendar"}


@pytest.fixture
def desk(admin: Kube, operator: OperatorProcess) -> Iterator[list[Object]]:
    """The objects of the page, in the cluster; the agent is waited for until it is as the page says."""
    made = [document for block in blocks(PAGE, "yaml") for document in objects(block)]
    for document in made:
        admin.apply(document, force=True)
    meta = made[-1]["metadata"]

    def settled(agent: Object) -> bool:
        work = agents.condition(agent, "WorkloadReady")
        ready = agents.condition(agent, "Ready")
        exposed = agents.condition(agent, "IdentityExposed")  # by bindings of other tests, until the next scan
        return bool(
            work and ready and work["status"] == "True" and ready["reason"] == "BeyondRoleCeiling" and not exposed
        )

    what = "the page's agent to work, with one permission refused"
    admin.wait_object(agents.API, "aiagents", meta["name"], settled, what=what, namespace=meta["namespace"])
    account = agents.username(meta["namespace"], meta["name"])
    admin.wait_for(
        lambda: admin.allowed(account, "list", "configmaps", namespace=meta["namespace"]), what="the agent's rights"
    )
    yield made
    for document in reversed(made):
        meta = document["metadata"]
        admin.delete(document["apiVersion"], document["kind"], meta["name"], namespace=meta.get("namespace"))
        if document["kind"] == "AIAgent":
            admin.wait_gone(agents.API, "aiagents", meta["name"], namespace=meta["namespace"])


@pytest.mark.usefixtures("desk")
def test_commands_print_what_the_page_shows(control_plane: Cluster, operator: OperatorProcess, tmp_path: Path) -> None:
    terminal = Terminal.beside(control_plane, tmp_path)
    (tmp_path / "helpdesk.yaml").write_text(blocks(PAGE, "yaml")[0].text)
    shown = list(sessions(PAGE))
    assert {command.split()[2] for _, command, _ in shown if command.startswith("kubectl aiagent")} >= COMMANDS
    printed = []
    for _, command, _ in shown:
        operator.until_idle()
        printed.append(terminal.run(f"{{ {command}; }} 2>&1", control_plane.kubeconfig).out)
    if os.environ.get("UPDATE_DOCS"):
        rewrite(printed, shown)
    for (line, command, expected), found in zip(sessions(PAGE), printed, strict=True):
        assert steady(found) == steady(expected), f"docs/cli.md:{line}: {command}"


def steady(text: str) -> list[str]:
    """The lines without what differs from run to run: also names and times that the API server gives, and what is
    waited for in between, which may be over too soon to be seen."""
    named = re.sub(r"(?<=-triage-)[a-z0-9]{5}\b", "NAME", text)
    named = re.sub(r"\b\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", "TIME", named)
    return [line for line in timeless(named) if not line.lower().startswith("waiting ")]


def rewrite(printed: list[str], shown: list[tuple[int, str, str]]) -> None:
    text, done = PAGE.read_text(), 0
    for (_, command, expected), found in zip(shown, printed, strict=True):
        old = f"$ {command}\n{expected}\n" if expected else f"$ {command}\n"
        new = f"$ {command}\n{found.rstrip()}\n" if found else f"$ {command}\n"
        begin = text.index(old, done)
        text = text[:begin] + new + text[begin + len(old) :]
        done = begin + len(new)
    PAGE.write_text(text)
