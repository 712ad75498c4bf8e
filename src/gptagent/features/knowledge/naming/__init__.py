"""The graph's names in the search: what a question calls by one is also found by others, where that helps."""
