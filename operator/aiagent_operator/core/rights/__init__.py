"""What an agent may do: what it asks for, its role's word and the ceilings, and who else can act as it."""
