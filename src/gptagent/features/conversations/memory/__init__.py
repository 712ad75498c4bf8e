"""What customers have said of themselves: read from their messages, told to the model in later turns."""
