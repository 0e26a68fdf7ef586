"""Models as the bytes of a file, and back from bytes that anybody may have written."""

from __future__ import annotations

import hashlib
import re
from typing import Final, TypeVar

import orjson
from pydantic import ValidationError

from aiagent_operator.api.fields import Model
from aiagent_operator.core.archive.errors import ArchiveError
from aiagent_operator.core.strict_json import StrictJsonError, quoted, read_object
from aiagent_operator.core.texts import some

PREFIX: Final = "sha256:"
_VERSION: Final = re.compile(r"[a-z.]+/v[0-9]+")
_MOST_FAULTS: Final = 5

M = TypeVar("M", bound=Model)


def digest(data: bytes) -> str:
    """SHA-256 of the bytes, as manifests write it: `sha256:` and 64 hex digits (FIPS 180-4)."""
    return PREFIX + hashlib.sha256(data).hexdigest()


def written(model: Model) -> bytes:
    """The one way in which a model is written: JSON with sorted names, indented by two, a line feed at the end."""
    content = model.model_dump(mode="json", by_alias=True, exclude_none=True)
    return orjson.dumps(content, option=orjson.OPT_SORT_KEYS | orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)


def read(data: bytes, kind: type[M], what: str, *, limit: int, version: str = "") -> M:
    """The model that the bytes are.

    `what` names the file in errors, `limit` is in bytes, and `version` what its `version` field has to be. Fields that
    a newer version may have added are ignored. Raises ArchiveError.
    """
    if len(data) > limit:
        raise ArchiveError(f"{what} has {len(data)} bytes, and at most {limit} are read: it was not made here")
    try:
        found = read_object(data.decode(), what, limit=limit)
    except UnicodeDecodeError as error:
        raise ArchiveError(f"{what} is no UTF-8 at byte {error.start}: get an undamaged copy") from error
    except StrictJsonError as error:
        raise ArchiveError(f"{error}; if it was not written like that, get an undamaged copy") from error
    if version and (other := found.get("version")) != version:
        raise ArchiveError(f"{what} {_other(other, version)}")
    try:
        return kind.model_validate_json(data, strict=True)
    except ValidationError as error:
        raise ArchiveError(
            f"{what} cannot be read: {faults(error)}; get an undamaged copy, or newer software where it is newer"
        ) from error


def faults(error: ValidationError) -> str:
    """The first few fields that are wrong, each with what is wrong with it."""
    found = [
        f"{_where(fault['loc'])}: {fault['msg']}" for fault in error.errors(include_url=False, include_input=False)
    ]
    return some(found, _MOST_FAULTS, "; ")


def _other(version: object, wanted: str) -> str:
    if version is None:
        return f'has no version: this software reads "{wanted}"'
    if isinstance(version, str) and _VERSION.fullmatch(version):
        return f'is of version "{version}", and this software reads "{wanted}": use newer software'
    return f'has the version {quoted(str(version))}: this software reads "{wanted}"'


def _where(location: tuple[int | str, ...]) -> str:
    return ".".join(quoted(str(step))[1:-1] for step in location) or "the whole"
