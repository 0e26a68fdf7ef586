"""When an agent is trained anew: plan, promise, spread, windows and slots. Pure; `now` is an argument.

`spec` makes these from text, `due` decides for one agent, `fleet` for all that are due. Below them: `crontab` (the
syntax), `schedule` (due times in a zone), `zones` (changes of the offset), `spread`, `windows`, `promise`, `backoff`.

Moments are aware datetimes in UTC. Time zones are data: the standard library reads each once and keeps it.
"""
