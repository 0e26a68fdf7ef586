"""Names of what archives an agent's memory: label, account, environment and files of its Job."""

from __future__ import annotations

from typing import Final

from aiagent_operator.api import meta
from aiagent_operator.api.jobtemplate import ENV_PREFIX

RUN: Final = "memory"
"""Value of the label `workforce.dev/run` of the Job."""

ENV_KEY: Final = f"{ENV_PREFIX}ARCHIVE_KEY"
ENV_URL: Final = f"{ENV_PREFIX}UPLOAD_URL"
ENV_CERTIFICATE: Final = f"{ENV_PREFIX}UPLOAD_CERTIFICATE"
ENV_VOLUME: Final = f"{ENV_PREFIX}VOLUME"
ENV_TOKEN: Final = f"{ENV_PREFIX}UPLOAD_TOKEN"
ENV_RESULT: Final = f"{ENV_PREFIX}RESULT"

VOLUME_MOUNT: Final = "/memory"
TOKEN_MOUNT: Final = "/var/run/workforce/archive"  # noqa: S105 - a folder
TOKEN_FILE: Final = f"{TOKEN_MOUNT}/token"
TERMINATION_LOG: Final = "/dev/termination-log"
"""Where a container leaves its message (core/v1, Container.terminationMessagePath)."""

COMMAND: Final = ("python3", "-m", "aiagent_operator.capture")
"""The program, in the operator's own image."""


def account_name(agent: str) -> str:
    """Name of the account as which an agent's memory is archived: it holds no right."""
    return meta.run_account(agent, RUN)
