"""Names of what archives an agent's volumes: labels, account, environment and files of their Jobs."""

from __future__ import annotations

from typing import Final

from aiagent_operator.api import meta
from aiagent_operator.api.jobtemplate import ENV_PREFIX

RUN: Final = "memory"
"""Value of the label `workforce.dev/run` of the Job that archives its memory."""

DECISIONS: Final = "decisions"
"""The same of the Job that archives its decision log. Both run as one account."""

ENV_KEY: Final = f"{ENV_PREFIX}ARCHIVE_KEY"
ENV_URL: Final = f"{ENV_PREFIX}UPLOAD_URL"
ENV_CERTIFICATE: Final = f"{ENV_PREFIX}UPLOAD_CERTIFICATE"
ENV_VOLUME: Final = f"{ENV_PREFIX}VOLUME"
ENV_TOKEN: Final = f"{ENV_PREFIX}UPLOAD_TOKEN"
ENV_RESULT: Final = f"{ENV_PREFIX}RESULT"
ENV_FOLDER: Final = f"{ENV_PREFIX}FOLDER"
"""The folder of the volume that is packed, from its top; all of it, where this is not told."""
ENV_ROOT: Final = f"{ENV_PREFIX}ROOT"
"""The folder of the tar into which that is put."""

VOLUME_MOUNT: Final = "/memory"
TOKEN_MOUNT: Final = "/var/run/workforce/archive"  # noqa: S105 - a folder
TOKEN_FILE: Final = f"{TOKEN_MOUNT}/token"
TERMINATION_LOG: Final = "/dev/termination-log"
"""Where a container leaves its message (core/v1, Container.terminationMessagePath)."""

COMMAND: Final = ("python3", "-m", "aiagent_operator.capture")
"""The program, in the operator's own image."""

NO_FOLDER: Final = 3
"""Its exit status where the volume has no such folder: no other try finds one."""


def account_name(agent: str) -> str:
    """Name of the account as which an agent's volumes are archived: it holds no right."""
    return meta.run_account(agent, RUN)
