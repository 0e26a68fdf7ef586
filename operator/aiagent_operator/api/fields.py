"""Building blocks of the models: the base class, bounded strings and lists, and their CEL rules."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError
from pydantic.alias_generators import to_camel

DNS_LABEL = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"
DNS_SUBDOMAIN = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$"

Label = Annotated[str, StringConstraints(min_length=1, max_length=63, pattern=DNS_LABEL)]
ObjectName = Annotated[str, StringConstraints(min_length=1, max_length=253, pattern=DNS_SUBDOMAIN)]
Text = Annotated[str, StringConstraints(min_length=1, max_length=1024)]
Digest = Annotated[str, StringConstraints(pattern=r"^sha256:[0-9a-f]{64}$", max_length=71)]


class Model(BaseModel):
    """Base of every API type: camelCase on the wire, immutable here, unknown fields of newer versions ignored."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, frozen=True, extra="ignore")


def cel(rule: str, message: str, *, path: str | None = None) -> dict[str, str]:
    """One entry of `x-kubernetes-validations`; the message says what to write instead.

    `path` is the field that the error names, below the one that carries the rule, such as `.metadata.name`.
    """
    return {"rule": rule, "message": message} | ({"fieldPath": path} if path else {})


def rules(*entries: dict[str, str]) -> dict[str, Any]:
    """CEL rules of a model, for `json_schema_extra` of its `model_config`."""
    return {"x-kubernetes-validations": list(entries)}


def map_by(*keys: str, validations: tuple[dict[str, str], ...] = ()) -> dict[str, Any]:
    """Marks a list as a map keyed by the given fields, so that entries merge and stay unique."""
    extra: dict[str, Any] = {"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": list(keys)}
    if validations:
        extra["x-kubernetes-validations"] = list(validations)
    return extra


AS_SET: dict[str, Any] = {"x-kubernetes-list-type": "set"}
ATOMIC: dict[str, Any] = {"x-kubernetes-list-type": "atomic"}
OPAQUE: dict[str, Any] = {"x-kubernetes-preserve-unknown-fields": True}


def described(description: str, **kwargs: Any) -> Any:
    """A `Field` whose description becomes that of the CRD."""
    return Field(description=description, **kwargs)


def unreadable(error: ValidationError) -> str:
    """What to say of an object that a newer version has written, or that came past the API server's validation."""
    where = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors(include_url=False)[:5])
    return f"this version of the operator cannot read {where}: correct it, or upgrade the operator"
