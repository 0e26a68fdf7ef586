"""Archives of agents that have left: layout, manifest, verification, retention, certificate, personal payload."""
