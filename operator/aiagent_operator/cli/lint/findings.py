"""What `lint` finds, and how it is printed."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from aiagent_operator.api.conditions import Reason
from aiagent_operator.cli.lint.documents import Document, Where


class Severity(StrEnum):
    """An error fails; a warning fails with --strict."""

    ERROR = "error"
    WARNING = "warning"


class Rule(StrEnum):
    """Why something is a finding, beside the reasons that the operator gives."""

    UNREADABLE = "Unreadable"
    UNKNOWN_KIND = "UnknownKind"
    RECORD = "Record"
    UNKNOWN_FIELD = "UnknownField"
    DUPLICATE_FIELD = "DuplicateField"
    DUPLICATE_ENTRY = "DuplicateEntry"
    DUPLICATE_OBJECT = "DuplicateObject"
    INVALID_FIELD = "InvalidField"
    BROKEN_RULE = "BrokenRule"


@dataclass(frozen=True, slots=True)
class Issue:
    """Something wrong with one field of one manifest."""

    where: Where
    rule: Rule | Reason
    message: str
    severity: Severity = Severity.ERROR


@dataclass(frozen=True, slots=True)
class Finding:
    """An issue with its place; `object` is kind/name, empty where the file has none."""

    file: str
    line: int
    object: str
    field: str
    severity: Severity
    rule: str
    message: str

    def __str__(self) -> str:
        parts = [f"{self.file}:{self.line}", self.object, self.field]
        warning = "warning: " if self.severity is Severity.WARNING else ""
        return ": ".join(part for part in parts if part) + f": {warning}{self.message}"

    def to_wire(self) -> dict[str, str | int]:
        """For -o json."""
        return {
            "file": self.file,
            "line": self.line,
            "object": self.object,
            "field": self.field,
            "severity": self.severity.value,
            "rule": self.rule,
            "message": self.message,
        }


def of(document: Document, issue: Issue) -> Finding:
    """The issue at its line."""
    return Finding(
        document.file,
        document.line(issue.where),
        title(document),
        path(issue.where),
        issue.severity,
        issue.rule.value,
        issue.message,
    )


def title(document: Document) -> str:
    """kind/name of the manifest."""
    metadata = document.value.get("metadata")
    name = metadata.get("name") if isinstance(metadata, dict) else None
    return f"{document.value.get('kind')}/{name or '?'}"


def path(where: Where) -> str:
    """The field as the API server writes it: spec.permissions[0].rules."""
    text = ""
    for part in where:
        text += f"[{part}]" if isinstance(part, int) else f".{part}"
    return text.removeprefix(".")
