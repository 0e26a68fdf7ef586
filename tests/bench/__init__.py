"""Measures: each a ratio to what the machine could do at best, taken in the same run."""
