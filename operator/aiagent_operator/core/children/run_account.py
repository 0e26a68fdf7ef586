"""The identity of training or evaluation runs: a ServiceAccount that nothing is ever bound to.

It is not the agent's: what a run may do is what anybody who is authenticated may do. Evaluation has another one than
training, so that systems which trust issued tokens can tell a candidate from what trains it.
"""

from __future__ import annotations

from aiagent_operator.api import runs
from aiagent_operator.api.runs import RunKind
from aiagent_operator.core.children import service_account
from aiagent_operator.core.objects import AgentIdentity, Desired


def build(agent: AgentIdentity, kind: RunKind) -> Desired:
    """The ServiceAccount of the agent's runs of this kind."""
    return service_account.named(agent, runs.account_name(agent.name, kind))
