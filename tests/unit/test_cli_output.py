"""What commands print, and the exit codes that need no cluster."""

import json
import os
import re
import socket
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner, Result

from aiagent_operator.api.conditions import Reason
from aiagent_operator.cli import output, steps, view
from aiagent_operator.cli.app import app
from aiagent_operator.cli.errors import CliError, ExitCode
from aiagent_operator.cli.kubeconfig import access
from aiagent_operator.cli.output import Format
from support.documents import ROOT

COMMANDS = {
    "get", "describe", "can-i", "suspend", "resume", "lint", "history", "diff", "rollback", "rollout", "retrain",
    "promote", "abort", "offboard", "rehire", "calendar", "journal", "archive", "hold", "release",
    "abandon", "erase",
}  # fmt: skip


def run(*args: str, **env: str | None) -> Result:
    return CliRunner().invoke(app, args, env={"NO_COLOR": "1", "KUBECONFIG": None, **env}, catch_exceptions=False)


def kubeconfig(path: Path, server: str = "https://127.0.0.1:1", **user: Any) -> Path:
    body = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "one",
        "clusters": [{"name": "c", "cluster": {"server": server}}],
        "users": [{"name": "u", "user": {"token": "t", **user}}],
        "contexts": [
            {"name": "one", "context": {"cluster": "c", "user": "u", "namespace": "home"}},
            {"name": "two", "context": {"cluster": "c", "user": "u"}},
        ],
    }
    path.write_text(yaml.safe_dump(body))
    return path


def shown(capsys: pytest.CaptureFixture[str]) -> str:
    return capsys.readouterr().out


def test_columns_are_aligned_by_what_is_seen_and_lines_are_never_cut(capsys: pytest.CaptureFixture[str]) -> None:
    output.table(("NAME", "WHAT", "X"), [("漢字", "a" * 300, ""), ("b", None, "True")], indent=2)
    lines = shown(capsys).splitlines()
    assert lines == [
        "  NAME   WHAT" + " " * 299 + "X",
        "  漢字   " + "a" * 300,
        "  b" + " " * 309 + "True",
    ]


def test_what_others_wrote_does_not_steer_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    output.table(("A",), [("x\x1b]0;title\x07\n[bold]y[/bold] :smile:",)])
    assert shown(capsys) == "A\nx ]0;title [bold]y[/bold] :smile:\n"


@pytest.mark.parametrize("form", [Format.JSON, Format.YAML])
def test_what_programs_read_is_as_it_was(form: Format, capsys: pytest.CaptureFixture[str]) -> None:
    value = {"a": ["é\n", 1, None, True], "b": {"c": "x" * 500}}
    output.dump(value, form)
    assert (json.loads if form is Format.JSON else yaml.safe_load)(shown(capsys)) == value


@pytest.mark.parametrize(
    ("env", "colour"),
    [
        ({}, False),
        ({"FORCE_COLOR": "1", "TERM": "xterm"}, True),
        ({"FORCE_COLOR": "1", "NO_COLOR": "1", "TERM": "xterm"}, False),
    ],
    ids=["a pipe", "forced", "NO_COLOR"],
)  # fmt: skip
def test_colour_is_for_terminals_and_no_color_is_honoured(env: dict[str, str], colour: bool) -> None:
    code = "from aiagent_operator.cli import output; output.table(('A', 'B'), [('True', 'Refused')])"
    clean = {key: value for key, value in os.environ.items() if key not in {"NO_COLOR", "FORCE_COLOR"}}
    clean["PYTHONPATH"] = str(ROOT / "operator")
    done = subprocess.run([sys.executable, "-c", code], env=clean | env, capture_output=True, text=True, check=True)
    assert bool(re.search(r"\x1b\[[0-9;]*3[0-7]m", done.stdout)) is colour


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (-5, "0s"), (0, "0s"), (119, "119s"), (120, "2m"), (185, "3m5s"), (600, "10m"), (10799, "179m"), (10800, "3h"),
        (3 * 3600 + 60, "3h1m"), (8 * 3600, "8h"), (47 * 3600, "47h"), (48 * 3600, "2d"), (51 * 3600, "2d3h"),
        (8 * 86400, "8d"), (729 * 86400, "729d"), (730 * 86400, "2y"), (731 * 86400, "2y1d"), (2920 * 86400, "8y"),
    ],
)  # fmt: skip
def test_ages_read_as_those_of_kubectl(seconds: int, text: str) -> None:
    now = datetime(2026, 5, 1, tzinfo=UTC)
    assert view.age((now - timedelta(seconds=seconds)).isoformat().replace("+00:00", "Z"), now) == text


