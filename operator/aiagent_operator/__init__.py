"""Kubernetes operator that employs AI agents: identity, rights, workload and their end."""

__version__ = "0.1.0"
