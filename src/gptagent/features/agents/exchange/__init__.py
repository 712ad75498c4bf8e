"""An agent as a file: taken out of one workspace, put into another."""
