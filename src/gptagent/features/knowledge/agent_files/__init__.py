"""An agent's own files: documents that no other agent, and no search of the workspace, finds."""
