"""Logging of the process: one handler, JSON or text, without credentials."""

from __future__ import annotations

import logging
import logging.config
import re
from typing import Final

from pythonjsonlogger.json import JsonFormatter

from aiagent_operator.runtime.settings import Settings
from aiagent_operator.runtime.settings_process import LogFormat, LogLevel

_REDACTED: Final = "[redacted]"
# JSON Web Tokens (RFC 7519: three base64url parts, the first of which starts as '{"' does) and Authorization headers.
_CREDENTIAL: Final = re.compile(r"eyJ[\w-]{8,}\.[\w-]+\.[\w-]*|(?<=[Bb]earer )[^\s'\",;]+")

# Below these levels the libraries write a line for each event or request, or (kubernetes) whole response bodies.
_LIBRARIES: Final = {
    "kubernetes": logging.WARNING,
    "aiohttp.access": logging.CRITICAL,
    "asyncio": logging.WARNING,
    "kopf.activities": logging.WARNING,
    "kopf.objects": logging.ERROR,
    # It warns that it leaves signals alone in a thread, which is what is wanted.
    "kopf._core.reactor.running": logging.ERROR,
}


class _RedactingText(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        return _CREDENTIAL.sub(_REDACTED, super().format(record))


class _RedactingJson(JsonFormatter):
    def format(self, record: logging.LogRecord) -> str:
        return _CREDENTIAL.sub(_REDACTED, super().format(record))


def formatter(kind: LogFormat) -> logging.Formatter:
    """Formatter of the kind; what looks like a token is replaced whatever field it stands in."""
    if kind is LogFormat.TEXT:
        return _RedactingText("%(asctime)s %(levelname)-7s %(name)s: %(message)s")
    return _RedactingJson(
        "%(asctime)s %(levelname)s %(name)s %(message)s",
        rename_fields={"asctime": "time", "levelname": "level", "name": "logger"},
        datefmt="%Y-%m-%dT%H:%M:%S%z",
    )


def configure(settings: Settings) -> None:
    """Sets up the root logger for the whole process, replacing what was there. Log lines go to standard error."""
    handler = logging.StreamHandler()
    handler.setFormatter(formatter(settings.log_format))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(settings.log_level.value)
    logging.captureWarnings(True)
    logging.getLogger("kopf").setLevel(logging.DEBUG if settings.log_level is LogLevel.DEBUG else logging.WARNING)
    for name, level in _LIBRARIES.items():
        logging.getLogger(name).setLevel(level)
