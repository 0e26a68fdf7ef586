"""Objects of an agent that leaves of which no label tells any more, since somebody took it off."""

from __future__ import annotations

from typing import Final

from aiagent_operator.api import meta
from aiagent_operator.core.children import role
from aiagent_operator.core.objects import ChildKind, ObjectKey
from aiagent_operator.core.plan import Observed, Verb, Write
from aiagent_operator.core.rights import holdings

# What may be somebody else's, adopted: it is given back, and stays.
_ADOPTABLE: Final = (ChildKind.DEPLOYMENT, ChildKind.STATEFUL_SET)


def find(o: Observed) -> dict[ObjectKey, str]:
    """Where objects of the agent may be that no label tells of any more, with the UIDs that the inventory knows.

    Those whose deletion was answered are gone. Bindings are looked for by name as well: their names follow from the
    agent's, and rights are what must not remain.
    """
    lost = {
        ObjectKey(ChildKind.ROLE_BINDING, namespace, role.name_in(o.identity, namespace)): ""
        for namespace in holdings.namespaces_held(o)
    }
    known = {kind.value for kind in ChildKind}
    for entry in o.agent.status.get("inventory") or ():
        adopted = entry["kind"] in _ADOPTABLE and "generation" not in entry
        if entry["kind"] in known and not adopted and entry["uid"] not in o.ended:
            lost[ObjectKey(ChildKind(entry["kind"]), entry["namespace"], entry["name"])] = entry["uid"]
    return lost


def removal(o: Observed, key: ObjectKey, uid: str) -> Write | None:
    """The write that removes a lost object; None where it is gone, or something else bears its name."""
    live = o.live.get(key)
    if live is None:
        return None
    own = live["metadata"]["uid"] == uid
    subject = {"kind": "ServiceAccount", "name": meta.account_name(o.identity.name), "namespace": o.identity.namespace}
    bound = key.kind is ChildKind.ROLE_BINDING and live.get("subjects") == [subject]
    return Write(Verb.DELETE, key, uid=live["metadata"]["uid"]) if own or bound else None
