"""The command `age`, by which payload of archives is read without this software; built once from its pinned Go module.

`python -m support.age` builds it and ends.
"""

import sys
from pathlib import Path

from support.localcluster.build import Module, built, say
from support.localcluster.errors import LocalClusterError

AGE = Module("age", "filippo.io/age", {"age": "filippo.io/age/cmd/age"})


def folder() -> Path:
    """Where it is. Raises BuildError where it cannot be built."""
    return built(AGE, say)


if __name__ == "__main__":
    try:
        folder()
    except LocalClusterError as error:
        sys.exit(str(error))
