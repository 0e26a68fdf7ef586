"""Opening the store that a configuration describes."""

from __future__ import annotations

from aiagent_operator.runtime.archive.config import Scheme, StoreConfig
from aiagent_operator.runtime.archive.directory import DirectoryStore
from aiagent_operator.runtime.archive.proof import Look
from aiagent_operator.runtime.archive.store import Store


def opened(config: StoreConfig) -> Store:
    """The store; nothing is asked of it yet, see `proof`. Raises StoreError (Misconfigured)."""
    if config.scheme is Scheme.FILE:
        return DirectoryStore(config)
    # The library takes 8 MB, and its threads more, which an operator with a directory does without.
    from aiagent_operator.runtime.archive.bucket import BucketStore  # noqa: PLC0415

    return BucketStore(config)


def looking(config: StoreConfig, store: Store) -> Look | None:
    """How to ask the store about an object; None where it has nothing to say."""
    if config.scheme is not Scheme.S3:
        return None
    from aiagent_operator.runtime.archive import retention  # noqa: PLC0415
    from aiagent_operator.runtime.archive.bucket import BucketStore  # noqa: PLC0415

    return retention.looking(config, store) if isinstance(store, BucketStore) else None
