"""Hand-off: message to the customer, assignment, task and summary for a colleague, together or not at all."""
