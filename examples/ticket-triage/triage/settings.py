"""What the environment says. Every name begins with TRIAGE_; the README has them in a table."""

from __future__ import annotations

import math
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from triage import artifacts
from triage.artifacts import Artifact
from triage.errors import TriageError

DEFAULTS: Final[Mapping[str, str]] = {
    "TRIAGE_ARTIFACT": "",
    "TRIAGE_MODELS": "/opt/triage/models",
    "TRIAGE_HANDBOOK": "/etc/workforce/handbook",
    "TRIAGE_CONFIDENCE_THRESHOLD": "0.60",
    "TRIAGE_LISTEN_HOST": "0.0.0.0",  # noqa: S104 (a pod's own address is known only at run time)
    "TRIAGE_LISTEN_PORT": "8080",
    "TRIAGE_DRAIN_DELAY": "5",
    "TRIAGE_DRAIN_TIMEOUT": "20",
    "TRIAGE_DATA": "",
    "TRIAGE_STORE": "",
    "TRIAGE_SEED": "7",
    "TRIAGE_STABLE": "",
    "TRIAGE_KIND": "",
    "TRIAGE_IMAGE": "",
    "TRIAGE_HELDOUT": "",
    "TRIAGE_GROUP_BY": "language_region",
    "TRIAGE_REQUIRE": "",
    "TRIAGE_RESULT": "/dev/termination-log",
}

# What Kubernetes puts into every container for each Service of the namespace, so also for one that is called triage.
_SERVICE_LINK: Final = re.compile(r"TRIAGE_(\w+_)?(SERVICE_HOST|SERVICE_PORT(_\w+)?|PORT(_\d+_(TCP|UDP|SCTP)(_\w+)?)?)")


@dataclass(frozen=True, slots=True)
class Settings:
    """The environment, read when asked, so that a job needs to set only what it uses."""

    environment: Mapping[str, str]

    @classmethod
    def of_process(cls) -> Settings:
        """Those of this process. A misspelled TRIAGE_ name is an error: it would be ignored otherwise."""
        names = {name for name in os.environ if name.startswith("TRIAGE_")}
        unknown = {name for name in names - DEFAULTS.keys() if not _SERVICE_LINK.fullmatch(name)}
        if unknown:
            raise TriageError(f"unknown setting(s) {', '.join(sorted(unknown))}; known are {', '.join(DEFAULTS)}")
        return cls(os.environ)

    def text(self, name: str) -> str:
        """A setting, or its default where it is unset or empty."""
        return self.environment.get(name) or DEFAULTS[name]

    def needed(self, name: str, what: str) -> str:
        """A setting without which the program cannot go on; `what` says what to set it to."""
        value = self.text(name)
        if not value:
            raise TriageError(f"{name} is not set: set it to {what}")
        return value

    def number(self, name: str, low: float, high: float) -> float:
        """A number from low to high, both allowed."""
        value = self.text(name)
        try:
            number = float(value)
        except ValueError:
            number = math.nan
        if not low <= number <= high:
            raise TriageError(f"{name} is {value!r}, and must be a number from {low:g} to {high:g}")
        return number

    def integer(self, name: str, low: int, high: int) -> int:
        """A whole number from low to high, both allowed."""
        number = self.number(name, low, high)
        if not number.is_integer():
            raise TriageError(f"{name} is {self.text(name)!r}, and must be a whole number")
        return int(number)

    def folders(self, name: str, what: str) -> list[Path]:
        """Paths with `:` between them, as in PATH."""
        return [Path(part) for part in self.needed(name, what).split(os.pathsep) if part]

    def artifact(self, learned: str = "") -> Artifact:
        """The model to use: TRIAGE_ARTIFACT, else what was learned, else the one that came with the image."""
        reference = self.text("TRIAGE_ARTIFACT") or learned
        return artifacts.load(reference) if reference else artifacts.only(Path(self.text("TRIAGE_MODELS")))

    def stable(self) -> str:
        """Reference of the model that serves now, empty where none does: TRIAGE_STABLE, else that of the image.

        The operator says in WORKFORCE_STABLE_REVISION that a revision serves. One that was not trained yet names no
        artifact.
        """
        reference = self.text("TRIAGE_STABLE")
        if reference or not self.environment.get("WORKFORCE_STABLE_REVISION"):
            return reference
        return str(artifacts.only(Path(self.text("TRIAGE_MODELS"))).path)
