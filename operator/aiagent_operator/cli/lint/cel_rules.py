"""The CEL rules of the CustomResourceDefinitions, evaluated as they stand there.

Kubernetes' own functions in them are defined here as its library defines them (apiserver/pkg/cel/library); a test keeps
every rule of every kind within what is known.
"""

from __future__ import annotations

import ipaddress
import re
from datetime import timedelta
from functools import lru_cache
from typing import Any, Final

import cel

from aiagent_operator.api import durations

_PREFIX: Final = re.compile(r"[^/%]+/(?:0|[1-9][0-9]{0,2})")


def holds(rule: str, value: Any) -> bool:
    """Whether the rule holds for `self`. A rule that cannot be evaluated does not hold, as in the API server."""
    context = cel.Context(variables={"self": value}, functions=FUNCTIONS)
    try:
        return bool(_program(rule).execute(context) is True)
    except (KeyError, RuntimeError, TypeError, ValueError):
        return False


@lru_cache(maxsize=256)
def _program(rule: str) -> cel.Program:
    # The evaluator's own `duration` knows other texts than Go's, and cannot be defined anew.
    return cel.compile(re.sub(r"\bduration\(", "goDuration(", rule))


def _is_cidr(text: str) -> bool:
    """Go's netip.ParsePrefix, without IPv4-mapped IPv6 addresses, as Kubernetes has it."""
    if not _PREFIX.fullmatch(text):
        return False
    try:
        address = ipaddress.ip_interface(text).ip
    except ValueError:
        return False
    return not (isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped)


def _cidr(text: str) -> str:
    return ipaddress.ip_interface(text).with_prefixlen


def _masked(text: str) -> str:
    return ipaddress.ip_network(text, strict=False).with_prefixlen


def _is_sorted(items: Any) -> bool:
    """Of Kubernetes' list library (apiserver/pkg/cel/library/lists.go): no element before a smaller one."""
    found = list(items)
    return found == sorted(found)


def _duration(text: str) -> timedelta:
    """As Go reads it. What is longer than ten years raises ValueError: no field may be."""
    return durations.parse(text, "self")


FUNCTIONS: Final = {
    "isCIDR": _is_cidr,
    "cidr": _cidr,
    "masked": _masked,
    "goDuration": _duration,
    "isSorted": _is_sorted,
}
