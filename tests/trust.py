"""What the tests' HTTP clients trust: read once, a client of its own reads all authorities again."""

import httpx2

TRUST = httpx2.create_ssl_context()
