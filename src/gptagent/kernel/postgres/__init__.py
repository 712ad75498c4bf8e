"""The embedded PostgreSQL: found, started as an unprivileged user, watched, attached to and stopped.

`Postgres(home).start()` is for the one process that supervises; every other process of the same home
uses `read_roles(home)` or `Postgres(home).attach()`.
"""

from gptagent.kernel.postgres.endpoint import Endpoint
from gptagent.kernel.postgres.roles import Roles, prepare_database, read_roles
from gptagent.kernel.postgres.supervisor import Postgres

__all__ = ["Endpoint", "Postgres", "Roles", "prepare_database", "read_roles"]
