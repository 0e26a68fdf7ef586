"""Label selectors of metav1, bounded.

The source of the rules: Kubernetes, "Labels and Selectors", and the validation of metav1.LabelSelector.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from pydantic import ConfigDict, StringConstraints

from aiagent_operator.api.fields import AS_SET, ATOMIC, Model, cel, described, rules
from aiagent_operator.api.workload import LabelValue

LabelKey = Annotated[
    str,
    StringConstraints(
        min_length=1,
        max_length=317,  # 253 of the prefix, the slash, 63 of the name
        pattern=(
            r"^([a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*/)?"
            r"[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?$"
        ),
    ),
]


class SelectorOperator(StrEnum):
    """How a label is compared."""

    IN = "In"
    NOT_IN = "NotIn"
    EXISTS = "Exists"
    DOES_NOT_EXIST = "DoesNotExist"


class LabelSelectorRequirement(Model):
    """One comparison."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            cel(
                "(self.operator in ['In', 'NotIn']) == (has(self.values) && self.values.size() > 0)",
                "In and NotIn need values; Exists and DoesNotExist have none",
            )
        )
    )

    key: Annotated[LabelKey, described("Key of the label.")]
    operator: Annotated[
        SelectorOperator,
        described(
            "In: the label has one of the values. NotIn: it has none of them, or is missing. Exists, DoesNotExist: "
            "whatever its value."
        ),
    ]
    values: Annotated[
        tuple[LabelValue, ...], described("Values, for In and NotIn.", max_length=32, json_schema_extra=AS_SET)
    ] = ()


class LabelSelector(Model):
    """metav1.LabelSelector: what it names must all hold; an empty one selects everything."""

    match_labels: Annotated[
        dict[str, LabelValue],
        described("Labels, all of which an object must have.", max_length=16, default_factory=dict),
    ]
    match_expressions: Annotated[
        tuple[LabelSelectorRequirement, ...],
        described("Comparisons, all of which must hold.", max_length=16, json_schema_extra=ATOMIC),
    ] = ()
