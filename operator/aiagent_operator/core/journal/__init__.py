"""The journal of an agent: what happens to it, as a chain of immutable records. Pure; moments are arguments.

`event` says what is to be told and `seal` makes a record of it, `record` reads one strictly, `chain` verifies many.
`settling` is what a writer does, request by request (`asking` are its words, `notes` what it says of itself).
`pending` is what waits while the store is down, `stored` how that stands in the status. Below them: `kinds`, `head`,
`data` (what may stand in a record) and `keyed` (people and their words, as digests).
"""
