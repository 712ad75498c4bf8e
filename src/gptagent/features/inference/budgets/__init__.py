"""What models may cost: taken into account before each call, counted after it."""
