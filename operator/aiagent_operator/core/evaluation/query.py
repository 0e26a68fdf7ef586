"""Putting names into a PromQL query. Nothing else of it is touched.

Source of the grammar of strings: Prometheus, "Querying basics", string literals: in double or single quotes with Go's
escapes, in backticks without; a number sign begins a comment.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from aiagent_operator.api.evaluation import PLACEHOLDERS
from aiagent_operator.api.fields import DNS_LABEL

_PLACEHOLDER = re.compile(r"\{\{(.*?)\}\}", re.DOTALL)
_TOKEN = re.compile(
    r"""(?P<text>"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'|`[^`]*`)|(?P<comment>\#[^\n]*)|(?P<name>\{\{.*?\}\})""",
    re.DOTALL | re.VERBOSE,
)
_STABLE: Final = "{{stableRevision}}"


class QueryError(ValueError):
    """A query that cannot be asked; the message says why and what to write instead."""


@dataclass(frozen=True, slots=True)
class Names:
    """What placeholders stand for. All of it is letters, digits and hyphens, so it can end no string of PromQL."""

    agent: str
    namespace: str
    revision: int
    stable_revision: int | None = None

    def __post_init__(self) -> None:
        for field, name in (("agent", self.agent), ("namespace", self.namespace)):
            if len(name) > 63 or not re.fullmatch(DNS_LABEL, name, re.ASCII):
                raise QueryError(f"{field} {name!r} is not a DNS label, and is not put into a query")
        for field, number in (("revision", self.revision), ("stableRevision", self.stable_revision)):
            if number is not None and (type(number) is not int or number < 0):
                raise QueryError(f"{field} {number!r} is not a whole number, and is not put into a query")

    @property
    def of_stable(self) -> Names:
        """The same names for the query about the stable revision, which takes the place of the evaluated one."""
        if self.stable_revision is None:
            raise QueryError("there is no stable revision to ask about")
        return Names(self.agent, self.namespace, self.stable_revision, self.stable_revision)

    def by_placeholder(self) -> Mapping[str, str]:
        """What each placeholder is replaced by; {{stableRevision}} is missing where there is none."""
        found = dict(zip(PLACEHOLDERS, (self.revision, self.stable_revision, self.agent, self.namespace), strict=True))
        return {name: str(value) for name, value in found.items() if value is not None}


def needs_stable(query: str) -> bool:
    """Whether the query itself names the stable revision, so that it cannot be asked without one."""
    return _STABLE in query


def asked(query: str, names: Names) -> str:
    """The query with its placeholders replaced: within a string by the bare value, elsewhere by the value in quotes.

    Raises QueryError for other placeholders, and for {{stableRevision}} where there is none.
    """
    values = names.by_placeholder()

    def bare(found: re.Match[str]) -> str:
        if found[1] not in PLACEHOLDERS:
            known = ", ".join(f"{{{{{name}}}}}" for name in PLACEHOLDERS)
            raise QueryError(f"the query has {found[0][:40]!r}: only {known} are replaced, written without spaces")
        if found[1] not in values:
            raise QueryError(f"the query has {_STABLE}, and there is no stable revision yet")
        return values[found[1]]

    def replaced(found: re.Match[str]) -> str:
        whole = _PLACEHOLDER.sub(bare, found[0])
        return f'"{whole}"' if found["name"] else whole

    return _TOKEN.sub(replaced, query)
