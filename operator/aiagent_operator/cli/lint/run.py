"""One run of `lint`: reads, checks each manifest, checks all together, and adds up."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from aiagent_operator.cli.lint import documents, findings, manifest, together
from aiagent_operator.cli.lint.documents import Unreadable
from aiagent_operator.cli.lint.findings import Finding, Rule, Severity
from aiagent_operator.cli.lint.together import Judged, Unit
from aiagent_operator.cli.output import counted


@dataclass(frozen=True, slots=True)
class Result:
    """What was found, and what was looked at: `checked` counts by kind, `skipped` counts objects of other groups."""

    findings: tuple[Finding, ...]
    checked: Counter[str]
    skipped: int
    judged: Judged

    def summary(self) -> Iterator[str]:
        """Lines for people."""
        kinds = (
            ", ".join(counted(count, kind) for kind, count in sorted(self.checked.items()))
            or "nothing of workforce.dev"
        )
        errors = sum(finding.severity is Severity.ERROR for finding in self.findings)
        warnings = len(self.findings) - errors
        found = f"{counted(errors, 'error')}, {counted(warnings, 'warning')}" if self.findings else "nothing found"
        yield f"Checked {kinds}; skipped {counted(self.skipped, 'other document')}: {found}."
        if self.judged.unjudged:
            yield (
                f"{self.judged.unjudged} of {self.checked['AIAgent']} AIAgents were not judged by their role: it is "
                "not in these files, or it or the agent has errors of its own. Lint agents and roles together."
            )

    def to_wire(self) -> dict[str, Any]:
        """For -o json."""
        return {
            "findings": [finding.to_wire() for finding in self.findings],
            "checked": dict(sorted(self.checked.items())),
            "skipped": self.skipped,
            "notJudgedByRole": self.judged.unjudged,
        }


def lint(paths: tuple[str, ...], namespace: str = "") -> Result:
    """Everything that is wrong with the manifests under the paths."""
    return judge(documents.read(paths), namespace)


def judge(found: Iterator[documents.Document | Unreadable], namespace: str = "") -> Result:
    """Everything that is wrong with these documents."""
    every: list[Finding] = []
    units: list[Unit] = []
    skipped = 0
    for document in found:
        if isinstance(document, Unreadable):
            every.append(
                Finding(document.file, document.line, "", "", Severity.ERROR, Rule.UNREADABLE.value, document.message)
            )
        elif manifest.is_ours(document.value):
            checked = manifest.check(document)
            units.append(Unit(document, checked.parsed, list(checked.issues)))
        else:
            skipped += 1
    judged = together.judge(units, namespace)
    every += [findings.of(unit.document, issue) for unit in units for issue in unit.issues]
    kinds = Counter(unit.key[0] for unit in units)
    return Result(tuple(sorted(every, key=lambda f: (f.file, f.line, f.field))), kinds, skipped, judged)
