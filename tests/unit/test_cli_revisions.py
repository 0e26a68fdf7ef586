"""What the commands about revisions print: lists, differences, and how far a rollout is."""

import json
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from aiagent_operator.api.conditions import Reason
from aiagent_operator.cli import difference, output, sections
from aiagent_operator.cli.difference import Side
from aiagent_operator.cli.errors import CliError
from aiagent_operator.cli.history import details, table
from aiagent_operator.cli.revisions import Standing, model, pick
from aiagent_operator.cli.rollout import Pods, Progress, progress

Object = dict[str, Any]
DIGEST = "sha256:" + "0123456789abcdef" * 4


def template(image: str = "agent:1", **container: Any) -> Object:
    return {"spec": {"containers": [{"name": "app", "image": image, **container}]}}


def record(number: int, state: str = "Superseded", message: str = "", **work: Any) -> Object:
    body = {
        "template": json.dumps(template()),
        "images": [{"container": "app", "image": "agent:1"}, {"container": "proxy", "image": "proxy:2"}],
        "handbook": {"configMap": "aiagent.triage.0123456789", "digest": DIGEST},
        "digest": DIGEST,
        **work,
    }
    return {
        "metadata": {"name": f"triage-{number}", "namespace": "home", "creationTimestamp": None},
        "spec": {"number": number, "trigger": "SpecChanged", "work": body},
        "status": {"state": state} | ({"message": message} if message else {}),
    }


def agent(
    *, work: tuple[str, Reason, str] = ("True", Reason.AVAILABLE, "fine"), ready: Reason = Reason.ONBOARDED, **spec: Any
) -> Object:
    names = ("stable", "rollingOut", "heldBack", "candidate", "rejected")
    revision = {key: spec.pop(key) for key in names if key in spec}
    rollout = spec.pop("rollout", None)
    seen, deleted = spec.pop("seen", 3), spec.pop("deleted", None)
    conditions = [
        {"type": "Ready", "status": str(ready is Reason.ONBOARDED), "reason": ready.value, "message": "because"},
        {"type": "WorkloadReady", "status": work[0], "reason": work[1].value, "message": work[2]},
    ]
    if "candidate" in revision or "rejected" in revision:
        conditions.append({"type": "RevisionAccepted", "status": "False", "reason": ready.value, "message": "because"})
    metadata = {"name": "triage", "namespace": "home", "generation": 3}
    return {
        "metadata": metadata | ({"deletionTimestamp": deleted} if deleted else {}),
        "spec": {"workload": {"template": template(), **spec}},
        "status": {
            "observedGeneration": seen, "revision": revision, "conditions": conditions, "replicas": 2,
            "readyReplicas": 1, **({"rollout": rollout} if rollout else {}),
        },
    }  # fmt: skip


# history --------------------------------------------------------------------------------------------------------------


def test_history_says_of_each_what_it_is_now() -> None:
    records = [record(4, "RolledBack"), record(3, "RollingOut"), record(2, "Stable"), record(1)]
    headers, rows = table(agent(stable=2, rollingOut=3, heldBack=4), records, wide=False)
    assert headers == ("REVISION", "STATE", "NOW", "TRIGGER", "MODEL", "AGE")
    assert [(row[0], row[1], row[2]) for row in rows] == [
        (4, "RolledBack", "is held back"),
        (3, "RollingOut", "takes over"),
        (2, "Stable", "serves"),
        (1, "Superseded", ""),
    ]


def test_a_wide_history_has_images_handbook_and_why() -> None:
    found = record(1, "Stable", "Serves by order", model={"provider": "openai", "name": "gpt", "version": "5"})
    headers, (row,) = table(agent(stable=1), [found], wide=True)
    cells = dict(zip(headers, row, strict=True))
    assert cells["IMAGES"] == "agent:1,proxy:2"
    assert cells["MODEL"] == "openai/gpt@5"
    assert cells["HANDBOOK"] == "0123456789"
    assert cells["WHY"] == "Serves by order"


