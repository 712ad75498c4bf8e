"""What a workspace may keep in its knowledge base, and what it keeps."""
