"""Evaluations: what was measured, whether it is good enough, and the state of a run. Pure; `now` is an argument.

`result` reads what a Job leaves, `query` and `answer` are the two ends of a question to Prometheus, `address` says whom
it may be put to. `judge` holds one number against its bounds, `measure` makes a measurement of either, `run` and `jobs`
carry a run to its verdict, `record` keeps the template that it began with. `evaluating`
and `evaluating_jobs` make the next step of an agent's runs of that, `carrying` whichever of the two it is, and
`analysing` does so for those that a rollout asks for. All state is in the status, so that a
restart changes nothing.
"""
