"""What a person answered in a conversation they took over, handed to the knowledge base as a draft."""
