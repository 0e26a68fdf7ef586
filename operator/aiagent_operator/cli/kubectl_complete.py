"""`kubectl_complete-aiagent`: what kubectl asks while somebody types `kubectl aiagent ...` and presses Tab.

kubectl gives the words so far, and reads one candidate a line, then a directive of cobra: 0, the shell may complete
files, or 4, it may not. Typer's own completion (`kubectl-aiagent --install-completion`) finds the candidates.
"""

from __future__ import annotations

import os
import shlex
import sys

from aiagent_operator.cli.app import NAME, app


def main() -> None:
    """Entry point of the console script."""
    words = sys.argv[1:]
    os.environ[f"_{NAME.replace('-', '_').upper()}_COMPLETE"] = "complete_bash"
    os.environ["COMP_WORDS"] = shlex.join([NAME, *words])
    os.environ["COMP_CWORD"] = str(len(words))
    try:
        app(prog_name=NAME)
    except SystemExit:
        pass
    finally:
        print(":0" if _names_files(words) else ":4")


def _names_files(words: list[str]) -> bool:
    """Whether files may stand where somebody is typing."""
    return words[:1] == ["lint"] or (len(words) > 2 and words[0] in {"journal", "archive"})


if __name__ == "__main__":
    main()
