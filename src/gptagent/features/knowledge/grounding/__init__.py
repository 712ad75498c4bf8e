"""The fact gate: which figures and contacts of a reply have no source. Pure: texts in, facts out.

What is a fact and what is not: docs/decisions/0013-fact-gate.md.
"""
