"""What is wrong with a cadence as it is written."""

from __future__ import annotations


class CadenceError(ValueError):
    """A schedule, zone or window that cannot be used; the message names the field, what is wrong, and the remedy."""
