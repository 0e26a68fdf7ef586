"""The command `kubectl-aiagent`: what people and CI ask about agents, with the rights of who asks."""
