"""Whom the operator may ask: addresses of Prometheus that its settings name, and no others.

The address in a template is its author's. A request of the operator comes from inside the cluster and with its network
rights, so an address of the author's own choice would let them reach what they cannot (server-side request forgery,
CWE-918). Hence an author only chooses among those that the administrator has listed.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final
from urllib.parse import urlsplit

SETTING: Final = "AIAGENT_PROMETHEUS_ADDRESSES"
_PORTS: Final = {"http": 80, "https": 443}


class AddressError(ValueError):
    """An address that is none, or that may not be asked; the message says what to write, and who can allow it."""


def normal(text: str) -> str:
    """The address in one form, so that equal ones compare equal: `https://host:port/path`, without a slash at the end.

    Raises AddressError for what is not plainly a URL of http or https: with a user, a query or a fragment, say.
    """
    shape = f"{text[:253]!r} is not an address such as http://prometheus.monitoring:9090"
    if not text.isascii() or not text.isprintable() or " " in text or "\\" in text:
        raise AddressError(shape)
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError as error:
        raise AddressError(f"{shape}: {error}") from error
    if parts.scheme not in _PORTS or not parts.hostname:
        raise AddressError(shape)
    if "@" in text or parts.query or parts.fragment or "?" in text or "#" in text:
        raise AddressError(f"{shape}: leave out user, password, query and fragment")
    if any(part in {".", ".."} for part in parts.path.split("/")) or "%" in text:
        raise AddressError(f"{shape}: leave out dots and percent signs in its path")
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    return f"{parts.scheme}://{host}:{_PORTS[parts.scheme] if port is None else port}{parts.path.rstrip('/')}"


def chosen(wanted: str | None, allowed: Iterable[str]) -> str:
    """The address to ask: the one that is wanted, else the first that is allowed. Raises AddressError."""
    known = [normal(address) for address in allowed]
    if not known:
        raise AddressError(
            f"the operator may ask no Prometheus: an administrator names those it may in {SETTING}, separated by commas"
        )
    if wanted is None:
        return known[0]
    address = normal(wanted)
    if address not in known:
        raise AddressError(
            f"the operator may not ask {address}: leave prometheus.address out, or let an administrator add it to "
            f"{SETTING}"
        )
    return address
