"""Messages owed to a customer outside of a turn: a colleague's, a hand-off's, a follow-up."""
