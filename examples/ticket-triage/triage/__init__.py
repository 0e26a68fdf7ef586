"""An agent that learns: it assigns first-line support tickets to queues, and hands over what it is not sure of."""
