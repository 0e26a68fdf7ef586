"""Workloads that somebody else owns: what is put into them, whose each field is, and how they are given back."""
