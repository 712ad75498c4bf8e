"""How passages become the graph: whose turn it is, what was found in them, what it cost, what failed."""
