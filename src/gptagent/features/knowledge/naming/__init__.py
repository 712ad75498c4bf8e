"""The graph's names in the search: what a question calls by one name is also found by the others, where that helps."""
