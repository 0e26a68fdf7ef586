"""What a Job leaves and what Prometheus answers, and the measurement that becomes of it."""

from __future__ import annotations

import datetime as dt
import json
import re
from decimal import Decimal
from typing import Any

import pytest

from aiagent_operator.api.agentevaluation import AgentEvaluationStatus, Group, Measurement, Phase
from aiagent_operator.api.evaluation import Metric
from aiagent_operator.core.evaluation import measure, result
from aiagent_operator.core.evaluation.answer import AnswerError, number, read
from aiagent_operator.core.strict_json import StrictJsonError, unfit

NOW = dt.datetime(2026, 3, 1, 12, 0, 0, 999_999, tzinfo=dt.UTC)
INF = Decimal("Infinity")


def metric(**fields: Any) -> Metric:
    return Metric.model_validate({"name": "accuracy", **fields})


def leaves(*measurements: dict[str, Any], **others: Any) -> str:
    return json.dumps({"measurements": list(measurements), **others})


ONE = {"name": "accuracy", "value": "0.91"}

# Results of Jobs ------------------------------------------------------------------------------------------------------


def test_a_result_as_the_sample_writes_it() -> None:
    found = result.read(
        leaves(
            {"name": "demographic-parity-difference", "value": "0.0312"},
            {"name": "accuracy", "value": 0.1, "stableValue": "0.30"},
            groups=[
                {"name": "EMEA", "tickets": "120", "accuracy": "0.9130", "escalation-rate": "1e-2"},
                {"name": "Zürich", "tickets": 31},
            ],
            notes="Model 3 on\n151 held-out tickets.",
        )
    )
    assert found.measurements["accuracy"] == result.Measured(Decimal("0.1"), Decimal("0.30"))
    assert found.measurements["demographic-parity-difference"].stable is None
    assert found.groups == (
        Group(name="EMEA", values={"tickets": "120", "accuracy": "0.9130", "escalation-rate": "0.01"}),
        Group(name="Zürich", values={"tickets": "31"}),
    )
    assert found.notes == "Model 3 on 151 held-out tickets."
    AgentEvaluationStatus(groups=found.groups, notes=found.notes)


OF_JOBS = {
    "no JSON": ("done", "the Job's result is not JSON"),
    "nothing": ("", "the Job's result is empty: write one JSON object"),
    "no measurements": ('{"accuracy": "0.91"}', 'has no measurements: write {"measurements": [{"name"'),
    "an empty list": (leaves(), "has no measurements"),
    "an object": ('{"measurements": {"accuracy": "0.91"}}', "has measurements that are an object: write a list"),
    "a bare number": ('{"measurements": [0.91]}', "measurements[0] is a number: write an object with a name"),
    "no name": (leaves({"value": "1"}), "measurements[0].name is not a string of 1 to 63 characters"),
    "an empty name": (leaves({"name": "", "value": "1"}), "measurements[0].name is not a string"),
    "a padded name": (leaves({"name": "a ", "value": "1"}), "measurements[0].name is not a string"),
    "a name of lines": (leaves({"name": "a\nb", "value": "1"}), "measurements[0].name is not a string"),
    "a long name": (leaves({"name": "a" * 64, "value": "1"}), "measurements[0].name is not a string"),
    "a name twice": (leaves(ONE, ONE), 'has two measurements named "accuracy": write each once'),
    "no value": (leaves(ONE, {"name": "f1"}), "measurements[1] has no value"),
    "a null": (leaves({"name": "a", "value": None}), "measurements[0].value is null: write a decimal number"),
    "a truth": (leaves({"name": "a", "value": True}), "measurements[0].value is true or false"),
    "NaN": ('{"measurements": [{"name": "a", "value": NaN}]}', "has NaN, which is no number in JSON"),
    "NaN as text": (leaves({"name": "a", "value": "NaN"}), 'measurements[0].value is "NaN": write a decimal number'),
    "infinity as text": (leaves({"name": "a", "value": "Infinity"}), 'value is "Infinity"'),
    "a comma": (leaves({"name": "a", "value": "0,91"}), 'value is "0,91"'),
    "other digits": (leaves({"name": "a", "value": "٣"}), "value is"),
    "an underscore": (leaves({"name": "a", "value": "1_000"}), 'value is "1_000"'),
    "a line feed after": (leaves({"name": "a", "value": "1\n"}), "value is"),
    "a huge exponent": (leaves({"name": "a", "value": "1e999"}), "of at most 32 characters"),
    "a long value": (leaves({"name": "a", "value": "1" * 33}), "of at most 32 characters"),
    "a wrong stable value": (leaves({**ONE, "stableValue": "n/a"}), "measurements[0].stableValue is"),
    "an error": ('{"error": "TRIAGE_HELDOUT is missing"}', 'is an error: "TRIAGE_HELDOUT is missing"'),
    "notes as a list": (leaves(ONE, notes=["a"]), "has notes that are a list: write a string"),
    "groups as an object": (leaves(ONE, groups={}), "has groups that are an object: write a list"),
    "a group without values": (leaves(ONE, groups=[{"name": "a"}]), "groups[0] has 0 values: write 1 to 16"),
    "a group of words": (leaves(ONE, groups=[{"name": "a", "x": "many"}]), 'groups[0].x is "many"'),
    "a group twice": (leaves(ONE, groups=[{"name": "a", "x": 1}] * 2), 'has two groups named "a"'),
    "many groups": (leaves(ONE, groups=[{"name": f"g{n}", "x": 1} for n in range(65)]), "65 groups: write at most 64"),
    "many values": (leaves(ONE, groups=[{"name": "a"} | {f"x{n}": 1 for n in range(17)}]), "groups[0] has 17 values"),
    "a long key": (leaves(ONE, groups=[{"name": "a", "x" * 64: 1}]), "write at most 63 characters"),
}  # fmt: skip


