"""A policy that cannot be read holds trainings back and says why; what can be read of it holds."""

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiagent_operator.api.agentpolicy import AgentPolicyStatus
from aiagent_operator.api.conditions import Reason, Type
from aiagent_operator.core.policies.compiled import CompiledPolicy, Freshness, Subject
from aiagent_operator.core.policies.report import report
from support.policies import NIGHTS, SUBJECT, YEAR_END, merged, policy, specs

HOUR = timedelta(hours=1)
OTHER = Subject("triage", {}, {"kubernetes.io/metadata.name": "hr"})


def test_a_policy_is_read() -> None:
    found = policy(
        windows=[NIGHTS, YEAR_END],
        maxConcurrent=3,
        maxAge="720h",
        overdue={"grace": "48h", "action": "Suspend"},
        requiredEvaluations=[{"name": "safety"}],
        revisionHistoryLimit=5,
    )
    assert found.problem == ""
    assert [window.name for window in found.windows.windows] == ["nights", "year-end"]
    assert found.freshness == Freshness(720 * HOUR, 48 * HOUR, suspends=True)
    assert (found.most, found.evaluations, found.history) == (3, {"safety"}, 5)


@pytest.mark.parametrize(
    ("overdue", "expected"),
    [
        (None, Freshness(720 * HOUR, timedelta(), suspends=False)),
        ({"grace": "1h"}, Freshness(720 * HOUR, HOUR, suspends=False)),
        ({"grace": "1h", "action": "Suspend"}, Freshness(720 * HOUR, HOUR, suspends=True)),
    ],
)
def test_without_an_action_it_is_announced(overdue: dict[str, str] | None, expected: Freshness) -> None:
    given = {"maxAge": "720h"} | ({"overdue": overdue} if overdue else {})
    assert policy(**given).freshness == expected


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"windows": [{**NIGHTS, "schedule": "0 25 * * *"}]}, 'spec.windows[nights].schedule "0 25 * * *": hour'),
        ({"windows": [{**NIGHTS, "schedule": "0 0 30 2 *"}]}, "never runs"),
        ({"windows": [{**NIGHTS, "timeZone": "Mars/Olympus"}]}, 'spec.windows[nights].timeZone "Mars/Olympus"'),
        ({"windows": [{**NIGHTS, "duration": "9000h"}]}, 'spec.windows[nights].duration "9000h" is too long'),
        ({"windows": [{**NIGHTS, "kind": "Pause"}]}, "windows.0.kind"),
        ({"windows": "nights"}, "windows: "),
        ({"maxConcurrent": 0}, "maxConcurrent"),
        ({"maxAge": "30d"}, "maxAge"),
        ({"maxAge": "90000h"}, 'spec.maxAge "90000h" is too long'),
        ({"maxAge": "0s"}, 'spec.maxAge "0s" is too short'),
        ({"maxAge": "720h", "overdue": {"grace": "1h", "action": "LowerAutonomy"}}, "overdue.action"),
        ({"maxAge": "720h", "overdue": {"grace": "90000h", "action": "Suspend"}}, "spec.overdue.grace"),
        ({"overdue": {"grace": "1h"}}, "give spec.maxAge too"),
        ({"revisionHistoryLimit": -1}, "revisionHistoryLimit"),
        ({"requiredEvaluations": ["safety"]}, "requiredEvaluations.0"),
        ({"description": None}, "description"),
        ({"selector": None}, "selector"),
        ({"selector": {"agentSelector": {"matchExpressions": [{"key": "a", "operator": "Like"}]}}}, "operator"),
        (
            {"selector": {"agentSelector": {"matchExpressions": [{"key": "a", "operator": "In"}]}}},
            "spec.selector.agentSelector.matchExpressions[a] has operator In and 0 values",
        ),
        (
            {
                "selector": {
                    "agentSelector": {"matchExpressions": [{"key": "a", "operator": "Exists", "values": ["b"]}]}
                }
            },
            "has operator Exists and 1 values",
        ),
    ],
)
def test_what_cannot_be_read_is_named_and_holds_everything_back(fields: dict[str, Any], named: str) -> None:
    found = policy(**fields)
    assert named in found.problem
    assert found.scope.covers(SUBJECT)
    together = merged(found)
    assert not together.readable
    assert str(together.broken[0]).startswith('AgentPolicy "corp" cannot be read')
    assert together.suspends is None, "what cannot be read takes no rights away"


