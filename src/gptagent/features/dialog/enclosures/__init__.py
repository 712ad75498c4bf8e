"""Files that belong to a reply: those of the article it was drawn from, sent after it, each once."""
