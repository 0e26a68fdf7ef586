"""References to container images, read as container runtimes read them.

The grammar is that of https://github.com/distribution/reference (reference.go), with the names that Docker made short
written out: `nginx:1` is `docker.io/library/nginx:1`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from aiagent_operator.core import untrusted

LONGEST: Final = 512
"""Characters: a registry and repository of 255, a tag of 128, and a digest."""

_LONGEST_PATH: Final = 255
_LABEL: Final = r"(?:[a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9])"
_DOMAIN: Final = re.compile(rf"(?:{_LABEL}(?:\.{_LABEL})*|\[[a-fA-F0-9:]+\])(?::[0-9]+)?")
_PATH: Final = re.compile(r"[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*(?:/[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*)*")
_TAG: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}")
_DIGESTS: Final = {"sha256": 64, "sha384": 96, "sha512": 128}
_HOST: Final = frozenset(".:[")
_DEFAULT_DOMAIN: Final = "docker.io"
_OLD_DOMAIN: Final = "index.docker.io"


class ImageError(ValueError):
    """A text that is no reference to an image; the message says what is wrong with it, and not where it stands."""


@dataclass(frozen=True, slots=True)
class Image:
    """A reference, in full. `tag` and `digest` are empty where it has none."""

    domain: str
    path: str
    tag: str = ""
    digest: str = ""

    @property
    def repository(self) -> str:
        """Registry and name: who may push there decides what its images are."""
        return f"{self.domain}/{self.path}"


def parse(text: str) -> Image:
    """The reference. Raises ImageError."""
    if len(text) > LONGEST:
        raise ImageError(f"has {len(text)} characters, and an image reference at most {LONGEST}")
    rest, at, digest = text.partition("@")
    if at:
        _check_digest(digest)
    head, colon, tag = rest.rpartition(":")
    if not colon or "/" in tag:
        head, tag = rest, ""
    elif not _TAG.fullmatch(tag):
        raise ImageError(f"has the tag {untrusted.shown(tag)}: letters, digits, '_', '.' and '-', at most 128")
    domain, path = _split(head)
    # Host names are the same in capitals, but only capitals make `A/b` a registry and `a/b` a name.
    if not _DOMAIN.fullmatch(domain) or (domain != domain.lower() and not set(domain) & _HOST):
        raise ImageError(
            f"has the registry {untrusted.shown(domain)}: write a host name, and a port where it needs one"
        )
    if len(path) > _LONGEST_PATH or not _PATH.fullmatch(path):
        raise ImageError(
            f"has the name {untrusted.shown(path)}: lower-case letters and digits, '.', '_' or '-' between them and "
            f"'/' between parts, at most {_LONGEST_PATH}"
        )
    return Image(domain.lower(), path, tag, digest)


def _check_digest(digest: str) -> None:
    algorithm, _, value = digest.partition(":")
    length = _DIGESTS.get(algorithm)
    if length is None or not re.fullmatch(rf"[0-9a-f]{{{length}}}", value):
        raise ImageError(f"has the digest {untrusted.shown(digest)}: write sha256: and 64 hexadecimal digits")


def _split(name: str) -> tuple[str, str]:
    """Registry and path. The first part is a registry where it looks like a host name, as Docker decides it."""
    first, slash, rest = name.partition("/")
    if not slash or not (set(first) & _HOST or first == "localhost" or first.lower() != first):
        first, rest = _DEFAULT_DOMAIN, name
    if first.lower() in {_OLD_DOMAIN, _DEFAULT_DOMAIN}:
        first = _DEFAULT_DOMAIN
    if first == _DEFAULT_DOMAIN and "/" not in rest:
        rest = f"library/{rest}"
    return first, rest
