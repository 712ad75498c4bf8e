"""For which stages of a deal something of the base is."""