@pytest.mark.parametrize(("text", "message"), OF_JOBS.values(), ids=OF_JOBS)
def test_refused_results(text: str, message: str) -> None:
    with pytest.raises(StrictJsonError, match=re.escape(message)) as caught:
        result.read(text)
    assert unfit(str(caught.value)) is None


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('{"error": "TRIAGE_HELDOUT\\nis missing"}', "TRIAGE_HELDOUT is missing"),
        ('{"measurements": [], "notes": "Not met: accuracy."}', "Not met: accuracy."),
        ("Traceback\n  File x\nValueError: \x1b[31mbad\n", "Traceback File x ValueError: \\u001b[31mbad"),
        ("x" * 2000 + "the end", "..." + "x" * 1014 + "the end"),
        ("", ""),
    ],
)
def test_what_a_failed_job_says(text: str, said: str) -> None:
    assert result.complaint(text) == said
    assert len(said) <= 1024


@pytest.mark.parametrize(
    ("fields", "compared", "left", "phase", "message"),
    [
        ({"min": "0.85"}, True, ONE, Phase.SUCCESSFUL, None),
        ({"min": "0.92"}, True, ONE, Phase.FAILED, "0.91 is below min 0.92"),
        ({"maxDecrease": "0.01"}, True, {**ONE, "stableValue": "0.92"}, Phase.SUCCESSFUL, None),
        ({"maxDecrease": "0.01"}, True, {**ONE, "stableValue": "0.93"}, Phase.FAILED, "maxDecrease 0.01 below"),
        ({"maxDecrease": "0.01"}, True, ONE, Phase.ERROR, "the Job's result has no stableValue"),
        ({"maxDecrease": "0.01"}, False, ONE, Phase.SUCCESSFUL, "there is no stable revision to compare with"),
        ({"maxDecrease": "0"}, False, {**ONE, "stableValue": "1"}, Phase.SUCCESSFUL, "there is no stable revision"),
        ({"min": "0.92", "maxDecrease": "0"}, False, ONE, Phase.FAILED, "0.91 is below min 0.92"),
        ({"min": "0"}, True, {"name": "f1", "value": "1"}, Phase.ERROR, "the Job measured no accuracy; it measured f1"),
    ],
)  # fmt: skip
def test_measurements_of_results(
    fields: dict[str, Any], compared: bool, left: dict[str, Any], phase: Phase, message: str | None
) -> None:
    found = measure.of_result(metric(**fields), result.read(leaves(left)), compared=compared, at=NOW)
    assert found.phase is phase
    assert (message or "") in (found.message or "")
    assert bool(message) == bool(found.message)
    assert found.finished_at == "2026-03-01T12:00:00Z"


# Answers of Prometheus ------------------------------------------------------------------------------------------------


def vector(*values: str) -> dict[str, Any]:
    series = [{"metric": {"pod": str(index)}, "value": [1.5, value]} for index, value in enumerate(values)]
    return {"status": "success", "data": {"resultType": "vector", "result": series}}


def data(kind: str, content: Any) -> dict[str, Any]:
    return {"status": "success", "data": {"resultType": kind, "result": content}}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("0.25", Decimal("0.25")),
        ("1e-07", Decimal("1e-7")),
        ("-1.7976931348623157e+308", Decimal("-1.7976931348623157e308")),
        ("+Inf", INF),
        ("-Inf", -INF),
    ],
)
def test_numbers_of_answers(text: str, value: Decimal) -> None:
    assert number(read(vector(text))).value == value
    assert number(read(data("scalar", [1.5, text]))).value == value


def test_nan_is_a_number_of_an_answer() -> None:
    assert number(read(vector("NaN"))).value.is_nan()


