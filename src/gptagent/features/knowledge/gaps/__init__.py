"""Questions of customers that the base does not answer, or hardly, gathered by subject."""
