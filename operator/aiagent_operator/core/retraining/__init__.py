"""Whether one agent trains, waits, or is suspended for its age (`due`), and who of all may start now (`fleet`)."""
