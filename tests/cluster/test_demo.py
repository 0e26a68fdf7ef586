"""The demo as people run it: both ways of ending, and what is left afterwards."""

import contextlib
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import pytest

from support import chart
from support.kube import Kube, wait_for
from support.localcluster.process import start_time

TESTS = Path(__file__).parents[1]


@contextlib.contextmanager
def _demo(*arguments: str, **variables: str) -> Iterator[tuple[subprocess.Popen[str], IO[str]]]:
    """The running demo and its output; killed in the end, and with it all that it started."""
    kept = {name: value for name, value in os.environ.items() if name != "KUBECONFIG"}
    process = subprocess.Popen(
        [sys.executable, "-m", "support.demo", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**kept, "PYTHONPATH": str(TESTS), **variables},
        cwd=chart.ROOT,
    )
    assert process.stdout is not None
    with process:
        try:
            yield process, process.stdout
        finally:
            process.kill()


def _children(pid: int) -> list[int]:
    tasks = Path(f"/proc/{pid}/task").glob("*/children")
    return [int(child) for file in tasks for child in file.read_text().split()]


def test_once_ends_with_the_verdict() -> None:
    with _demo("--once") as (process, stdout):
        output = stdout.read()
        assert process.wait() == 0, output

    assert "verdict: all is as it should be" in output
    for agent in ("support-agents/triage", "procurement-agents/sourcing", "analytics-agents/insights"):
        assert re.search(rf"{agent}: Ready, (\d+)/\1 permissions granted", output), output
    assert re.search(r"may\s+│ get, list, watch contracts\.procurement\.example in suppliers", output), output
    assert re.search(r"may not\s+│ update contracts\.procurement\.example in suppliers", output), output
    assert "its status says otherwise" not in output


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_stays_until_it_is_interrupted_and_leaves_nothing_running(number: signal.Signals) -> None:
    with _demo() as (process, stdout):
        said: list[str] = []
        while not said or "auth can-i" not in said[-1]:
            said.append(stdout.readline())
            assert said[-1], f"it ended by itself: {''.join(said)}"
        found = re.search(r"export KUBECONFIG=(\S+)", "".join(said))
        assert found is not None, "".join(said)
        kubeconfig = Path(found[1])
        agents = Kube.from_kubeconfig(kubeconfig).list("workforce.dev/v1alpha1", "aiagents")
        assert {agent["metadata"]["name"] for agent in agents} == {"triage", "sourcing", "insights"}
        children = _children(process.pid)
        assert len(children) == 6, "five components and the operator"

        process.send_signal(number)
        rest = stdout.read()

        assert process.wait() == 0, rest
    assert "nothing is left running" in rest
    wait_for(lambda: all(start_time(child) is None for child in children), what=f"{children} to be gone")
    assert not kubeconfig.parent.exists()


def test_a_kubeconfig_that_is_no_file_is_named() -> None:
    with _demo("--once", KUBECONFIG="/nowhere/config") as (process, stdout):
        output = stdout.read()
        assert process.wait() == 1

    assert "KUBECONFIG names /nowhere/config, which is no file" in output
