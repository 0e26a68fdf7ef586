"""Decisions: from an agent, its role and what is observed to a plan. Pure: no I/O, no clock, no logging.

`onboarding` and `offboarding` decide about one agent, in the words of `plan` and `objects`; `orders` about orders. Each
of the packages has one question: `rights` what an agent may do, `versions` which of its versions serves, `retraining`
and `cadence` when one is trained, `evaluation` how good it is, `rollout` how it takes over, `workload` and `targets`
what runs of it, `reviews` and `supervision` what is found while it serves, `policies` what a fleet asks, `runs` what
Jobs leave, and `children` what the objects look like.
"""
