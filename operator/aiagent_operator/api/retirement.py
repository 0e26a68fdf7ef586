"""What is kept of an agent when it leaves, and for how long."""

from __future__ import annotations

from aiagent_operator.api.fields import Model, described
from aiagent_operator.api.retraining import Interval


class Retirement(Model):
    """What becomes of the agent when it leaves."""

    retention: Interval | None = described(
        "How long its archive is kept at least, such as 52560h. Of all that ask for something (this, the policies that "
        "select the agent) the longest holds; where nobody does, it is 180 days.",
        default=None,
    )