def test_a_trained_revision_is_what_its_training_made_of_it() -> None:
    before = record(1, "Stable", model={"provider": "in-house", "name": "triage"})
    after = record(2, model={"provider": "in-house", "name": "triage"})
    assert difference.work(before) == difference.work(after)
    handbook = {"configMap": "aiagent.triage.9876543210", "digest": f"sha256:{'98' * 32}"}
    made = {"template": json.dumps(template()), "images": [{"container": "app", "image": "agent:2"}]}
    after["status"]["work"] = made | {"handbook": handbook, "digest": DIGEST}
    after["status"]["result"] = {"model": {"provider": "in-house", "name": "triage", "version": "7"}}
    headers, (row,) = table(agent(stable=1, rollingOut=2), [after], wide=True)
    cells = dict(zip(headers, row, strict=True))
    assert (cells["IMAGES"], cells["MODEL"], cells["HANDBOOK"]) == ("agent:2", "in-house/triage@7", "9898989898")
    assert "version: '7'" in difference.work(after)
    # While it trains it is what was asked for, and a result without a work has been refused.
    del after["status"]["work"]
    assert difference.work(before) == difference.work(after)


def test_of_one_revision_all_is_told_that_its_training_has_left() -> None:
    found = record(3, "Stable", "Serves since its rollout", model={"provider": "in-house", "name": "triage"})
    found["spec"] |= {"trigger": "Retrain", "order": {"name": "again", "uid": "u"}, "parent": 2}
    found["status"] |= {
        "completionTime": "2026-11-22T10:00:00Z",
        "result": {"artifact": "s3://models/7", "kind": "Accuracy", "metrics": {"tickets": "12", "accuracy": "0.91"}},
    }
    said = dict(details(agent(stable=3), found))
    assert said == {
        "Revision": "3",
        "State": "Stable, serves",
        "Why": "Serves since its rollout",
        "Trigger": "Retrain, by AgentAction again",
        "Parent": "2",
        "Trained": "2026-11-22T10:00:00Z",
        "Images": "app=agent:1, proxy=proxy:2",
        "Model": "in-house/triage",
        "Artifact": "s3://models/7",
        "Handbook": DIGEST,
        "Kind": "Accuracy",
        "Metrics": "accuracy 0.91, tickets 12",
    }
    plainly = dict(details(agent(stable=1), record(2)))
    assert plainly.keys() == {"Revision", "State", "Trigger", "Images", "Handbook"}


def test_the_first_revision_takes_over_from_nobody() -> None:
    assert str(Standing.of(agent(rollingOut=1))) == "1 starts"
    assert str(Standing.of(agent(stable=1, rollingOut=2))) == "1 serves, 2 takes over"
    assert str(Standing.of(agent(stable=1, heldBack=2))) == "1 serves, 2 is held back"
    assert str(Standing.of(agent(stable=1, candidate=2))) == "1 serves, 2 is evaluated"
    waits = agent(stable=1, candidate=2)
    waits["status"]["conditions"] = [{"type": "RevisionAccepted", "status": "Unknown", "reason": "HeldByFinding"}]
    assert str(Standing.of(waits)) == "1 serves, 2 waits for a person"
    assert str(Standing.of(agent(stable=1, rejected=2))) == "1 serves, 2 is rejected"
    assert str(Standing.of({"status": {}})) == str(Standing.of({})) == ""


def test_a_model_without_a_version_is_provider_and_name() -> None:
    assert model({"model": {"provider": "a", "name": "b"}}) == "a/b"
    assert model({}) == ""


def test_a_number_that_is_not_kept_is_said_with_those_that_are() -> None:
    records = [record(4), record(3)]
    assert pick(records, 3, agent()) is records[1]
    with pytest.raises(CliError, match=r"AIAgent home/triage has no revision 7: name one of 4, 3; .*HistoryLimit"):
        pick(records, 7, agent())
    with pytest.raises(CliError, match="none is recorded yet"):
        pick([], 1, agent())


# diff -----------------------------------------------------------------------------------------------------------------


