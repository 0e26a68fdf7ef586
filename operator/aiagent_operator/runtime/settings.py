"""Settings of the operator process, from the environment."""

from __future__ import annotations

import sys
from typing import Final

from pydantic import ValidationError
from pydantic_settings import SettingsConfigDict

from aiagent_operator.runtime.settings_archive import ArchiveSettings
from aiagent_operator.runtime.settings_network import NetworkSettings
from aiagent_operator.runtime.settings_process import ProcessSettings

PREFIX: Final = "AIAGENT_"


class Settings(ArchiveSettings, NetworkSettings, ProcessSettings):
    """All settings. A wrong variable stops the process at its start, with its name and what is allowed.

    docs/settings.md has them in this order from the last part to the first.
    """

    model_config = SettingsConfigDict(env_prefix=PREFIX, frozen=True, extra="ignore", env_ignore_empty=True)


def load() -> Settings:
    """The settings of this process; exits with the name of each wrong variable and what is allowed."""
    try:
        return Settings()
    except ValidationError as error:
        lines = [
            f"  {PREFIX}{str(entry['loc'][0]).upper()}: {entry['msg']} (is {entry['input']!r})"
            if entry["loc"]
            else f"  {entry['msg']}"
            for entry in error.errors()
        ]
        sys.exit("The environment has settings that cannot be used (docs/settings.md):\n" + "\n".join(lines))
