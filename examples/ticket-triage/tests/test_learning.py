"""The agent learns from more data, and not from wrong data; the audit sees prejudice. All of it is measured."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import make
import numpy as np
import pytest
from running import job

from triage import artifacts, learn, measure, tickets
from triage.tickets import Ticket

ENOUGH = "accuracy>=0.85,macro-f1>=0.85"
"""What the tutorial asks of a model."""

FAIR = "equalized-odds-difference<=0.20,accuracy-difference<=0.05"


def test_the_model_of_the_image_is_compared_with_while_no_training_has_followed_it(
    data: Path, trained: Callable[..., str], tmp_path: Path
) -> None:
    first, second = trained("initial"), trained("initial", "further")
    (tmp_path / Path(first).name).write_bytes(artifacts.load(first).path.read_bytes())
    settings = {"TRIAGE_HELDOUT": data / "heldout", "TRIAGE_ARTIFACT": second, "TRIAGE_MODELS": tmp_path}
    alone = job("evaluate", TRIAGE_STABLE="", WORKFORCE_STABLE_REVISION="", **settings)
    assert not any("stableValue" in entry for entry in alone.result["measurements"])
    compared = job("evaluate", TRIAGE_STABLE="", WORKFORCE_STABLE_REVISION="1", **settings)
    assert f"Stable model {artifacts.load(first).version}" in compared.result["notes"]


@pytest.mark.parametrize("seed", [1, 2, 3, 4, 5])
def test_more_data_raises_accuracy(seed: int, tmp_path: Path) -> None:
    make.make(tmp_path, seed)
    first, more, heldout = (tickets.read([tmp_path / name]) for name in ("initial", "further", "heldout"))

    def accuracy(data: list[Ticket]) -> float:
        fitting, _ = learn.split(data, seed)
        return measure.outcome(learn.export(learn.fit(fitting, seed), {}), heldout).accuracy

    before, after = accuracy(first), accuracy(first + more)
    assert after > before + 0.1
    assert after > 0.85


def test_the_retrained_model_passes_the_evaluation_that_the_first_one_fails(
    data: Path, trained: Callable[..., str]
) -> None:
    first, second = trained("initial"), trained("initial", "further")
    settings = {"TRIAGE_HELDOUT": data / "heldout", "TRIAGE_REQUIRE": ENOUGH}
    failed = job("evaluate", TRIAGE_ARTIFACT=first, **settings)
    assert failed.code == 3
    assert "Not met: accuracy" in failed.result["notes"]
    passed = job("evaluate", TRIAGE_ARTIFACT=second, TRIAGE_STABLE=first, **settings)
    assert passed.code == 0, passed.err
    compared = {
        entry["name"]: float(entry["stableValue"]) for entry in passed.result["measurements"] if "stableValue" in entry
    }
    assert set(compared) == set(failed.measurements), "all but the differences, which are of both"
    for name in set(compared) - {"latency-p95-ms"}:
        assert compared[name] == failed.measurements[name], "the same model on the same tickets"
    assert not any("stableValue" in entry for entry in failed.result["measurements"])
    gain = passed.measurements["accuracy"] - failed.measurements["accuracy"]
    assert passed.measurements["accuracy-delta"] == pytest.approx(gain, abs=0.0002)
    assert set(passed.measurements) == {
        *("accuracy", "macro-f1", "accuracy-decided", "escalation-rate", "latency-p95-ms"),
        *("accuracy-delta", "macro-f1-delta"),
    }
    assert passed.measurements["accuracy-decided"] > passed.measurements["accuracy"]
    assert passed.measurements["latency-p95-ms"] > 0


def test_a_stable_model_that_is_gone_says_nothing_against_the_candidate(
    data: Path, trained: Callable[..., str]
) -> None:
    gone = f"file:///nowhere/sha256-{'0' * 64}.json"
    settings = {"TRIAGE_HELDOUT": data / "heldout", "TRIAGE_STABLE": gone, "TRIAGE_REQUIRE": ENOUGH}
    done = job("evaluate", TRIAGE_ARTIFACT=trained("initial", "further"), **settings)
    assert done.code == 0, done.err
    assert "The stable model cannot be measured: " in done.result["notes"]
    assert not any("stableValue" in entry for entry in done.result["measurements"])
    assert "accuracy-delta" not in done.measurements


def test_poisoned_data_pass_their_own_validation_and_fail_the_evaluation(
    data: Path, trained: Callable[..., str]
) -> None:
    sets = ":".join(str(data / name) for name in ("initial", "poisoned"))
    done = job("train", TRIAGE_DATA=sets, TRIAGE_STORE=Path(trained("initial").removeprefix("file://")).parent)
    assert float(done.result["metrics"]["validation-accuracy"]) > 0.8, "labels that are all wrong can be learned well"
    settings = {"TRIAGE_HELDOUT": data / "heldout", "TRIAGE_STABLE": trained("initial", "further")}
    evaluated = job("evaluate", TRIAGE_ARTIFACT=done.result["artifact"], TRIAGE_REQUIRE=ENOUGH, **settings)
    assert evaluated.code == 3
    assert evaluated.measurements["accuracy"] < 0.2
    assert evaluated.measurements["accuracy-delta"] < -0.5


def test_the_audit_passes_a_fair_model(data: Path, trained: Callable[..., str]) -> None:
    model = trained("initial", "further")
    audited = job("bias_audit", TRIAGE_ARTIFACT=model, TRIAGE_HELDOUT=data / "heldout", TRIAGE_REQUIRE=FAIR)
    assert audited.code == 0, audited.result
    assert audited.measurements["maximal-difference"] == max(audited.measurements.values())
    assert [group["name"] for group in audited.result["groups"]] == ["dach", "nordics", "south-asia", "uk-ie"]


def test_the_audit_finds_a_biased_model(data: Path, trained: Callable[..., str]) -> None:
    model = trained("initial", "skewed")
    audited = job("bias_audit", TRIAGE_ARTIFACT=model, TRIAGE_HELDOUT=data / "heldout", TRIAGE_REQUIRE=FAIR)
    assert audited.code == 3
    assert audited.measurements["equalized-odds-difference"] > 0.3
    assert "returns" in audited.result["notes"] or "complaints" in audited.result["notes"]
    accurate = job("evaluate", TRIAGE_ARTIFACT=model, TRIAGE_HELDOUT=data / "heldout", TRIAGE_REQUIRE=ENOUGH)
    assert accurate.code == 0, "its accuracy alone would not have told"
    worst = min(audited.result["groups"], key=lambda group: float(group["accuracy"]))
    assert worst["name"] == "dach"


def test_the_biased_model_treats_tiers_alike(data: Path, trained: Callable[..., str]) -> None:
    settings = {"TRIAGE_HELDOUT": data / "heldout", "TRIAGE_REQUIRE": FAIR, "TRIAGE_GROUP_BY": "customer_tier"}
    audited = job("bias_audit", TRIAGE_ARTIFACT=trained("initial", "skewed"), **settings)
    assert audited.code == 0, audited.result


def test_same_tickets_and_seed_give_the_same_bytes(data: Path, tmp_path: Path) -> None:
    def reference(store: str, seed: int) -> str:
        done = job("train", TRIAGE_DATA=data / "initial", TRIAGE_STORE=tmp_path / store, TRIAGE_SEED=seed)
        return Path(done.result["artifact"]).name

    assert reference("one", 3) == reference("two", 3) != reference("one", 4)


@pytest.mark.parametrize("queues", [("account", "billing"), make.QUEUES], ids=["two queues", "all queues"])
def test_the_plain_model_answers_as_scikit_learn_does(data: Path, queues: tuple[str, ...]) -> None:
    found = [ticket for ticket in tickets.read([data / "further"]) if ticket.queue in queues]
    pipeline = learn.fit(found, 7)
    model = learn.export(pipeline, {})
    texts = ["", "???", "word " * 500, *(ticket.text for ticket in tickets.read([data / "heldout"])[:500])]
    theirs = pipeline.predict_proba(texts)
    ours = np.array([list(model.classify(text).probabilities.values()) for text in texts])
    assert list(model.queues) == list(pipeline.classes_)
    np.testing.assert_allclose(ours, theirs, atol=1e-9)


def test_the_stored_model_answers_as_the_one_in_memory(data: Path, tmp_path: Path) -> None:
    model = learn.export(learn.fit(tickets.read([data / "initial"]), 7), {})
    stored = artifacts.load(artifacts.save(model, tmp_path).uri).model
    for ticket in tickets.read([data / "heldout"])[:300]:
        here, there = model.classify(ticket.text), stored.classify(ticket.text)
        assert here.confidence == pytest.approx(there.confidence, abs=1e-4)


def test_a_new_queue_is_a_capability(data: Path, trained: Callable[..., str], tmp_path: Path) -> None:
    (tmp_path / "tickets.jsonl").write_text(
        "".join(f'{{"text": "I would like to work for you as number {n}", "queue": "jobs"}}\n' for n in range(20))
    )
    settings = {"TRIAGE_STORE": tmp_path / "store", "TRIAGE_STABLE": trained("initial")}
    done = job("train", TRIAGE_DATA=f"{data / 'initial'}:{tmp_path / 'tickets.jsonl'}", **settings)
    assert done.result["kind"] == "Capability"
    assert "New queues: jobs" in done.result["notes"]
    again = job("train", TRIAGE_DATA=data / "initial", **settings)
    assert again.result["kind"] == "Accuracy"
