"""A fake Kommo: REST v4, outgoing webhooks, simulated customers and managers, and faults on demand.

Accounts are virtual hosts (`acme.kommo.test`), told apart by the first label of the Host header.
"""
