"""The chart's alerts, evaluated by Prometheus over series of a test's own: each fires when it should, and ends.

No API server is asked: it stands here since it needs a program of its own, as the control plane does.
"""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml

from support import chart
from support.prometheus import NoPrometheusError, program

pytestmark = pytest.mark.cluster

# Minutes from the start: until the first all is well, then something is wrong until the second, then all is well again.
WELL, WRONG, END = 30, 600, 720
# Minutes by which versions of Prometheus differ about a window.
NEARLY = 2

LEADS = 'aiagent_leader{pod="a"}', 'aiagent_synced{pod="a"}'
ERRORS = 'aiagent_reconcile_total{pod="a",result="error"}'
PASSES = 'aiagent_reconcile_total{pod="a",result="done"}'
QUEUE = 'aiagent_queue_depth{pod="a"}'
EXPOSED = 'aiagent_identity_exposed{pod="a"}'
LOCAL = 'aiagent_archive_store_ready{pod="a",store="local"}'
JOURNALS = 'aiagent_journal_agents_waiting{pod="a"}'
FORKED = 'aiagent_journal_found_total{pod="a",outcome="Forked"}'
ALTERED = 'aiagent_archives{pod="a",found="Altered"}'
UNKNOWN = 'aiagent_archives{pod="a",found="Unknown"}'