@pytest.mark.parametrize("spec", [None, [], "x", {}, {"selector": {}}, {"description": "Rules"}])
def test_what_is_no_spec_at_all_is_about_everybody(spec: Any) -> None:
    found = CompiledPolicy.of("corp", spec)
    assert found.problem
    assert found.scope.covers(SUBJECT)


def test_only_names_on_the_wire_count() -> None:
    found = policy(max_age="30d", selector={"agent_selector": "gold"}, windows=[{**NIGHTS, "time_zone": 7}])
    assert found.problem == ""
    assert found.freshness is None
    assert found.scope.covers(SUBJECT)


def test_the_other_windows_still_hold() -> None:
    wrong = {**NIGHTS, "name": "wrong", "schedule": "never"}
    unknown = {**NIGHTS, "name": "unknown", "kind": "Pause"}
    found = policy(windows=[wrong, YEAR_END, unknown])
    assert [window.name for window in found.windows.windows] == ["year-end"]
    assert "spec.windows[wrong].schedule" in found.problem
    assert "windows.2.kind" in found.problem


def test_an_agent_stays_suspended_where_a_window_is_mistyped() -> None:
    found = policy(maxAge="720h", overdue={"grace": "1h", "action": "Suspend"}, windows=[{**NIGHTS, "kind": "Pause"}])
    together = merged(found)
    assert together.suspends is not None
    assert together.suspends.value == 721 * HOUR
    assert not together.readable


@pytest.mark.parametrize(
    "part",
    [
        {"agentSelector": {"matchExpressions": [{"key": "a", "operator": "Like"}]}},
        {"agentSelector": {"matchExpressions": [{"key": "a", "operator": "In"}]}},
        {"agentSelector": "gold"},
        {"roles": ["Not A Name", 7]},
    ],
)
def test_of_a_selector_the_part_that_can_be_read_still_selects(part: dict[str, Any]) -> None:
    """One team's mistake holds that team, not the company."""
    own = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "crm"}}}
    found = policy(selector=own | part)
    assert found.problem
    assert found.scope.covers(SUBJECT)
    assert not found.scope.covers(OTHER)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8) | st.sampled_from(("720h", "Allow", "* * * * *")),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)


@given(specs(), st.data())
def test_nothing_that_stands_in_a_policy_crashes_or_loosens_the_rest(spec: dict[str, Any], data: st.DataObject) -> None:
    """One field is replaced by anything. The others count as before, and the agents stay selected."""
    field = data.draw(st.sampled_from(sorted({*spec, "overdue", "windows", "future"})))
    before, after = CompiledPolicy.of("corp", spec), CompiledPolicy.of("corp", spec | {field: data.draw(JSON)})
    assert after.scope.covers(SUBJECT)
    if field != "maxConcurrent":
        assert after.most == before.most
    if field != "requiredEvaluations":
        assert after.evaluations == before.evaluations
    if field != "revisionHistoryLimit":
        assert after.history == before.history
    if field not in ("maxAge", "overdue"):
        assert after.freshness == before.freshness
    if field != "windows":
        assert after.windows == before.windows
        assert after.problem or not before.problem


def test_many_mistakes_are_not_all_told() -> None:
    """The text stands in the status of each agent that the policy selects."""
    found = policy(windows=[{**NIGHTS, "name": f"w{number}", "timeZone": "M" * 64} for number in range(32)])
    assert found.problem.endswith(" and 27 more")
    assert len(found.problem) < 2000


def test_the_report_of_a_policy() -> None:
    found = report(policy(), 12, 3, 1)
    assert found.status == {"agents": 12, "training": 3, "overdue": 1}
    AgentPolicyStatus.model_validate(found.status)
    assert [(v.type, v.status, v.reason) for v in found.verdicts] == [(Type.READY, True, Reason.ACCEPTED)]
    broken = report(policy(maxAge="90000h"), 12, 0, 0)
    assert [(v.type, v.status, v.reason) for v in broken.verdicts] == [
        (Type.READY, False, Reason.INVALID_SPEC),
        (Type.STALLED, True, Reason.INVALID_SPEC),
    ]
    assert (
        'spec.maxAge "90000h" is too long: write at most 87600h. Until then no training' in broken.verdicts[0].message
    )
