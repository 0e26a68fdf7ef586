"""Decisions: from an agent, its role and what is observed to a plan. Pure: no I/O, no clock, no logging."""
