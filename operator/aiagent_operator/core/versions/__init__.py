"""The versions of an agent: which there are, what each has to pass, and which of them serves."""
