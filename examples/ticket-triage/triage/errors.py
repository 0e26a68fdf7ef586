"""The one error that is shown to people, without a traceback."""


class TriageError(Exception):
    """Something that somebody has to repair; the text names what it is, where, and what to do."""
