"""Whether one agent trains, waits, or is suspended for its age (`due`), who of all may start now (`fleet`),
and what one training gets, leaves and teaches the agent (`training`, `trained`)."""