def test_no_time_is_no_age() -> None:
    assert view.age(None) == view.age("1970-01-01T00:00:00Z") == "<unknown>"


@pytest.mark.parametrize("reason", Reason)
def test_every_reason_has_its_steps(reason: Reason) -> None:
    assert reason in steps.STEPS, "say in cli/steps.py what people can do about it; () where nothing is to be done"
    for step in steps.of(reason.value):
        question = step.right.question("home", "triage", "support")
        assert question.verb
        assert step.text[0].islower()


def test_a_reason_of_a_newer_operator_has_no_steps() -> None:
    assert steps.of("FromTheFuture") == ()


# Usage ----------------------------------------------------------------------------------------------------------------


def test_help_names_all_commands_and_exit_codes() -> None:
    result = run("--help")
    assert result.exit_code == 0
    assert set(result.stdout.split()) >= COMMANDS
    assert {code.value for code in ExitCode} <= {int(number) for number in re.findall(r"\b\d\b", result.stdout)}
    for command in COMMANDS:
        assert run(command, "-h").exit_code == 0


def test_a_command_imports_none_of_the_others() -> None:
    asks = "import sys; from aiagent_operator.cli.app import app; app(['history', '-h'], standalone_mode=False); "
    done = subprocess.run(
        [sys.executable, "-c", asks + "print(*(name for name in sys.modules if 'aiagent_operator.cli.' in name))"],
        env=os.environ | {"PYTHONPATH": str(ROOT / "operator")},
        capture_output=True,
        text=True,
        check=True,
    )
    imported = {name.removeprefix("aiagent_operator.cli.") for name in done.stdout.split()}
    assert "history" in imported
    assert imported.isdisjoint({"describe", "rollout", "journal", "archive.command", "lint.command"})


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (["frob"], "No such command"),
        (["get", "-o", "frob"], "frob"),
        (["get", "triage", "-A"], "--all-namespaces lists agents, so no NAME goes with it"),
        (["get", "triage", "-l", "a=b"], "--selector lists agents"),
        (["describe"], "Missing argument"),
        (["describe", "triage", "-o", "name"], "-o name has no meaning"),
        (["can-i", "triage"], "give VERB and RESOURCE, or --list alone"),
        (["can-i", "triage", "get"], "give VERB and RESOURCE, or --list alone"),
        (["can-i", "triage", "get", "pods", "--list"], "give VERB and RESOURCE, or --list alone"),
        (["can-i", "triage", "create", "pods/exec"], "write pods --subresource exec, or pods --resource-name exec"),
        (["can-i", "triage", "--list", "-o", "name"], "-o name has no meaning"),
        (["history"], "Missing argument"),
        (["diff", "triage"], "Missing argument"),
        (["diff", "triage", "0"], "Invalid value for"),
        (["diff", "triage", "one"], "Invalid value for"),
        (["rollback", "triage"], "--reason"),
        (["promote", "triage"], "--reason"),
        (["abort", "triage"], "--reason"),
        (["hold", "triage", "--reason", "x"], "--ground"),
        (["hold", "triage", "--reason", "x", "--ground", "Whim"], "Invalid value for"),
        (["hold", "--reason", "x", "--ground", "LegalClaims"], "give the NAME of an agent, or --archive"),
        (["release", "triage", "--archive", "a", "--reason", "x"], "give the NAME of an agent, or --archive"),
        (["release", "triage"], "--reason"),
        (["offboard", "triage", "--why", "Business"], "--reason"),
        (["offboard", "triage", "--reason", "x"], "--why"),
        (["offboard", "triage", "--why", "Bored", "--reason", "x"], "Invalid value for"),
        (["offboard", "--why", "Business", "--reason", "x"], "give the NAME of one agent"),
        (["offboard", "-l", "a=b", "--why", "Business", "--reason", "x", "--dry-run"], "--dry-run is about one agent"),
        (["rehire", "triage"], "--reason"),
        (["rollback", "triage", "--to-revision", "0", "--reason", "x"], "Invalid value for"),
        (["rollout", "status"], "Missing argument"),
        (["rollout", "frob"], "No such command"),
        (["archive", "frob"], "No such command"),
        (["journal", "show"], "name the folder of a journal"),
        (["journal", "show", "-f"], "--follow goes with --agent NAME"),
        (["journal", "show", "x", "--agent", "triage"], "--follow goes with --agent NAME"),
        (["journal", "show", "-f", "--agent", "triage", "-o", "yaml"], "take table or json"),
    ],
)
def test_wrong_usage_is_2_and_says_what_is_right(args: list[str], words: str) -> None:
    result = run(*args)
    assert result.exit_code == ExitCode.USAGE
    assert words in result.stderr
    assert not result.stdout


