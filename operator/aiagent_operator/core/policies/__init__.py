"""AgentPolicies: read once, matched with agents, merged to the strictest of each, and reported.

`compiled` reads one, `merged` puts together those that select an agent, `report` says what is true of one.
"""
