"""Evaluations that policies require of each revision: which are missing, and what to do about it."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from aiagent_operator.core import texts
from aiagent_operator.core.policies.merged import Strictest

Required = tuple[Strictest[str], ...]


def missing(required: Iterable[Strictest[str]], names: Collection[str]) -> Required:
    """Those that are not among these names."""
    return tuple(each for each in required if each.value not in names)


def said(found: Required) -> str:
    """Who requires what, in the words of messages; `found` is not empty."""
    return texts.some(
        (f'{" and ".join(map(str, each.sources))} requires evaluation "{each.value}"' for each in found), 4, "; "
    )


def remedy(found: Required) -> str:
    """What an agent's owner does about it."""
    one = "an evaluation of that name" if len(found) == 1 else "evaluations of these names"
    return f"add {one} to spec.retraining.evaluations, and leave it out of spec.retraining.rollout"
