"""The API server and the models agree, tried on thousands of generated manifests.

What the API server accepts, the operator parses, and the defaults of both are the same; what it rejects, it rejects
with the field's name, and never with the bare source of a rule.

The manifests are generated first, then sent as dry runs side by side: so the run takes as long as the API server does.
The generation is derandomized; HYPOTHESIS_PROFILE=thorough generates more.
"""

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, ValidationError

from aiagent_operator.api import meta
from aiagent_operator.api.agentaction import AgentAction
from aiagent_operator.api.agentpolicy import AgentPolicy
from aiagent_operator.api.agentrole import AgentRole
from aiagent_operator.api.aiagent import AIAgent
from aiagent_operator.api.kinds import AGENTACTION, AGENTPOLICY, AGENTROLE, AIAGENT
from aiagent_operator.api.schema import Kind, structural
from support.definitions import install
from support.edges import nearly
from support.kube import ApiError, Kube
from support.localcluster import ControlPlane
from support.specs import Manifest, actions, agents, policies, roles

pytestmark = pytest.mark.cluster

# The API server adds these beside the errors proper.
ASIDE = "some validation rules were not checked because the object was invalid; correct the existing errors"
PARALLEL = 16
THOROUGH = max(1, settings.default.max_examples // 100) if settings.default else 1


@dataclass(frozen=True)
class Answer:
    """What was sent, and what came back: an object or an error."""

    sent: Manifest
    accepted: Any
    error: ApiError | None

    def __str__(self) -> str:
        return f"{json.dumps(self.sent, indent=1)[:4000]}\n{self.error or json.dumps(self.accepted)[:4000]}"


@pytest.fixture(scope="module")
def kube() -> Iterator[Kube]:
    """An API server with the kinds alone: the chart's policies would have their say about who asks."""
    with ControlPlane(scheduler=False, kwok=False) as plane:
        install(plane.admin)
        yield plane.admin


def generated(strategy: st.SearchStrategy[Manifest], count: int) -> list[Manifest]:
    """`count` manifests, the same in every run."""
    found: list[Manifest] = []

    @settings(
        max_examples=count * THOROUGH,
        derandomize=True,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(strategy)
    def collect(manifest: Manifest) -> None:
        found.append(manifest)

    collect()
    return found


def answers(kube: Kube, kind: Kind, manifests: list[Manifest], validation: str) -> list[Answer]:
    """The API server's answers to dry runs; `validation` is Strict, as kubectl asks, or Ignore, as older clients do."""
    namespace = "namespaces/default/" if kind.namespaced else ""
    path = f"/apis/{meta.API_VERSION}/{namespace}{kind.plural}"

    def send(manifest: Manifest) -> Answer:
        # By the standard library: it writes lone surrogates and integers of any size, as some clients do.
        body = json.dumps(manifest).encode()
        try:
            params = {"dryRun": "All", "fieldValidation": validation}
            return Answer(manifest, kube.raw("POST", path, body, params=params), None)
        except ApiError as error:
            return Answer(manifest, None, error)

    with ThreadPoolExecutor(PARALLEL) as pool:
        return list(pool.map(send, manifests))


def misread(model: type[BaseModel], answer: Answer) -> str | None:
    """Why the model does not agree with what the API server accepted."""
    try:
        stored = model.model_validate(answer.accepted)
    except ValidationError as error:
        return f"accepted by the API server, refused by the model: {error}\n{answer}"
    try:
        written = model.model_validate(answer.sent)
    except ValidationError:
        return None  # the server dropped a null or converted a number; the stored object is what counts
    if getattr(stored, "spec") != getattr(written, "spec"):  # noqa: B009 (every kind has one)
        return f"server and model fill in different defaults:\n{stored}\n{written}\n{answer}"
    return None


def unclear(answer: Answer) -> Iterator[str]:
    """Words of the error that would not help its reader."""
    error = answer.error
    if error is None or error.status not in (400, 422):
        yield f"neither accepted nor invalid: {answer}"
        return
    if error.status == 400:
        if 'unknown field "spec' not in error.message:
            yield f"undecodable, and no field is named: {answer}"
        return
    causes = [c for c in error.body["details"]["causes"] if ASIDE not in c["message"]]
    if not causes:
        yield f"refused without a cause: {answer}"
    for cause in causes:
        # Of an integer beyond 64 bits the API server says in the message alone where it stands.
        named = cause["field"].lstrip(".").startswith(("spec", "metadata.name"))
        if not named and " in spec." not in cause["message"]:
            yield f"the cause names no field: {cause}\n{answer}"
        if "failed rule" in cause["message"] or "evaluation error" in cause["message"]:
            yield f"the source of a rule instead of its message: {cause}\n{answer}"


@pytest.mark.parametrize(
    ("kind", "model", "strategy"),
    [
        (AIAGENT, AIAgent, agents()),
        (AGENTROLE, AgentRole, roles()),
        (AGENTPOLICY, AgentPolicy, policies()),
        (AGENTACTION, AgentAction, actions()),
    ],
    ids=["AIAgent", "AgentRole", "AgentPolicy", "AgentAction"],
)
class TestAgreement:
    """All kinds, right and nearly right."""

    def test_right_manifests_are_accepted_and_read_alike(
        self, kube: Kube, kind: Kind, model: type[BaseModel], strategy: st.SearchStrategy[Manifest]
    ) -> None:
        given_back = answers(kube, kind, generated(strategy, 400), "Strict")
        assert [str(answer) for answer in given_back if answer.error][:3] == []
        assert [why for answer in given_back if (why := misread(model, answer))][:3] == []

    def test_nearly_right_manifests_are_read_or_refused_in_clear_words(
        self, kube: Kube, kind: Kind, model: type[BaseModel], strategy: st.SearchStrategy[Manifest]
    ) -> None:
        near = generated(nearly(strategy, structural(kind.spec)), 1000)
        given_back = answers(kube, kind, near, "Strict") + answers(kube, kind, near, "Ignore")
        accepted = [answer for answer in given_back if answer.error is None]
        refused = [answer for answer in given_back if answer.error]
        shares = f"{len(accepted)} accepted, {len(refused)} refused: the generator makes too few of one sort"
        assert min(len(accepted), len(refused)) > 0.04 * len(given_back), shares
        assert [why for answer in accepted if (why := misread(model, answer))][:3] == []
        assert [why for answer in refused for why in unclear(answer)][:3] == []
