"""The archive stores that the administrator describes in a file, which the chart mounts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import yaml

from aiagent_operator.core import texts
from aiagent_operator.core.archive.errors import KeyFileError
from aiagent_operator.core.strict_json import kind
from aiagent_operator.runtime.archive.config import ConfigError, StoreConfig, read

if TYPE_CHECKING:
    from aiagent_operator.core.archive.envelope import PrivateKey, PublicKey

_FIELDS: Final = ("default", "stores", "signingKeyFile")


@dataclass(frozen=True, slots=True)
class Described:
    """The stores by their names, which of them is for agents whose policies name none, and the key that signs
    certificates of decommission; None where there is none. `former_keys`: public parts of keys that have signed before.
    """

    default: str
    stores: Mapping[str, StoreConfig]
    signing_key: PrivateKey | None = None
    former_keys: tuple[PublicKey, ...] = ()


def load(path: Path) -> Described:
    """What the file describes. Raises ConfigError, naming the file, the store and the field.

    The file is the administrator's own, so each store may be where it says; nobody else can name one.
    """
    try:
        found = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ConfigError(f"{path} cannot be read as YAML: {error}") from error
    try:
        return _described(found)
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}") from error


def _described(found: Any) -> Described:
    if not isinstance(found, dict) or not isinstance(found.get("stores"), list) or not found["stores"]:
        raise ConfigError("it lists no archive stores: write stores, with name and url of each")
    if unknown := sorted(str(field) for field in found if field not in _FIELDS):
        raise ConfigError(f"{unknown[0]} is no field of it: use {texts.some(_FIELDS)}")
    stores: dict[str, StoreConfig] = {}
    for entry in found["stores"]:
        if not isinstance(entry, dict):
            raise ConfigError(f"stores has {kind(entry)} in it: write each store with name and url")
        config = read(entry, None)
        if config.name in stores:
            raise ConfigError(f"two archive stores are called {config.name}: give each a name of its own")
        stores[config.name] = config
    default = found.get("default") or next(iter(stores))
    if default not in stores:
        raise ConfigError(f"default is {default}, and the stores are {texts.some(stores)}: name one of them")
    signing = found.get("signingKeyFile")
    return Described(str(default), stores, _signing_key(signing), _former_keys(signing))


def _former_keys(signing: Any) -> tuple[PublicKey, ...]:
    """The public keys beside the one that signs: `*.pub` of the same Secret."""
    if signing is None or not (there := sorted(Path(str(signing)).parent.glob("*.pub"))):
        return ()
    from aiagent_operator.core.archive.envelope import public_key  # noqa: PLC0415 - as below

    try:
        return tuple(public_key(path.read_bytes(), str(path)) for path in there)
    except OSError as error:
        raise ConfigError(f"{error.filename} cannot be read: {error.strerror}: mount the Secret there") from error
    except KeyFileError as error:
        raise ConfigError(str(error)) from error


def _signing_key(name: Any) -> PrivateKey | None:
    if name is None:
        return None
    # Only where there is a key: the libraries take 10 MB.
    from aiagent_operator.core.archive.envelope import private_key  # noqa: PLC0415

    try:
        return private_key(Path(str(name)).read_bytes(), f"signingKeyFile {name}")
    except OSError as error:
        raise ConfigError(f"signingKeyFile {name} cannot be read: {error.strerror}: mount the Secret there") from error
    except KeyFileError as error:
        raise ConfigError(str(error)) from error
