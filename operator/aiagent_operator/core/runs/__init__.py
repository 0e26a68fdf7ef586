"""Runs: what became of a Job that trains or evaluates, and what it left, read as the word of a stranger.

`facts` reads Job and pods, `outcome` says how the run goes, `result` what a training left and `bounds` what of that is
allowed. Below them: `strict_json`, `untrusted` (text for people) and `images` (references).
"""
