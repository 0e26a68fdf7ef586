"""How a candidate revision takes over from the stable one: replicas, traffic, steps. Pure; `now` is an argument.

`decide.decide` makes from Facts a Decision: what to write now, the status to keep, and what is waited for.
`retire.retire` says when the former revision's pods go after a promotion. Below them: `facts` and `decision` (the
vocabulary), `course` (the spec as one list of steps), `motion` (which pods and traffic a weight means, and the next
move towards it), `replicas` (arithmetic of pods), `traffic`, `verdicts` (evaluations), `orders`, `clock`, `waits`;
`stored` writes and reads what is kept.

Moments are aware datetimes in UTC. The same facts give the same decision; its status, fed back, changes nothing.
"""
