"""In which categories documents and sites are."""
