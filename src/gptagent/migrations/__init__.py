"""The database's only history: Alembic revisions with plain SQL inside, run by the owner role."""
