"""Alembic's entry: it gets its connection from `run.migrate`, never from an ini file."""

from alembic import context

connection = context.config.attributes["connection"]
context.configure(
    connection=connection,
    transaction_per_migration=True,
    version_table_schema="app",
    version_table="alembic_version",
)
with context.begin_transaction():
    context.run_migrations()
