"""`python -m triage.serve`: the agent at work, with the handbook TRIAGE_HANDBOOK and the model that it names.

TRIAGE_ARTIFACT names another one; without either it is the one that came with the image.
"""

from __future__ import annotations

import asyncio
import json
import logging
import sys
import time
from pathlib import Path
from typing import Any

from triage import handbook as handbooks
from triage.errors import TriageError
from triage.result import BAD_INPUT
from triage.service import LOG, Service, serve
from triage.settings import Settings


class _JsonLines(logging.Formatter):
    """One JSON object a line."""

    def format(self, record: logging.LogRecord) -> str:
        """The record with its fields."""
        moment = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(record.created))
        line: dict[str, Any] = {"time": moment, "level": record.levelname.lower(), "message": record.getMessage()}
        line |= getattr(record, "fields", {})
        if record.exc_info:
            line["error"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False)


def main() -> int:
    """Serves until it is told to stop. 0, or BAD_INPUT where model, handbook or a setting is wrong."""
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(_JsonLines())
    logging.basicConfig(level=logging.INFO, handlers=[handler])
    try:
        settings = Settings.of_process()
        fallback = settings.number("TRIAGE_CONFIDENCE_THRESHOLD", 0, 1)
        handbook = handbooks.read(Path(settings.text("TRIAGE_HANDBOOK")), fallback)
        artifact = settings.artifact(handbook.artifact)
        host, port = settings.text("TRIAGE_LISTEN_HOST"), settings.integer("TRIAGE_LISTEN_PORT", 0, 65535)
        delay = settings.number("TRIAGE_DRAIN_DELAY", 0, 600)
        timeout = settings.number("TRIAGE_DRAIN_TIMEOUT", 0, 600)
    except TriageError as error:
        sys.stderr.write(f"error: {error}\n")
        return BAD_INPUT
    fields = {"artifact": artifact.uri, "handbook": handbook.digest or "none", "rules": len(handbook.rules)}
    LOG.info("loaded", extra={"fields": fields})
    asyncio.run(serve(Service(artifact, handbook), host, port, delay, timeout))
    return 0


if __name__ == "__main__":
    sys.exit(main())
