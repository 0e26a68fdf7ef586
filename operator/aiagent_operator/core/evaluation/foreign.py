"""Text that others wrote, made fit to be shown."""

from __future__ import annotations

from aiagent_operator.core.runs.strict_json import unfit


def shown(text: str, longest: int) -> str:
    """The text on one line, cut to so many characters, without what steers a terminal or turns its direction."""
    line = "".join("?" if unfit(character) else character for character in " ".join(text.split()))
    return line if len(line) <= longest else f"{line[: longest - 3]}..."
