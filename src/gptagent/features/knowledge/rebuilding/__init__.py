"""What the search is kept in, made anew from the texts, and the proof that it finds the same."""
