"""What is kept about people and customers: exported, erased, and forgotten in time."""
