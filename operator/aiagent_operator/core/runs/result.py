"""What a training left: the termination message of its container, read as the word of somebody who may mean harm.

A result is a JSON object with the fields of TrainingResult, all of them optional, of which it names at least one that
changes the agent's work: artifact, image or model. The kubelet keeps 4096 bytes of a message, and where a pod has more
than three containers an equal share of 12 KiB for each (Kubernetes: "Customizing the termination message").
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from aiagent_operator.api.aiagent import ModelRef
from aiagent_operator.api.runs import UpdateKind
from aiagent_operator.core import untrusted
from aiagent_operator.core.runs import images
from aiagent_operator.core.strict_json import LIMIT, StrictJsonError, kind, read_object

MOST_METRICS: Final = 32
LONGEST_ARTIFACT: Final = 1024
LONGEST_METRIC: Final = 32
LONGEST_NAME: Final = 128

FIELDS: Final = ("artifact", "image", "model", "metrics", "kind", "notes")
_MODEL: Final = ("provider", "name", "version")
_WORK: Final = ("artifact", "image", "model")
_KINDS: Final = tuple(kind.value for kind in UpdateKind)

_URI: Final = re.compile(r"[a-z][a-z0-9+.-]{1,31}:(?:[A-Za-z0-9._~:/?#\[\]@!$&'()*+,;=-]|%[0-9A-Fa-f]{2})+")
_PASSWORD: Final = re.compile(r"[^:]+://[^/?#]*@")
_PROGRAMS: Final = ("data:", "javascript:", "vbscript:")
_METRIC: Final = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9_./-]{0,61}[A-Za-z0-9])?")
_DECIMAL: Final = re.compile(r"-?[0-9]+(?:\.[0-9]+)?")


class ResultError(ValueError):
    """A result that is refused; the message names the field and what to write. It quotes little, and that escaped."""


@dataclass(frozen=True, slots=True)
class TrainingResult:
    """A result. `metrics` holds decimals as text, by name."""

    artifact: str | None = None
    image: str | None = None
    model: ModelRef | None = None
    metrics: Mapping[str, str] = field(default_factory=dict)
    kind: UpdateKind | None = None
    notes: str = ""

    def to_wire(self) -> dict[str, Any]:
        """As it was read, and as it stands in a revision's status; what it does not say is left out."""
        wire = {
            "artifact": self.artifact,
            "image": self.image,
            "model": self.model and self.model.model_dump(by_alias=True, exclude_none=True),
            "metrics": dict(self.metrics),
            "kind": self.kind and self.kind.value,
            "notes": self.notes,
        }
        return {name: value for name, value in wire.items() if value}


def read(message: str) -> TrainingResult:
    """The result in a termination message. Raises ResultError, and nothing else whatever the message is."""
    try:
        return of_wire(read_object(message))
    except StrictJsonError as error:
        raise ResultError(str(error)) from None


def of_wire(content: Any) -> TrainingResult:
    """The result that a parsed JSON value is. Raises ResultError."""
    if not isinstance(content, dict):
        raise ResultError(f"the result is {kind(content)}: write an object with {_some(FIELDS)}")
    _known(content, "the result", FIELDS)
    if not any(name in content for name in _WORK):
        raise ResultError(
            "the result names neither artifact, image nor model, so nothing would change: name what was trained, or "
            "let the Job fail where nothing was"
        )
    return TrainingResult(
        artifact=_artifact(content["artifact"]) if "artifact" in content else None,
        image=_image(content["image"]) if "image" in content else None,
        model=_model(content["model"]) if "model" in content else None,
        metrics=_metrics(content["metrics"]) if "metrics" in content else {},
        kind=_kind(content["kind"]) if "kind" in content else None,
        notes=_text(content["notes"], "notes", LIMIT, lines=True, empty=True) if "notes" in content else "",
    )


def _artifact(value: Any) -> str:
    text = _text(value, "artifact", LONGEST_ARTIFACT)
    if text.startswith(_PROGRAMS) or not _URI.fullmatch(text):
        raise ResultError(f"artifact {untrusted.shown(text)} is no URI: write one such as s3://models/triage/7")
    if _PASSWORD.match(text):
        raise ResultError("artifact holds a user name or password, which would be read by many: write the URI without")
    return text


def _image(value: Any) -> str:
    text = _text(value, "image", images.LONGEST)
    try:
        image = images.parse(text)
    except images.ImageError as error:
        raise ResultError(f"image {error}") from None
    if not image.tag and not image.digest:
        raise ResultError("image has neither tag nor digest, so nobody knows which it is: write name@sha256:...")
    return text


def _model(value: Any) -> ModelRef:
    if not isinstance(value, dict):
        raise ResultError(f"model is {kind(value)}: write an object with {_some(_MODEL)}")
    _known(value, "model", _MODEL)
    if missing := [name for name in _MODEL[:2] if name not in value]:
        raise ResultError(f"model.{missing[0]} is missing: write it")
    return ModelRef(**{name: _text(entry, f"model.{name}", LONGEST_NAME) for name, entry in value.items()})


def _metrics(value: Any) -> dict[str, str]:
    if not isinstance(value, dict):
        raise ResultError(f'metrics is {kind(value)}: write an object such as {{"accuracy": "0.9153"}}')
    if len(value) > MOST_METRICS:
        raise ResultError(f"metrics has {len(value)} entries: write at most {MOST_METRICS}")
    for name, entry in value.items():
        if not _METRIC.fullmatch(name):
            raise ResultError(
                f"metrics has the name {untrusted.shown(name)}: letters, digits, '-', '_', '.' and '/', at most 63"
            )
        if not isinstance(entry, str):
            raise ResultError(f'metrics.{name} is {kind(entry)}: write a decimal as text, such as "0.9153"')
        if len(entry) > LONGEST_METRIC or not _DECIMAL.fullmatch(entry):
            raise ResultError(
                f'metrics.{name} is {untrusted.shown(entry)}: write a decimal such as "0.9153" or "-12", at most '
                f"{LONGEST_METRIC} characters and without exponent"
            )
    return value


def _kind(value: Any) -> UpdateKind:
    if isinstance(value, str) and value in _KINDS:
        return UpdateKind(value)
    what = untrusted.shown(value) if isinstance(value, str) else kind(value)
    raise ResultError(f"kind is {what}: write one of {', '.join(_KINDS)}")


def _text(value: Any, name: str, most: int, *, lines: bool = False, empty: bool = False) -> str:
    if not isinstance(value, str):
        raise ResultError(f"{name} is {kind(value)}: write a text, or leave it out")
    if not value and not empty:
        raise ResultError(f"{name} is empty: write it, or leave it out")
    if len(value) > most:
        raise ResultError(f"{name} has {len(value)} characters: write at most {most}")
    if wrong := untrusted.fault(value, lines=lines):
        raise ResultError(f"{name} {wrong}")
    return value


def _known(value: Mapping[str, Any], what: str, known: tuple[str, ...]) -> None:
    for name in value:
        if name not in known:
            raise ResultError(f"{what} has the unknown field {untrusted.shown(name)}: it may have {_some(known)}")


def _some(names: tuple[str, ...]) -> str:
    return f"{', '.join(names[:-1])} and {names[-1]}"
