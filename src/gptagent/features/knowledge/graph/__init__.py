"""The knowledge graph: what the base speaks of, what is said of it, how it hangs together, and where."""
