"""The operator's command `archive import` as it runs in its pod, and what AgentArchives say before and after it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from aiagent_operator.core.archive import index
from aiagent_operator.core.objects import AgentIdentity
from support import agents, chart
from support.agents import permission
from support.archivefolder import ArchiveFolder
from support.cluster import Cluster
from support.kube import Kube, Object
from support.operator import SOURCES
from support.terminal import Answer
from support.workplace import Workplace


class Desk:
    """Agents that have left, the store with their archives, and the operator's command as it runs in its pod."""

    def __init__(self, place: Workplace, folder: ArchiveFolder) -> None:
        self.place, self.folder = place, folder
        self.admin: Kube = place.admin
        self.names: list[str] = []

    def leave(self, name: str) -> tuple[str, str]:
        """An agent that is employed and dismissed: its UID, and the name of its AgentArchive."""
        self.place.employ(name, self.place.new_role(name), permission("refund"))
        uid = self.place.until_ready(name)["metadata"]["uid"]
        self.place.dismiss(name)
        self.place.until_gone(name)
        self.names.append(index.name(AgentIdentity(self.place.namespace, name, uid)))
        return uid, self.names[-1]

    def record(self, name: str) -> Object | None:
        """The AgentArchive, where there is one."""
        return self.admin.find(agents.API, "agentarchives", name)

    def command(self, *arguments: str, kubeconfig: Path | None = None, text: bytes = b"") -> Answer:
        """What the command says."""
        cluster: Cluster = self.place.installed.cluster
        own = kubeconfig or cluster.kubeconfig_for_serviceaccount(chart.NAMESPACE, chart.ACCOUNT)
        settings = {"AIAGENT_ARCHIVE_FILE": str(self.folder.described()), "AIAGENT_NAMESPACE": chart.NAMESPACE}
        known = {key: value for key, value in os.environ.items() if not key.startswith(("AIAGENT_", "KUBE"))}
        done = subprocess.run(
            [sys.executable, "-m", "aiagent_operator", *arguments],
            env={**known, **settings, "KUBECONFIG": str(own), "PYTHONPATH": str(SOURCES)},
            input=text,
            capture_output=True,
            timeout=120,
            check=False,
        )
        return Answer(done.returncode, done.stdout.decode(), done.stderr.decode())

    def rebuild(self, *arguments: str, **given: bytes) -> Answer:
        """`archive import`."""
        return self.command("archive", "import", *arguments, **given)  # type: ignore[arg-type]


def said(record: Object | None) -> object:
    """What an AgentArchive says, apart from when it was looked at."""
    assert record is not None
    status = record["status"]
    conditions = {c["type"]: (c["status"], c["reason"], c["message"]) for c in status["conditions"]}
    verification = {**status["verification"], "lastTime": ""}
    labels = record["metadata"].get("labels")
    return (record["spec"], labels, status["phase"], status.get("certificate"), verification, conditions)
