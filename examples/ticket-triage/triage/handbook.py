"""The employee handbook that the operator mounts: what the agent has learned, and which tickets it may assign alone.

It follows `artifact` and `rules` of `handbook.json`; of `instructions.md` it takes only the digest, since a classifier
follows no prose. It knows rules for two actions:

    assign a ticket to a queue          all tickets
    assign a ticket to <queue>          those of one queue; goes before the rule for all

The `limit` of such a rule is the uncertainty, 1 - confidence, up to which the agent decides alone: with limit "0.40" it
needs a confidence of 0.60. Any other decision than Autonomous, and any uncertainty above the limit, goes to a human.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from triage.errors import TriageError
from triage.model import Answer

HANDBOOK_FILE: Final = "handbook.json"
INSTRUCTIONS_FILE: Final = "instructions.md"

ALL: Final = "assign a ticket to a queue"
ONE: Final = "assign a ticket to "

_AUTONOMOUS: Final = "Autonomous"
_REQUIRE_APPROVAL: Final = "RequireApproval"


@dataclass(frozen=True, slots=True)
class Rule:
    """What may be decided alone. `threshold` is the confidence needed for it, 0 where there is no limit."""

    name: str
    decide: str
    threshold: float
    below: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """What becomes of a ticket: None as reason means that it is assigned; `suggest` that a human may see the queue."""

    reason: str | None
    suggest: bool = False


@dataclass(frozen=True, slots=True)
class Handbook:
    """The rules for tickets. `fallback` is the confidence needed where no rule speaks.

    `artifact` is what the agent's last training has left; empty where it was not trained yet.
    """

    fallback: float
    rules: Mapping[str, Rule] = field(default_factory=dict)
    digest: str = ""
    artifact: str = ""

    def verdict(self, answer: Answer) -> Verdict:
        """Whether the agent assigns the ticket itself, and if not, why."""
        rule = self.rules.get(ONE + answer.queue) or self.rules.get(ALL)
        if rule is None:
            if answer.confidence >= self.fallback:
                return Verdict(None)
            return Verdict(f"confidence {answer.confidence:.4f} is below {self.fallback:.4f}, the default")
        if rule.decide != _AUTONOMOUS:
            return Verdict(f"rule {rule.name!r} of the handbook says {rule.decide}", rule.decide == _REQUIRE_APPROVAL)
        if answer.confidence >= rule.threshold:
            return Verdict(None)
        needed = f"{rule.threshold:.4f}, by rule {rule.name!r} of the handbook"
        return Verdict(f"confidence {answer.confidence:.4f} is below {needed}", rule.below == _REQUIRE_APPROVAL)


def read(folder: Path, fallback: float) -> Handbook:
    """The handbook in a folder, empty where there is none. TriageError where it cannot be followed."""
    files = [folder / name for name in (HANDBOOK_FILE, INSTRUCTIONS_FILE)]
    contents = {file.name: file.read_bytes() for file in files if file.is_file()}
    if HANDBOOK_FILE not in contents:
        return Handbook(fallback)
    try:
        document: Any = json.loads(contents[HANDBOOK_FILE])
        rules = [_rule(entry) for entry in document["rules"] if str(entry["action"]).startswith(ONE)]
        digest, artifact = _digest(contents), str(document.get("artifact", ""))
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        text = f"{folder / HANDBOOK_FILE} cannot be followed ({error}): correct spec.handbook.rules of the agent"
        raise TriageError(text) from error
    return Handbook(fallback, dict(rules), digest, artifact)


def _digest(contents: Mapping[str, bytes]) -> str:
    """As in the agent's status.handbook: SHA-256 of the files as canonical JSON."""
    data = {name: content.decode("utf-8") for name, content in contents.items()}
    canonical = json.dumps(data, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    return f"sha256:{hashlib.sha256(canonical.encode()).hexdigest()}"


def _rule(entry: Mapping[str, Any]) -> tuple[str, Rule]:
    threshold = 0.0
    if "limit" in entry:
        threshold = 1 - float(entry["limit"])
        if not 0 <= threshold <= 1:
            name = entry["name"]
            raise ValueError(f"rule {name!r}: limit {entry['limit']!r} is an uncertainty, so it must be from 0 to 1")
    rule = Rule(str(entry["name"]), str(entry["decide"]), round(threshold, 9), str(entry.get("above", "Escalate")))
    return str(entry["action"]), rule
