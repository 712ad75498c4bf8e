"""What the agents may say: articles written here, documents uploaded, and the search over both.

Sources are cut into passages when they change; a postings table of 'russian' lexemes (which stems English
too) answers questions by BM25, misspelt words taken for near ones that are there (`spelling`). Uploads are
read by a limited child process (`parsing`).
"""
