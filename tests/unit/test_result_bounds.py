"""A training's Job does not choose what runs under the agent's identity."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from aiagent_operator.api.runs import ArtifactLocations, ImageRepositories
from aiagent_operator.core.runs import bounds as result_bounds
from aiagent_operator.core.runs.result import TrainingResult

REPLACED = "registry.example/support/triage:1"
SHA = "@sha256:" + "0a" * 32


def image(text: str, replaced: str | None = REPLACED, *repositories: str) -> str:
    return result_bounds.refusal(TrainingResult(image=text), replaced, repositories)


def artifact(uri: str, *locations: str) -> str:
    return result_bounds.refusal(TrainingResult(artifact=uri), REPLACED, (), locations)


@pytest.mark.parametrize(
    ("text", "replaced"),
    [
        ("registry.example/support/triage:2", REPLACED),
        (f"registry.example/support/triage{SHA}", REPLACED),
        (f"registry.example/support/triage:2{SHA}", f"registry.example/support/triage{SHA}"),
        ("Registry.example/support/triage:2", REPLACED),
        ("docker.io/library/triage:2", "triage:1"),
        ("triage:2", "index.docker.io/library/triage"),
        ("localhost:5000/triage:2", "localhost:5000/triage"),
    ],
)
def test_an_image_of_the_same_repository_is_allowed(text: str, replaced: str) -> None:
    assert image(text, replaced) == ""


@pytest.mark.parametrize(
    ("text", "replaced"),
    [
        ("registry.example/support/triage-evil:2", REPLACED),
        ("registry.example/support/triage/x:2", REPLACED),
        ("registry.example/support:2", REPLACED),
        ("registry.example.evil.example/support/triage:2", REPLACED),
        ("registry.example:5000/support/triage:2", REPLACED),
        ("support/triage:2", REPLACED),
        ("triage:2", "registry.example/triage:1"),
        ("triage:2", None),
    ],
)
def test_any_other_image_is_refused_with_the_field_that_allows_it(text: str, replaced: str | None) -> None:
    assert "list its repository in spec.retraining.imageRepositories" in image(text, replaced)


def test_the_author_may_list_others() -> None:
    listed = ("registry.example/trained/triage", "not an image")
    assert image("registry.example/trained/triage:2", REPLACED, *listed) == ""
    assert image("registry.example/support/triage:2", REPLACED, *listed) == ""
    assert image("registry.example/trained/other:2", REPLACED, *listed) == (
        'image is of the repository "registry.example/trained/other", and the agent\'s image may be replaced only from '
        "registry.example/support/triage, registry.example/trained/triage: push it there, or list its repository in "
        "spec.retraining.imageRepositories"
    )


@pytest.mark.parametrize(
    "uri", ["s3://models/triage/7", "s3://models/triage/a/b?versionId=1#x", "s3://models/triage/.b"]
)
def test_an_artifact_below_a_location_is_allowed(uri: str) -> None:
    assert artifact(uri, "file:///store/", "s3://models/triage/") == ""
    assert artifact(uri) == ""


@pytest.mark.parametrize(
    "uri",
    [
        "s3://models/triage-evil/7",
        "s3://models/other/7",
        "s3://models/triage",
        "gs://models/triage/7",
        "s3://models/triage/../other/7",
        "s3://models/triage/%2e%2E/other/7",
        "s3://models/triage/%252e%252e/other/7",
        "s3://models/triage/..%2fother/7",
        "s3://models/triage/x/./7",
    ],
)
def test_any_other_artifact_is_refused(uri: str) -> None:
    said = artifact(uri, "s3://models/triage/")
    assert "is not below s3://models/triage/" in said
    assert "list its location in spec.retraining.artifactLocations" in said


_HARMLESS = st.sampled_from(["a", "b.c", "...", "7", ".hidden", "%20", "a%2Eb"])
_DOTS = st.sampled_from([".", "%2e", "%2E", "%252e", "%25252E"])


@given(st.lists(_HARMLESS, max_size=4), st.lists(_HARMLESS, max_size=4), st.lists(_DOTS, min_size=1, max_size=2))
def test_dots_that_climb_are_found_wherever_and_however_they_are_written(
    before: list[str], after: list[str], dots: list[str]
) -> None:
    location = "s3://models/triage/"
    assert artifact(location + "/".join([*before, *after]), location) == ""
    for slash in ("/", "%2f", "%252F"):
        assert artifact(location + slash.join([*before, "".join(dots), *after]), location)


@pytest.mark.parametrize(
    "text", ["registry.example/triage", "localhost/triage", "localhost:5000/a/b", "10.0.0.1:5000/a_b", "r.example/a__b"]
)
def test_repositories_that_can_be_listed(text: str) -> None:
    assert TypeAdapter(ImageRepositories).validate_python((text,)) == (text,)


@pytest.mark.parametrize(
    "text",
    [
        "triage",
        "team/triage",
        "registry.example",
        "registry.example/",
        "registry.example/triage:1",
        "https://r.example/a",
        "registry.example/*",
        f"registry.example/triage{SHA}",
        "registry.example/Triage",
    ],
)
def test_repositories_that_cannot(text: str) -> None:
    with pytest.raises(ValidationError):
        TypeAdapter(ImageRepositories).validate_python((text,))


@pytest.mark.parametrize("text", ["s3://models/", "s3://models/triage/", "file:///store/"])
def test_locations_that_can_be_listed(text: str) -> None:
    assert TypeAdapter(ArtifactLocations).validate_python((text,)) == (text,)


@pytest.mark.parametrize(
    "text", ["s3://", "s3:///", "s3://models", "/store/", "s3://models//", "s3://m/%2e/", "s3://m?/"]
)
def test_locations_that_cannot(text: str) -> None:
    with pytest.raises(ValidationError):
        TypeAdapter(ArtifactLocations).validate_python((text,))
