"""Which rights an agent that leaves can have held: what is to be proved gone, and where it is looked for."""

from __future__ import annotations

from collections.abc import Iterator

from aiagent_operator.core.plan import Held, Observed
from aiagent_operator.core.rights.ledger import MOST_RIGHTS, Ledger
from aiagent_operator.core.rights.rules import Rule, count


def rights_held(o: Observed) -> tuple[Held, ...]:
    """Every (namespace, rule) the agent was granted or can have been: a superset of what it has held.

    The status names what was granted. Where a crash came before the status, the spec names what can have been.
    """
    held: dict[Held, None] = {}
    for entry in o.agent.status.get("permissions") or ():
        for namespace in entry.get("namespaces") or (o.identity.namespace,):
            held.update(((namespace, Rule.from_wire(rule)), None) for rule in entry.get("rules") or ())
    for namespaces, rules in _asked(o):
        held.update(((namespace, rule), None) for namespace in namespaces or (o.identity.namespace,) for rule in rules)
    return tuple(held)


def _asked(o: Observed) -> Iterator[tuple[tuple[str, ...], tuple[Rule, ...]]]:
    """What the spec asks for and may have been granted. What is beyond the bound on rights never was, and to ask about
    tens of thousands of rights would hold up the agent's end."""
    if o.role is not None:
        ledger = Ledger(o.role)
        for ask in o.role.asks(o.agent.spec.permissions):
            if ask.bundle and not ledger.enter(ask, ask.bundle, len(ask.namespaces) or 1):
                yield ask.namespaces, ask.bundle.rules
        return
    size = 0
    for permission in o.agent.spec.permissions:
        rules = tuple(map(Rule.of, permission.rules))
        size += count(rules) * (len(permission.namespaces) or 1)
        if size <= MOST_RIGHTS:
            yield permission.namespaces, rules


def namespaces_held(o: Observed) -> frozenset[str]:
    """Namespaces in which the agent can have had bindings."""
    named = {o.identity.namespace, *(namespace for namespace, _ in rights_held(o))}
    named.update(entry["namespace"] for entry in o.agent.status.get("inventory") or ())
    return frozenset(named)
