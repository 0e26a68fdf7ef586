"""Archives of agents that have left. Pure: bytes come in and go out, moments are arguments. Only making keys,
encrypting, and signing with ECDSA draw random numbers.

`names` and `layout` say where everything is, `manifest` what is in it, `wire` how models become bytes and back.
`verify` holds files against a manifest, `told` the journal among them. `retention` says how long an archive is kept,
`disposal` what may be destroyed of it, `tombstone` what stays then. `certificate` says what was proved of the agent's
rights, `envelope` signs that. `payload` encrypts what is personal. `steps` orders all of it when an agent leaves.
"""
