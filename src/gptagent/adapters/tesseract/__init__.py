"""Tesseract, as Debian has it, fulfils the port of text recognition."""
