"""What people write for the agents: articles with their places, relatives and earlier versions."""
