"""An archive store of a test's own: a directory, the file that describes it, and the journals in it."""

import base64
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import orjson
import yaml

from aiagent_operator.api.archive import Encryption
from aiagent_operator.core.archive import archivekey, layout, payload
from aiagent_operator.core.archive.verify import verify
from aiagent_operator.core.journal import chain
from aiagent_operator.core.objects import AgentIdentity
from support import chart
from support.archives import ED25519, KEYS, pem
from support.kube import Kube, Object


class ArchiveFolder:
    """A directory store by the name `local`; described to an operator by a file.

    With a `path` it is the folder in which a server keeps the objects of a bucket, by their names.
    """

    def __init__(self, top: Path, name: str = "local", path: Path | None = None) -> None:
        self.name, self.path = name, path or top / name
        self._top, self._key = top, top / "signing.key"
        self.path.mkdir(parents=True, exist_ok=path is not None)
        top.mkdir(exist_ok=True)
        self._key.write_bytes(pem(ED25519))

    @property
    def store(self) -> dict[str, str]:
        """Its description."""
        return {"name": self.name, "url": f"file://{self.path}"}

    def described(self, *more: dict[str, Any], signed: bool = True, file: str = "stores.yaml") -> Path:
        """The file for AIAGENT_ARCHIVE_FILE; `more` are other stores, `signed`: there is a key for certificates."""
        path = self._top / file
        content: dict[str, Any] = {"default": self.name, "stores": [self.store, *more]}
        if signed:
            content["signingKeyFile"] = str(self._key)
        path.write_text(yaml.safe_dump(content), encoding="utf-8")
        return path

    def described_in_bucket(self, region: str, endpoint: str, credentials: Path) -> Path:
        """The same for the server's bucket of which this is the folder, at this endpoint."""
        store: dict[str, Any] = {
            "name": self.name,
            "url": f"s3://{self.path.name}",
            "region": region,
            "endpoint": endpoint,
            "credentialsDir": str(credentials),
            "timeout": "2s",
        }
        file = self.described()
        described = yaml.safe_load(file.read_text()) | {"stores": [store]}
        file.write_text(yaml.safe_dump(described))
        return file

    def archived(self, uid: str) -> dict[str, bytes]:
        """The files of the agent's one archive, by their paths in it; empty where there is none."""
        folders = list((self.path / "archives" / uid).glob("*"))
        assert len(folders) <= 1
        return {
            str(path.relative_to(folder)): path.read_bytes()
            for folder in folders
            for path in sorted(folder.rglob("*"))
            if path.is_file()
        }

    def verified(self, uid: str, *, certified: bool = True) -> Object:
        """The manifest of the agent's archive, after a check that all of its files are what it says."""
        files = self.archived(uid)
        keys = KEYS if certified else ()
        given = [(path, [data]) for path, data in files.items()]
        report = verify(files[layout.MANIFEST], given, keys=keys, certified=certified)
        assert report.is_whole, report.findings
        assert bool(report.signed_by) is certified
        manifest: Object = orjson.loads(files[layout.MANIFEST])
        return manifest

    def personal(self, agent: AgentIdentity, admin: Kube) -> dict[str, bytes]:
        """The personal items of the agent's archive in the clear, by their paths without attempts: with its key, which
        an administrator may read."""
        secret = admin.get("v1", "secrets", archivekey.name(agent), namespace=chart.NAMESPACE)
        key = base64.b64decode(secret["data"]["identity"]).decode()
        files, found = self.archived(agent.uid), dict[str, bytes]()
        for item in self.verified(agent.uid)["items"]:
            assert item["personal"] is layout.is_payload(item["path"])
            if item["personal"]:
                clear = bytearray()
                payload.decrypt([files[item["path"]]], clear.extend, key, Encryption.model_validate(item["encrypted"]))
                found[layout.item(item["path"])] = bytes(clear)
        return found

    def entries(self, uid: str) -> list[tuple[str, bytes]]:
        """The records of an agent as they are stored, with their paths, in their order."""
        found = sorted((self.path / "journal" / uid).glob("*.json"))
        return [(str(path.relative_to(self.path)), path.read_bytes()) for path in found]

    def all(self) -> list[list[bytes]]:
        """The records of each journal, in their order."""
        return [[raw for _, raw in self.entries(folder.name)] for folder in (self.path / "journal").iterdir()]

    def records(self, uid: str) -> list[dict[str, Any]]:
        """The records of an agent."""
        return [orjson.loads(raw) for _, raw in self.entries(uid)]

    def told(self, uid: str) -> list[str]:
        """The kinds of its events."""
        return [str(record["type"]).rpartition(".")[2] for record in self.records(uid)]

    def permitted(self, uid: str, agent: Object | None) -> set[tuple[str, str, str, str]]:
        """(namespace, group, resource, verb) that the agent may use, by its records and by what its status notes.

        `agent` must have been read before, or an event that is just being recorded would be in neither.
        """
        records = [(str(r["type"]).rpartition(".")[2], r["cause"], r["data"]) for r in self.records(uid)]
        noted = ((agent or {}).get("status", {}).get("journal") or {}).get("pending") or []
        known = {record[:2] for record in records}
        more = [(event["kind"], event["cause"], orjson.loads(event["data"])) for event in noted]
        events = [(kind, data) for kind, _, data in records + [event for event in more if event[:2] not in known]]
        permissions: dict[str, dict[int, Object]] = {}
        for kind, data in events:
            if kind == "Revoked" or (kind == "Granted" and data["part"] == 1):
                permissions.pop(data["permission"], None)
            if kind == "Granted":
                permissions.setdefault(data["permission"], {})[data["part"]] = data
        return {
            (namespace, group, resource, verb)
            for parts in permissions.values()
            for data in parts.values()
            for namespace in data["namespaces"]
            for rule in data["rules"]
            for group in rule["apiGroups"]
            for resource in rule["resources"]
            for verb in rule["verbs"]
        }

    def whole(self, uid: str, status: Object | None = None) -> int:
        """Check that the chain is whole, and ends where a status says, if one is given; the number of its records."""
        found = chain.verify(self.entries(uid), uid)
        assert found.flaw is None, found.flaw
        if status is not None:
            assert status["journal"]["head"] == {"sequence": found.head.sequence, "digest": found.head.digest}
            assert "pending" not in status["journal"]
        return found.records

    @contextmanager
    def away(self) -> Iterator[None]:
        """The volume is not there for a while."""
        aside = self.path.with_name(f"{self.name}-away")
        self.path.rename(aside)
        try:
            yield
        finally:
            aside.rename(self.path)
