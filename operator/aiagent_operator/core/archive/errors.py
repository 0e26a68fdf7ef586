"""What is wrong with an archive, or with what is to be put into one."""

from __future__ import annotations


class ArchiveError(ValueError):
    """Something that is not taken; the message names the file and the field, and says what to do."""


class PathError(ArchiveError):
    """A path that could lead out of an archive, or that two systems could take for two files."""


class KeyFileError(ArchiveError):
    """A key that cannot be used."""


class SignatureError(ArchiveError):
    """An envelope that no given key has signed."""


class PayloadError(ArchiveError):
    """Personal payload that cannot be encrypted, or that is not what was encrypted."""