def lines(old: Object, new: Object) -> list[str]:
    return [line.text for line in difference.unified(Side("a", old), Side("b", new))]


def test_a_change_of_one_line_of_a_script_is_one_line_of_the_difference() -> None:
    script = "set -e\nfirst\nsecond\nthird\n"
    old = record(1, template=json.dumps(template(command=["sh", "-c", script])))
    new = record(2, template=json.dumps(template(command=["sh", "-c", script.replace("second", "2nd")])))
    found = lines({"work.yaml": difference.work(old)}, {"work.yaml": difference.work(new)})
    assert found[:2] == ["--- a/work.yaml", "+++ b/work.yaml"]
    changed = [line.replace(" ", "") for line in found[2:] if line[0] in "+-"]
    assert changed == ["-second", "+2nd"]


def test_the_work_is_canonical_and_says_each_thing_once() -> None:
    one = record(1, template='{"b": 1, "a": {"y": "2", "x": null}}', model={"name": "m", "provider": "p"})
    two = record(2, template='{"a": {"x": null, "y": "2"}, "b": 1}', model={"provider": "p", "name": "m"})
    assert difference.work(one) == difference.work(two)
    assert yaml.safe_load(difference.work(one)) == {
        "model": {"name": "m", "provider": "p"},
        "template": {"b": 1, "a": {"y": "2", "x": None}},
    }
    adopted = record(3)
    del adopted["spec"]["work"]["template"]
    assert yaml.safe_load(difference.work(adopted)) == {"images": {"app": "agent:1", "proxy": "proxy:2"}}


def test_handbooks_are_compared_value_by_value_and_a_file_that_only_one_has_as_a_whole() -> None:
    old = difference.handbook({"handbook.json": '{"purpose":"a","rules":[]}', "instructions.md": "Be kind.\nBe fast."})
    new = difference.handbook({"handbook.json": '{"rules":[],"purpose":"b"}'})
    assert lines(old, new) == [
        "--- a/handbook.json", "+++ b/handbook.json", "@@ -1,4 +1,4 @@", " {", '-  "purpose": "a",',
        '+  "purpose": "b",', '   "rules": []', " }",
        "--- a/instructions.md", "+++ /dev/null", "@@ -1,2 +0,0 @@", "-Be kind.", "-Be fast.",
    ]  # fmt: skip
    assert difference.handbook({"handbook.json": "{"}) == {"handbook.json": "{"}


def test_the_work_comes_first_and_only_names_of_files_are_headers() -> None:
    found = list(
        difference.unified(Side("a", {"a.md": "-- x", "work.yaml": "1\n"}), Side("b", {"a.md": "", "work.yaml": "2\n"}))
    )
    assert [(line.text, line.mark) for line in found if not line.mark or "x" in line.text] == [
        ("--- a/work.yaml", ""), ("+++ b/work.yaml", ""), ("--- a/a.md", ""), ("+++ b/a.md", ""), ("--- x", "-"),
    ]  # fmt: skip


TEXTS = st.lists(st.text(st.characters(codec="utf-8", exclude_characters="\n"), max_size=4), max_size=6).map("\n".join)


@given(st.dictionaries(st.sampled_from(["a.md", "work.yaml", "c"]), TEXTS), st.data())
def test_there_is_a_difference_exactly_where_lines_differ(old: dict[str, str], data: st.DataObject) -> None:
    new = data.draw(st.just(old) | st.dictionaries(st.sampled_from(["a.md", "work.yaml", "c"]), TEXTS))

    def content(files: dict[str, str]) -> dict[str, list[str]]:
        return {name: text.removesuffix("\n").split("\n") for name, text in files.items() if text}

    found = list(difference.unified(Side("a", old), Side("b", new)))
    assert bool(found) is (content(old) != content(new))
    removed = [line.text[1:] for line in found if line.mark == "-"]
    assert all(any(text in lines for lines in content(old).values()) for text in removed)


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.text(), lambda x: st.dictionaries(st.text(), x)))
def test_canonical_yaml_loses_nothing(value: Any) -> None:
    assert yaml.safe_load(difference.work(record(1, template=json.dumps(value)))) == {"template": value}


