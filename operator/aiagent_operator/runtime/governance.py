"""One pass over an AgentPolicy: what is true of it and of the agents that it selects, said in its status."""

from __future__ import annotations

from aiagent_operator.core.policies.report import report as judge
from aiagent_operator.runtime import paths, report
from aiagent_operator.runtime.client import Api
from aiagent_operator.runtime.fleet import Counts, Fleet
from aiagent_operator.runtime.policies import PolicyKey
from aiagent_operator.runtime.store import Store


class PolicyReconciler:
    """Says of each policy whether it can be read, and how many agents it is about."""

    def __init__(self, api: Api, store: Store, fleet: Fleet) -> None:
        self._api, self._store, self._fleet = api, store, fleet

    async def reconcile(self, key: PolicyKey) -> None:
        """One pass. Raises ApiError where it is to be made again later."""
        record = self._store.policies.records.get(key.name)
        if record is None:
            return
        counts = self._fleet.counts(key.name)
        found = judge(record.compiled, *(counts or Counts()))
        # After a start of the operator, what was counted before it stays until all agents were looked at.
        fields = found.status if counts else {}
        patch = report.changes(record.status, fields, found.verdicts, record.generation)
        if not patch:
            return
        answer = await report.write(self._api, paths.policy(key.name), record.uid, patch)
        if answer is not None:
            self._store.policies.observe(answer, answer=True)
