"""The list of agents: which of them, in what order, and what is done to several at once."""