NO_NUMBERS = {
    "empty": (vector(), "the answer is empty: no series has these labels now"),
    "several": (vector("1", "2"), "the answer has 2 series, not one number: put sum, max or another"),
    "a matrix": (data("matrix", [{"metric": {}, "values": [[1, "1"]]}]), "is a matrix, not one number: leave out"),
    "a string": (data("string", [1.5, "up"]), "is a string, not one number"),
    "a new kind": (data("cube", []), "is a cube, not one number"),
    "a histogram": (data("vector", [{"metric": {}, "histogram": [1, {}]}]), "is a histogram, not one number"),
    "no sample": (data("vector", [{"metric": {}}]), "is no sample, not one number"),
    "a word": (vector("many"), "which is no time and number"),
    "a float of JSON": (data("scalar", [1.5, 2.5]), "which is no time and number"),
    "an odd vector": (data("vector", {"a": 1}), "is a vector, not one number"),
    "a list": ([], "the answer is no object of JSON: is the address that of a Prometheus?"),
    "another API": ({"items": []}, "has no status success with data"),
    "no result": ({"status": "success", "data": {}}, "has no status success with data"),
    "an error": (
        {"status": "error", "errorType": "bad_data", "error": "parse error:\n\x1b unexpected"},
        "Prometheus answers bad_data: parse error: \\u001b unexpected",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("body", "message"), NO_NUMBERS.values(), ids=NO_NUMBERS)
def test_answers_that_are_no_number(body: Any, message: str) -> None:
    with pytest.raises(AnswerError, match=re.escape(message)) as caught:
        number(read(body))
    assert unfit(str(caught.value)) is None


LIVE = metric(query="sum(x{a={{revision}}})", max="0.5")
BESIDE = metric(query="sum(x{a={{revision}}})", maxIncrease="0.1")
OWN = metric(query="x{a={{revision}}} / x{a={{stableRevision}}}", max="1.1")


@pytest.mark.parametrize(
    ("asks", "compared", "questions"),
    [
        (LIVE, True, (True, False)),
        (LIVE, False, (True, False)),
        (BESIDE, True, (True, True)),
        (BESIDE, False, (True, False)),
        (OWN, True, (True, False)),
        (OWN, False, (False, False)),
    ],
)
def test_who_is_asked_about(asks: Metric, compared: bool, questions: tuple[bool, bool]) -> None:
    assert measure.questions(asks, compared=compared) == questions


@pytest.mark.parametrize(
    ("asks", "candidate", "stable", "phase", "message"),
    [
        (LIVE, vector("0.5"), None, Phase.SUCCESSFUL, None),
        (LIVE, vector("0.51"), None, Phase.FAILED, "0.51 is above max 0.5"),
        (LIVE, vector("NaN"), None, Phase.INCONCLUSIVE, "the value is NaN"),
        (LIVE, vector("+Inf"), None, Phase.FAILED, "+Inf is above max 0.5"),
        (LIVE, vector("-Inf"), None, Phase.INCONCLUSIVE, "the value is -Inf: an infinite value keeps no bound"),
        (LIVE, vector(), None, Phase.ERROR, "the answer is empty"),
        (LIVE, "prom did not answer within 30 s", None, Phase.ERROR, "prom did not answer within 30 s"),
        (LIVE, vector("0.4") | {"warnings": ["partial\nanswer"]}, None, Phase.SUCCESSFUL, "warns: partial answer"),
        (BESIDE, vector("0.3"), vector("0.2"), Phase.SUCCESSFUL, None),
        (BESIDE, vector("0.31"), vector("0.2"), Phase.FAILED, "maxIncrease 0.1 above the stable revision's 0.2"),
        (BESIDE, vector("0.3"), vector(), Phase.ERROR, "asked about the stable revision: the answer is empty"),
        (BESIDE, vector("0.3"), vector("NaN"), Phase.INCONCLUSIVE, "the stable revision's value is NaN"),
        (BESIDE, vector("0.3"), vector("+Inf"), Phase.INCONCLUSIVE, "the stable revision's value is +Inf"),
        (BESIDE, vector("+Inf"), vector("0.2"), Phase.FAILED, "+Inf is more than maxIncrease 0.1 above"),
        (BESIDE, vector("0.3"), None, Phase.SUCCESSFUL, "there is no stable revision to compare with"),
        (OWN, None, None, Phase.INCONCLUSIVE, "the query has {{stableRevision}}, and there is no stable revision yet"),
    ],
)  # fmt: skip
def test_measurements_of_answers(asks: Metric, candidate: Any, stable: Any, phase: Phase, message: str | None) -> None:
    answers = [read(body) if isinstance(body, dict) else body for body in (candidate, stable)]
    found = measure.of_answers(asks, *answers, began=NOW, ended=NOW)
    assert found.phase is phase
    assert (message or "") in (found.message or "")
    assert bool(message) == bool(found.message)
    Measurement.model_validate_json(found.model_dump_json())