def test_what_stands_in_a_difference_is_shown_and_does_not_steer_the_terminal(
    capsys: pytest.CaptureFixture[str],
) -> None:
    output.verbatim("+  a\tb  \x1b[2J\r\u202e[bold] é")
    assert capsys.readouterr().out == "+  a\tb  \\x1b[2J\\r\\u202e[bold] é\n"


# rollout status -------------------------------------------------------------------------------------------------------

WAITS = ("False", Reason.PROGRESSING, "Waiting for pods: revision 2 takes over with 1 of 2 pods ready")


def test_it_is_done_when_what_is_asked_for_serves() -> None:
    assert progress(agent(stable=2), {2: Pods(2, 2)}) == Progress(("Revision 2 serves: 2 of 2 pods ready",), done=True)


def test_work_is_done_where_only_a_right_is_refused() -> None:
    assert progress(agent(stable=2, ready=Reason.BEYOND_ROLE_CEILING), {2: Pods(2, 2)}).done


@pytest.mark.parametrize(
    ("facts", "pods", "lines"),
    [
        ({"seen": 2, "stable": 1}, {1: Pods(1, 1)}, ["Waiting for the operator to act on the present spec"]),
        ({"seen": None}, {}, ["Waiting for the operator to act on the present spec"]),
        (
            {"stable": 1, "rollingOut": 2, "work": WAITS, "ready": Reason.PROGRESSING, "replicas": 2},
            {1: Pods(1, 1), 2: Pods(1, 0)},
            ["Revision 1 serves: 1 of 1 pods ready", "Revision 2 takes over: 0 of 2 pods ready"],
        ),
        (
            {"rollingOut": 1, "work": ("False", Reason.PODS_FAILING, "ImagePullBackOff"), "ready": Reason.PODS_FAILING},
            {1: Pods(1, 0)},
            ["Revision 1 starts: 0 of 1 pods ready", "ImagePullBackOff"],
        ),
        # The pods cannot be read: the conditions say how many there are.
        (
            {"stable": 1, "rollingOut": 2, "work": WAITS, "ready": Reason.PROGRESSING},
            None,
            ["Revision 1 serves", "Revision 2 takes over", WAITS[2]],
        ),
        # Something is still to be written, though the work is as it should be.
        (
            {"stable": 1, "ready": Reason.ONBOARDING},
            {1: Pods(1, 1)},
            ["Revision 1 serves: 1 of 1 pods ready", "because"],
        ),
        (
            {"stable": 1, "work": ("False", Reason.SUSPENDED, "No pods run"), "ready": Reason.SUSPENDED},
            {1: Pods(0, 0)},
            ["Revision 1 serves: 0 of 0 pods ready", "No pods run"],
        ),
        ({"work": ("False", Reason.ROLE_NOT_FOUND, "no role"), "ready": Reason.ROLE_NOT_FOUND}, {}, ["no role"]),
    ],
)  # fmt: skip
def test_it_is_not_done_and_says_why(facts: Object, pods: dict[int, Pods] | None, lines: list[str]) -> None:
    assert progress(agent(**facts), pods) == Progress(tuple(lines))


PAUSED = ("False", Reason.ROLLOUT_PAUSED, "Step 1 of triage-2 pauses for a person")
STEP = {"revision": 2, "step": 1, "steps": 3, "weight": 20, "waitsFor": "Person"}


