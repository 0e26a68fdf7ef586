"""Ticket sets, a model by hand, and models that were really trained, once for all tests."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path

import make
import pytest
from running import job

from triage import artifacts
from triage.artifacts import Artifact
from triage.model import Model


@pytest.fixture(scope="session")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    make.make(folder, 7)
    return folder


@pytest.fixture(scope="session")
def trained(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., str]:
    """The reference of a model trained on the named sets, by the job."""
    store = tmp_path_factory.mktemp("store")

    @cache
    def train(*sets: str) -> str:
        done = job("train", TRIAGE_DATA=":".join(str(data / name) for name in sets), TRIAGE_STORE=store)
        assert done.code == 0, done.err
        reference = done.result["artifact"]
        assert isinstance(reference, str)
        return reference

    return train


@pytest.fixture(scope="session")
def simple(tmp_path_factory: pytest.TempPathFactory) -> Artifact:
    """Two queues, told apart by a word each; written by hand, so that its answers can be computed by hand too."""
    terms = {"parcel": (1.0, 4.0, -4.0), "invoice": (1.0, -4.0, 4.0)}
    model = Model(("delivery", "billing"), (0.0, 0.0), terms, {"tickets": "0"})
    return artifacts.save(model, tmp_path_factory.mktemp("simple"))