# Which cluster --------------------------------------------------------------------------------------------------------


def test_a_cluster_that_does_not_answer_is_3_and_named(tmp_path: Path) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        server = f"https://127.0.0.1:{closed.getsockname()[1]}"
        config = kubeconfig(tmp_path / "config", server)
        for args in (
            ["get"], ["describe", "a"], ["can-i", "a", "get", "pods"], ["can-i", "a", "--list"], ["history", "a"],
            ["diff", "a", "1"], ["rollout", "status", "a"], ["rollout", "status", "a", "--watch"],
        ):  # fmt: skip
            result = run(*args, "--kubeconfig", str(config))
            assert result.exit_code == ExitCode.CLUSTER
            assert f"no answer from the API server {server} about AIAgent" in result.stderr
            assert "--context" in result.stderr
            assert not result.stdout


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (None, "there is no kubeconfig"),
        ("", "names no cluster"),
        ("{", "names no cluster"),
        ("[]", "names no cluster"),
        ("apiVersion: v1\ncontexts: []\nclusters: []\nusers: []\n", "has no current-context"),
        ("current-context: a\ncontexts: []\nclusters: []\nusers: []\n", 'has no context "a"'),
        ("current-context: a\ncontexts: [{name: a, context: {cluster: c}}]\nclusters: []\n", "names no cluster"),
    ],
)
def test_a_kubeconfig_that_leads_nowhere_is_3(tmp_path: Path, text: str | None, words: str) -> None:
    path = tmp_path / "config"
    if text is not None:
        path.write_text(text)
    result = run("get", KUBECONFIG=str(path))
    assert result.exit_code == ExitCode.CLUSTER
    assert words in result.stderr
    assert str(path) in result.stderr


def test_an_unknown_context_is_named_with_those_there_are(tmp_path: Path) -> None:
    with pytest.raises(CliError, match=r'has no context "three".*it has one, two'):
        access(kubeconfig(tmp_path / "config"), "three")


def test_the_context_gives_the_namespace(tmp_path: Path) -> None:
    path = kubeconfig(tmp_path / "config")
    assert access(path, None).namespace == "home"
    assert access(path, "two").namespace == "default"


def test_of_several_files_the_first_that_names_a_context_wins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = tmp_path / "first", kubeconfig(tmp_path / "second", "https://127.0.0.1:2")
    first.write_text("current-context: two\n")
    monkeypatch.setenv("KUBECONFIG", f"{first}{os.pathsep}{second}")
    assert access(None, None).namespace == "default"
    assert access(None, None).configuration.host == "https://127.0.0.1:2"


def test_impersonation_of_the_kubeconfig_is_kept(tmp_path: Path) -> None:
    who = {"as": "jane", "as-groups": ["a", "b"], "as-uid": "1", "as-user-extra": {"Scope/x": ["y"]}}
    found = access(kubeconfig(tmp_path / "config", **who), None)
    assert found.impersonation == (
        ("Impersonate-User", "jane"),
        ("Impersonate-Uid", "1"),
        ("Impersonate-Group", "a"),
        ("Impersonate-Group", "b"),
        ("Impersonate-Extra-Scope%2Fx", "y"),
    )


def test_kubectl_completes_commands_options_and_files_of_lint() -> None:
    def complete(*words: str) -> list[str]:
        module = "aiagent_operator.cli.kubectl_complete"
        env = os.environ | {"PYTHONPATH": str(ROOT / "operator"), "KUBECONFIG": "/nonexistent"}
        done = subprocess.run(
            [sys.executable, "-m", module, *words], env=env, capture_output=True, text=True, check=True
        )
        return done.stdout.split()

    assert {*complete("")} == {*COMMANDS, ":4"}
    assert complete("des") == ["describe", ":4"]
    assert complete("get", "--names") == ["--namespace", ":4"]
    assert complete("get", "tri") == [":4"]
    assert complete("rollout", "") == ["status", ":4"]
    assert complete("rollout", "status", "--wa") == ["--watch", ":4"]
    assert complete("diff", "triage", "") == [":4"]
    assert complete("lint", "") == [":0"]
    assert {*complete("archive", "")} == {"list", "show", "verify", "export", ":4"}
    assert complete("archive", "verify", "") == [":0"]
    assert complete("journal", "verify", "") == [":0"]