# A fleet at work: pod a leads, b stands by, and ordinary failures are healed by the next try.
HEALTHY: Mapping[str, str] = {
    **dict.fromkeys(LEADS, f"1x{END}"),
    'aiagent_leader{pod="b"}': f"0x{END}",
    'aiagent_synced{pod="b"}': f"0x{END}",
    PASSES: f"0+60x{END}",
    ERRORS: f"0+1x{END}",
    QUEUE: " ".join(["0", "7"] * (END // 2)),
    'aiagent_queue_depth{pod="b"}': f"0x{END}",
    EXPOSED: f"0x{END}",
    LOCAL: f"1x{END}",
    'aiagent_archive_store_ready{pod="a",store="vault"}': f"1x{END}",
    JOURNALS: " ".join(["0", "3", "1"] * (END // 3)),
    FORKED: f"0x{END}",
    'aiagent_journal_found_total{pod="a",outcome="Recovered"}': f"0x{END}",
    ALTERED: f"0x{END}",
    UNKNOWN: f"0x{END}",
    'aiagent_archives{pod="a",found="Whole"}': f"40x{END}",
    'aiagent_archives{pod="a",found="Abandoned"}': f"2x{END}",
}


def then(well: str, wrong: str) -> str:
    """Values that are wrong meanwhile."""
    return f"{well}x{WELL - 1} {wrong}x{WRONG - WELL - 1} {well}x{END - WRONG}"


@dataclass(frozen=True)
class Wrong:
    """What is wrong, and after how many minutes of that the alert fires; it ends so long after it is right again."""

    alert: str
    series: Mapping[str, str]
    after: int
    ends: int = 0
    labels: Mapping[str, str] = field(default_factory=dict)
    value: str = "1"


# Of a target that is gone Prometheus notes that at once.
GONE = f"1x{WELL - 1} stale _x{WRONG - WELL - 2} 1x{END - WRONG}"
WRONGS = {
    "no replica runs": Wrong("AIAgentOperatorNotWorking", dict.fromkeys(LEADS, GONE), 10),
    "none leads": Wrong("AIAgentOperatorNotWorking", {LEADS[0]: then("1", "0")}, 10),
    "the leader does not know the cluster": Wrong("AIAgentOperatorNotWorking", {LEADS[1]: then("1", "0")}, 10),
    "one pass in ten fails": Wrong(
        "AIAgentPassesFailing",
        {PASSES: f"0+9x{END}", ERRORS: f"0x{WELL - 1} 0+1x{WRONG - WELL - 1} {WRONG - WELL}x{END - WRONG}"},
        # Half of the window of ten minutes has to have failures before they are more than one in twenty.
        30 + 5,
        5,
    ),
    "the queue is never empty": Wrong("AIAgentQueueNotDrained", {QUEUE: then("0", "41")}, 30, value="41"),
    "somebody may act as two": Wrong("AIAgentIdentityExposed", {EXPOSED: then("0", "2")}, 15, value="2"),
    "a store is away": Wrong(
        "AIAgentArchiveStoreNotReady", {LOCAL: then("1", "0")}, 15, labels={"store": "local"}, value="0"
    ),
    "journals wait": Wrong("AIAgentJournalsWaiting", {JOURNALS: then("0", "12")}, 30, value="12"),
    "a journal was forked": Wrong(
        "AIAgentJournalContradicted",
        {FORKED: f"0x{WELL - 1} 1x{END - WELL}"},
        0,
        # It tells of what has happened, and no more once that is an hour ago.
        WELL + 60 - WRONG,
        labels={"outcome": "Forked"},
    ),
    "an archive is altered": Wrong("AIAgentArchiveAltered", {ALTERED: then("0", "1")}, 5),
    "archives are unread for hours": Wrong("AIAgentArchiveUnread", {UNKNOWN: then("0", "3")}, 360, value="3"),
}


@pytest.fixture(scope="module")
def promtool() -> Path:
    """The program that comes with Prometheus, and evaluates as it does."""
    try:
        return program("promtool")
    except NoPrometheusError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="module")
def rules(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The rules of the chart's PrometheusRule, in a file."""
    values = {"metrics": {"prometheusRule": {"enabled": True}}}
    (found,) = (each for each in chart.render(values) if each["kind"] == "PrometheusRule")
    path = tmp_path_factory.mktemp("alerts") / "rules.yaml"
    path.write_text(yaml.safe_dump(found["spec"]))
    return path


@pytest.fixture(scope="module")
def alerts(rules: Path) -> dict[str, dict[str, Any]]:
    """The alerts by name."""
    (group,) = yaml.safe_load(rules.read_text())["groups"]
    return {each["alert"]: each for each in group["rules"]}


def run(promtool: Path, *arguments: str | Path) -> str:
    """What it says; fails where it finds something wrong."""
    done = subprocess.run([promtool, *arguments], capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    return done.stdout


def fired(alert: Mapping[str, Any], wrong: Wrong) -> dict[str, Any]:
    """The alert as its receiver gets it."""

    def said(text: str) -> str:
        for name, value in {"$value": wrong.value, **{f"$labels.{k}": v for k, v in wrong.labels.items()}}.items():
            text = text.replace(f"{{{{ {name} }}}}", value)
        assert "{{" not in text, f"{wrong.alert} has no {text}"
        return text

    told = {name: said(text) for name, text in alert["annotations"].items()}
    return {"exp_labels": {**alert["labels"], **wrong.labels}, "exp_annotations": told}


def evaluated(promtool: Path, rules: Path, series: Mapping[str, str], expected: list[dict[str, Any]]) -> None:
    """Has the rules evaluated each minute over the series; fails where an alert is not as expected."""
    inputs = [{"series": name, "values": values} for name, values in series.items()]
    test = {"interval": "1m", "input_series": inputs, "alert_rule_test": expected}
    path = rules.parent / "test.yaml"
    path.write_text(yaml.safe_dump({"rule_files": [str(rules)], "evaluation_interval": "1m", "tests": [test]}))
    run(promtool, "test", "rules", path)


def at(minute: int, name: str, *fires: dict[str, Any]) -> dict[str, Any]:
    return {"eval_time": f"{minute}m", "alertname": name, "exp_alerts": list(fires)}


def test_prometheus_reads_the_rules(promtool: Path, rules: Path, alerts: dict[str, Any]) -> None:
    assert f"SUCCESS: {len(alerts)} rules found" in run(promtool, "check", "rules", "--lint-fatal", rules)


def test_nothing_fires_while_all_is_well(promtool: Path, rules: Path, alerts: dict[str, Any]) -> None:
    quiet = [at(minute, name) for name in alerts for minute in range(0, END, 15)]
    evaluated(promtool, rules, HEALTHY, quiet)


def test_each_alert_has_a_case(alerts: dict[str, Any]) -> None:
    assert {wrong.alert for wrong in WRONGS.values()} == alerts.keys()


@pytest.mark.parametrize("what", WRONGS)
def test_it_fires_when_it_should_and_ends(
    what: str, promtool: Path, rules: Path, alerts: dict[str, dict[str, Any]]
) -> None:
    wrong = WRONGS[what]
    name, alert = wrong.alert, fired(alerts[wrong.alert], wrong)
    begins, ends = WELL + wrong.after, WRONG + wrong.ends
    others = [at(minute, other) for other in alerts.keys() - {name} for minute in range(0, END, 30)]
    silent = [at(minute, name) for minute in (WELL - 1, begins - NEARLY, ends + NEARLY, END)]
    firing = [at(minute, name, alert) for minute in (begins + NEARLY, ends - NEARLY)]
    evaluated(promtool, rules, {**HEALTHY, **wrong.series}, [*others, *silent, *firing])
