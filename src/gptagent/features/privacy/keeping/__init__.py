"""What is kept of people and customers, as it is handed out."""
