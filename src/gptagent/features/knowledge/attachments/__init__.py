"""Files that an article brings along for the customer."""
