"""One pass over an AgentPolicy: what is true of it, said in its status."""

from __future__ import annotations

from aiagent_operator.core.policies.report import report as judge
from aiagent_operator.runtime import paths, report
from aiagent_operator.runtime.client import Api
from aiagent_operator.runtime.policies import PolicyKey
from aiagent_operator.runtime.store import Store


class PolicyReconciler:
    """Says of each policy whether it can be read."""

    def __init__(self, api: Api, store: Store) -> None:
        self._api, self._store = api, store

    async def reconcile(self, key: PolicyKey) -> None:
        """One pass. Raises ApiError where it is to be made again later."""
        record = self._store.policies.records.get(key.name)
        if record is None:
            return
        found = judge(record.compiled, 0, 0, 0)
        patch = report.changes(record.status, {}, found.verdicts, record.generation)
        if not patch:
            return
        answer = await report.write(self._api, paths.policy(key.name), record.uid, patch)
        if answer is not None:
            self._store.policies.observe(answer)
