"""Who comes after whom: an agent that leaves names its successor, and the successor names it too."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from pydantic import ConfigDict, Field, StringConstraints

from aiagent_operator.api.fields import Digest, Model, ObjectName, cel, described, rules
from aiagent_operator.api.journalstatus import StoreName
from aiagent_operator.api.memory import Memory


class Acceptance(StrEnum):
    """Whether a person has to accept a handover before the successor is hired."""

    NONE = "None"
    REQUIRED = "Required"


class AgentRef(Model):
    """Another agent of the same namespace."""

    name: Annotated[ObjectName, described("Name of an AIAgent of the same namespace.")]


class Volume(Memory):
    """The volume into which the inheritance is unpacked."""

    claim_name: Annotated[
        ObjectName,
        described(
            "Name of a PersistentVolumeClaim here: all comes into its folder inherited/, which must not be there yet."
        ),
    ]


class Succession(Model):
    """From whom the agent takes over."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            cel(
                "!has(self.store) || !has(self.volume)",
                "name either a volume or a store: what is inherited is delivered to one place",
            )
        )
    )

    predecessor_ref: Annotated[
        AgentRef,
        described(
            "The agent that it comes after, which names it in spec.retirement.successorRef. It is not hired before "
            "that one has left and is archived."
        ),
    ]
    volume: Volume | None = described(
        "Where to put what the predecessor's archive has, and its memory, before it is hired. Who names it must hold "
        "update on persistentvolumeclaims.",
        default=None,
    )
    store: StoreName | None = described(
        "Name of an archive store of the operator that takes handovers: the same comes, before it is hired, below "
        "inherited/<namespace>/<name of the agent>/ of it. Who names it must hold the verb inherit on this AIAgent.",
        default=None,
    )
    acceptance: Annotated[
        Acceptance,
        described(
            "Required: it is hired once a person who holds the verb promote on it accepts the handover, by an "
            "AgentAction Promote given after its evaluations. It asks nothing of one that is hired already."
        ),
    ] = Acceptance.NONE


class KinStatus(Model):
    """Another agent, by which it cannot be mistaken for one of the same name."""

    name: Annotated[str, StringConstraints(max_length=63), described("Its name.")]
    uid: Annotated[str, StringConstraints(max_length=64), described("Its UID.")]


class AcceptanceStatus(Model):
    """The AgentAction Promote by which a handover was accepted."""

    name: Annotated[str, StringConstraints(max_length=253), described("Its name.")]
    uid: Annotated[str, StringConstraints(max_length=64), described("Its UID.")]
    revision: Annotated[int, Field(ge=1), described("Number of the revision that it was given for.")]


class DeliveryStatus(Model):
    """Where in an archive store lies what was delivered, decrypted."""

    store: Annotated[StoreName, described("Name of the archive store.")]
    path: Annotated[str, StringConstraints(max_length=512), described("The folder in it.")]
    digest: Annotated[Digest, described("Digest of manifest.json in that folder.")]


class SuccessionStatus(Model):
    """What the agent has taken over."""

    predecessor: Annotated[KinStatus, described("From whom.")]
    archive: Annotated[str, StringConstraints(max_length=253), described("The predecessor's AgentArchive.")]
    digest: Annotated[Digest, described("Digest of that archive's manifest.")]
    claim_name: ObjectName | None = described("The claim into which it was delivered.", default=None)
    delivery: DeliveryStatus | None = described("The store into which it was delivered.", default=None)
    time: Annotated[str, Field(json_schema_extra={"format": "date-time"}, max_length=64), described("When.")]
    acceptance: AcceptanceStatus | None = described("The order by which that was accepted.", default=None)


class HandoverStatus(Model):
    """What the agent that leaves has handed over."""

    successor: Annotated[KinStatus, described("To whom.")]
    digest: Annotated[Digest, described("Digest of the manifest of its archive, as the successor's status has it.")]
