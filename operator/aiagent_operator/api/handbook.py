"""The employee handbook: what an agent is told, mounted into its pods as one immutable ConfigMap."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from pydantic import ConfigDict, StringConstraints

from aiagent_operator.api.fields import AS_SET, Label, Model, ObjectName, cel, described, map_by, rules

Decimal = Annotated[str, StringConstraints(min_length=1, max_length=32, pattern=r"^-?[0-9]+(\.[0-9]+)?$")]
ConfigKey = Annotated[str, StringConstraints(min_length=1, max_length=253, pattern=r"^[-._a-zA-Z0-9]+$")]


class Decision(StrEnum):
    """How the agent may decide an action."""

    AUTONOMOUS = "Autonomous"
    REQUIRE_APPROVAL = "RequireApproval"
    ESCALATE = "Escalate"
    NEVER = "Never"


class AboveLimit(StrEnum):
    """What the agent does with an action above its limit."""

    REQUIRE_APPROVAL = "RequireApproval"
    ESCALATE = "Escalate"
    NEVER = "Never"


class DataCategory(StrEnum):
    """Sensitivity of a knowledge source. SpecialCategory is that of Art. 9 GDPR."""

    PUBLIC = "Public"
    INTERNAL = "Internal"
    CONFIDENTIAL = "Confidential"
    PERSONAL = "Personal"
    SPECIAL_CATEGORY = "SpecialCategory"


class ConfigMapKeyRef(Model):
    """A key of a ConfigMap in the agent's namespace."""

    name: Annotated[ObjectName, described("Name of the ConfigMap.")]
    key: Annotated[ConfigKey, described("Key whose value is the text.")]


class Instructions(Model):
    """The instructions' text: inline, or a ConfigMap's key."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            cel("has(self.inline) != has(self.configMapKeyRef)", "set exactly one of inline and configMapKeyRef")
        )
    )

    inline: Annotated[str, StringConstraints(min_length=1, max_length=65536)] | None = described(
        "The text itself, at most 64 KiB.", default=None
    )
    config_map_key_ref: ConfigMapKeyRef | None = described(
        "Where the text stands; a change there gives the agent a new handbook.", default=None
    )


class DecisionRule(Model):
    """A decision boundary: what the agent decides alone, and above which limit it does not."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            cel("has(self.limit) == has(self.above)", "limit and above go together: give both or neither"),
            cel("!has(self.limit) || self.decide == 'Autonomous'", "a limit only makes sense with decide: Autonomous"),
        )
    )

    name: Annotated[Label, described("Name of the rule.")]
    action: Annotated[
        str, StringConstraints(min_length=1, max_length=253), described("The action, in the agent's own vocabulary.")
    ]
    decide: Annotated[
        Decision,
        described(
            "Who decides: the agent (Autonomous), a human before it acts (RequireApproval), "
            "a human instead of it (Escalate), nobody (Never)."
        ),
    ]
    limit: Decimal | None = described("Up to this amount the agent decides alone; a decimal number.", default=None)
    above: AboveLimit | None = described("What happens above the limit.", default=None)


class KnowledgeSource(Model):
    """An approved knowledge source."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            cel(
                "!has(self.dataCategories) || has(self.consentRef) || "
                "!self.dataCategories.exists(c, c == 'Personal' || c == 'SpecialCategory')",
                "personal data needs consentRef: name the record of consent or of another legal basis (GDPR Art. 6)",
            )
        )
    )

    name: Annotated[Label, described("Name of the source.")]
    uri: Annotated[str, StringConstraints(min_length=1, max_length=2048), described("Where it is.")]
    data_categories: Annotated[
        tuple[DataCategory, ...], described("What kinds of data it holds.", max_length=5, json_schema_extra=AS_SET)
    ] = ()
    consent_ref: Annotated[str, StringConstraints(min_length=1, max_length=253)] | None = described(
        "Record of consent or other legal basis.", default=None
    )


class Handbook(Model):
    """Instructions, decision boundaries, knowledge sources and prohibitions."""

    instructions: Instructions | None = described("What the agent is told to do, as text.", default=None)
    rules: Annotated[
        tuple[DecisionRule, ...], described("Decision boundaries.", max_length=64, json_schema_extra=map_by("name"))
    ] = ()
    knowledge_sources: Annotated[
        tuple[KnowledgeSource, ...],
        described("Approved knowledge sources.", max_length=32, json_schema_extra=map_by("name")),
    ] = ()
    prohibited: Annotated[
        tuple[Annotated[str, StringConstraints(min_length=1, max_length=512)], ...],
        described("What the agent must never do, a sentence each.", max_length=64, json_schema_extra=AS_SET),
    ] = ()
