"""Misspelt words of questions.

A word that stands nowhere in the base is looked for by its 3-grams among the words that do, and the nearest
of these ask in its place.
"""
