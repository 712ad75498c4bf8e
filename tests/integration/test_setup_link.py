"""The first account, on a database without people."""

import psycopg
import pytest

from gptagent.features.identity import service as identity
from gptagent.features.organizations.registration import Register, register
from gptagent.kernel.db import Database
from gptagent.kernel.errors import NotFound
from gptagent.kernel.postgres.endpoint import socket_dsn
from gptagent.migrations.run import migrate
