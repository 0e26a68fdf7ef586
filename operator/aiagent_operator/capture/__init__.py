"""The program of the Job that archives an agent's memory: it packs a volume, encrypts it and sends it to the operator.

It runs in a pod of its own, beside what the agent has left, without any right and without the store's credentials.
"""
