"""Articles as a file: written while they are read, taken in whole or not at all."""
