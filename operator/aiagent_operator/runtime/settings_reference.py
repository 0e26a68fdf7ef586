"""docs/settings.md from the settings: `python -m aiagent_operator.runtime.settings_reference FILE` writes it."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Final

from aiagent_operator.api.meta import MANAGER
from aiagent_operator.runtime.settings import PREFIX, Settings

_COMPUTED: Final = {
    "namespace": "the operator's own",
    "pod_name": "the host's name",
    "operator_username": f"`system:serviceaccount:<namespace>:{MANAGER}`",
}


def _default(name: str) -> str:
    field = Settings.model_fields[name]
    if name in _COMPUTED:
        return _COMPUTED[name]
    value = field.default
    if isinstance(value, tuple):
        text = ",".join(map(str, value))
    else:
        text = f"{value:g}" if isinstance(value, float) else str(value)
    return f"`{text}`" if text else "empty"


def document() -> str:
    """Text of docs/settings.md."""
    lines = [
        "# Settings",
        "",
        "<!-- Generated from the settings in operator/aiagent_operator/runtime by `make generate`. Do not edit. -->",
        "",
        "The operator reads its settings from the environment at its start. A value that cannot be used stops the",
        "process and names the variable. An empty variable means the default; `none` means an empty list.",
    ]
    for name, field in Settings.model_fields.items():
        lines += ["", f"## `{PREFIX}{name.upper()}`", "", f"Default: {_default(name)}", "", str(field.description)]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    target = Path(sys.argv[1])
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(document(), encoding="utf-8")
