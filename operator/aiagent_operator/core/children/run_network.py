"""The network of an agent's runs: nothing comes in; out go DNS and the connections that are declared.

The API server is not among them: a run has no rights there, and no token to show.
"""

from __future__ import annotations

from collections.abc import Iterable

from aiagent_operator.api import runs
from aiagent_operator.api.connections import Connection
from aiagent_operator.core.children import network_policy
from aiagent_operator.core.children.network_policy import DnsPeers
from aiagent_operator.core.objects import AgentIdentity, Desired


def build(agent: AgentIdentity, connections: Iterable[Connection], dns: DnsPeers) -> Desired:
    """The NetworkPolicy of the pods of all training and evaluation runs of the agent."""
    return network_policy.limited(
        agent, runs.network_name(agent.name), {runs.LABEL_RUN_OF: agent.uid}, connections, dns
    )
