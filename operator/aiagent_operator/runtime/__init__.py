"""The shell around the core: watches, queue, writes, leader election, metrics."""
