"""Articles proposed from what a person answered: no source of anything until a person accepts them."""