def test_steps_are_told_with_what_they_wait_for() -> None:
    paused = {"stable": 1, "rollingOut": 2, "work": PAUSED, "ready": Reason.ROLLOUT_PAUSED}
    pods = {1: Pods(8, 8), 2: Pods(2, 2)}
    found = progress(agent(**paused, rollout=STEP), pods)
    assert found == Progress(
        (
            "Revision 1 serves: 8 of 8 pods ready",
            "Revision 2 takes over: 2 of 2 pods ready",
            "1 of 3 steps are over, 20 % is in effect, and it waits for Person",
            PAUSED[2],
        )
    )
    full = progress(agent(**paused, rollout={**STEP, "full": True}), pods)
    assert "All steps are passed over" in full.lines[2]
    aborted = progress(agent(**paused, rollout={**STEP, "abortedAt": "x", "reason": "AgentAction stop"}), pods)
    assert aborted.lines[2] == "Revision 2 is given up: AgentAction stop"
    # What is left of another rollout, such as orders, says nothing of this one.
    assert progress(agent(**paused, rollout={**STEP, "revision": 7}), pods).lines[2] == PAUSED[2]


def test_a_rejected_revision_is_not_waited_for() -> None:
    found = progress(agent(stable=1, rejected=2, ready=Reason.REVISION_REJECTED), {1: Pods(1, 1)})
    assert (found.done, found.over, found.lines[-1]) == (False, True, "because")


@pytest.mark.parametrize(
    ("reason", "over"),
    [(Reason.EVALUATING, False), (Reason.EVALUATION_FAILED, True), (Reason.EVALUATION_INCONCLUSIVE, True)],
)
def test_what_is_evaluated_is_waited_for_and_what_is_rejected_is_not(reason: Reason, over: bool) -> None:
    standing = {"rejected": 2} if reason is Reason.EVALUATION_FAILED else {"candidate": 2}
    found = progress(agent(stable=1, ready=reason, **standing), {1: Pods(1, 1)})
    assert found == Progress(("Revision 1 serves: 1 of 1 pods ready", "because"), over=over)


def test_waiting_does_not_release_what_is_held_back() -> None:
    found = progress(agent(stable=1, heldBack=2), {1: Pods(1, 1)})
    assert (found.done, found.over) == (False, True)
    assert "kubectl aiagent rollback triage --to-revision 2" in found.lines[-1]


def test_an_agent_that_is_deleted_is_not_waited_for() -> None:
    found = progress(agent(stable=1, deleted="2026-01-01T00:00:00Z"), {1: Pods(1, 1)})
    assert found == Progress(("AIAgent home/triage is being deleted",), over=True)


def test_an_adopted_workload_is_counted_as_one() -> None:
    assert progress(agent(stable=1), None).lines == ("Revision 1 serves: 1 of 2 pods ready",)


# describe -------------------------------------------------------------------------------------------------------------


def test_the_deployments_of_the_revisions_are_named(capsys: pytest.CaptureFixture[str]) -> None:
    for facts, words in (
        ({"stable": 1}, "Runs as: Deployment triage-1, from the template"),
        ({"stable": 1, "rollingOut": 2}, "Runs as: Deployments triage-1 and triage-2, from the template"),
        ({}, "Runs as: nothing yet"),
    ):
        sections.details({**agent(**facts), "spec": {"workload": {"template": {}}}}, wide=False)
        assert words in " ".join(capsys.readouterr().out.split())


def test_describe_says_what_training_waits_for_and_which_policy_suspends(capsys: pytest.CaptureFixture[str]) -> None:
    found = agent(stable=1)
    sections.details({**found, "spec": {"workload": {"template": {}}}}, wide=False)
    assert "Training:" not in capsys.readouterr().out
    found["status"]["training"] = {
        "due": "2026-01-02T00:00:00Z",
        "maxAge": {"value": "720h", "policies": ["corp"]},
        "waitsFor": {"reason": "Window", "message": "nights", "until": "2026-01-02T22:00:00Z"},
        "suspendedBy": ["corp"],
        "policies": ["corp", "gdpr"],
    }
    sections.details({**found, "spec": {"workload": {"template": {}}}}, wide=False)
    text = " ".join(capsys.readouterr().out.split())
    for words in (
        "Suspended: yes, by AgentPolicy corp",
        "Training: Due: 2026-01-02T00:00:00Z At most: 720h old, says corp",
        "Waits for: Window, until 2026-01-02T22:00:00Z: nights Policies: corp, gdpr",
    ):
        assert words in text
