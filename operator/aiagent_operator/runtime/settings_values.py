"""What settings are made of: values as the environment has them, read and checked."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Final

from pydantic import AfterValidator, BeforeValidator, Field, StringConstraints
from pydantic_settings import NoDecode

from aiagent_operator.api.fields import DNS_LABEL
from aiagent_operator.core.evaluation.address import normal

_LABEL: Final = r"^[A-Za-z0-9]([-A-Za-z0-9_./]*[A-Za-z0-9])?=([A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?)?$"


def _split(value: Any) -> Any:
    """`a, b,` as the list of a and b, `none` as the empty one (an empty variable means the default)."""
    if not isinstance(value, str):
        return value
    return () if value.strip() == "none" else tuple(part.strip() for part in value.split(",") if part.strip())


def _there(value: Path | None) -> Path | None:
    if value is not None and not value.is_file():
        raise ValueError("there is no such file: mount it, or leave the variable out")
    return value


def _address(value: str) -> str:
    return str(ipaddress.ip_address(value)) if value else ""


def _urls(value: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(normal(address) for address in value)


def _each(check: Callable[[str], object]) -> AfterValidator:
    """Each of them is one that the function takes; it raises ValueError else."""

    def checked(value: tuple[str, ...]) -> tuple[str, ...]:
        for one in value:
            check(one)
        return value

    return AfterValidator(checked)


def parse_endpoint(text: str) -> tuple[str, int]:
    """`10.0.0.1:6443` or `[fd00::1]:6443` as address and port; ValueError says what is wrong with it."""
    host, _, port = text.rpartition(":")
    address = str(ipaddress.ip_address(host.strip("[]"))) if host else ""
    if not address or not port.isdigit() or not 0 < int(port) < 65_536:
        raise ValueError(f"{text!r} is not an address and port such as 10.0.0.1:6443 or [fd00::1]:6443")
    return address, int(port)


Name = Annotated[str, StringConstraints(min_length=1, max_length=63, pattern=DNS_LABEL)]
Address = Annotated[str, AfterValidator(_address)]
File = Annotated[Path | None, AfterValidator(_there)]
Seconds = Annotated[float, Field(gt=0, le=86_400)]

Names = Annotated[tuple[Name, ...], NoDecode, BeforeValidator(_split)]
Selector = Annotated[tuple[Annotated[str, StringConstraints(pattern=_LABEL)], ...], NoDecode, BeforeValidator(_split)]
Ports = Annotated[
    tuple[Annotated[int, Field(ge=1, le=65_535)], ...], Field(min_length=1), NoDecode, BeforeValidator(_split)
]
Cidrs = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_split), _each(ipaddress.ip_network)]
Endpoints = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_split), _each(parse_endpoint)]
Urls = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_split), AfterValidator(_urls)]
