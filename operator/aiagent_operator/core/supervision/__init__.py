"""What is watched of an agent while it works: what a measurement changes (`drift`), and what is asked (`watching`)."""
