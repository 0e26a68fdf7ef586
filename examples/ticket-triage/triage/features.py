"""What the model sees of a ticket: words, pairs of words, and the beginnings of words, all in small letters.

Training and service read tickets with this one function; a difference between the two would go unnoticed.
"""

from __future__ import annotations

import re
import unicodedata
from itertools import pairwise
from typing import Final

VERSION: Final = "words-1"
"""Changes with the function below; a model made for another version is refused."""

LONGEST: Final = 16_000
"""Characters of a ticket that are read at most."""

_WORD: Final = re.compile(r"[^\W\d_]+(?:['’][^\W\d_]+)?|[\d.,]*\d")
_STEM: Final = 5


def terms(text: str) -> list[str]:
    """The terms of a text, in order and with repetitions. All numbers are one term: an order's number says nothing."""
    plain = unicodedata.normalize("NFKC", text[:LONGEST]).casefold()
    words = ["#" if word[-1].isdigit() else word.replace("’", "'") for word in _WORD.findall(plain)]
    pairs = [f"{first} {second}" for first, second in pairwise(words)]
    stems = [f"{word[:_STEM]}*" for word in words if len(word) > _STEM]
    return [*words, *pairs, *stems]
