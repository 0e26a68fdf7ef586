"""What can go wrong with the local control plane, each with its remedy in the text."""


class LocalClusterError(Exception):
    """Any failure of the local control plane."""


class BuildError(LocalClusterError):
    """The programs of the control plane could not be built."""


class ComponentDied(LocalClusterError):
    """A component ended by itself; the text holds the tail of its log."""


class StartTimeout(LocalClusterError):
    """A component runs but did not become ready within its time."""
