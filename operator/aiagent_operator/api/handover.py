"""Names of what delivers an inheritance: label, account, environment and files of its Job."""

from __future__ import annotations

from typing import Final

from aiagent_operator.api import meta
from aiagent_operator.api.jobtemplate import ENV_PREFIX

RUN: Final = "handover"
"""Value of the label `workforce.dev/run` of the Job, and end of its account's name."""

ENV_DIGEST: Final = f"{ENV_PREFIX}ARCHIVE_DIGEST"
"""Digest of the manifest of the archive that is delivered."""

FOLDER: Final = "inherited"
"""Folder of the volume in which all is that was delivered."""

BUNDLE: Final = "bundle"
"""Folder in it of the archive's files."""

COMMAND: Final = ("python3", "-m", "aiagent_operator.capture.inherit")
"""The program, in the operator's own image."""


def account_name(agent: str) -> str:
    """Name of the account as which an agent's inheritance is fetched: it holds no right."""
    return meta.run_account(agent, RUN)
