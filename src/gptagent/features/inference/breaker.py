"""Which models do not answer, known to all processes: a row of the database per model and endpoint."""

from contextlib import suppress
from urllib.parse import urlsplit

import structlog

from gptagent.features.inference import store
from gptagent.features.inference.model import CIRCUIT
from gptagent.kernel.db import CONNECTION_LOST, Database
from gptagent.kernel.errors import UpstreamUnavailable
from gptagent.kernel.observe import LLM_CIRCUITS

log = structlog.get_logger(__name__)

NAME_MAX_CHARS = 200


class PostgresBreaker:
    """Implements `Breaker`. While the database does not answer, every model may be asked."""

    def __init__(self, db: Database, base_url: str) -> None:
        parts = urlsplit(base_url)
        self._db = db
        self._endpoint = f"{parts.hostname}:{parts.port or (80 if parts.scheme == 'http' else 443)}"
        self._troubled: set[str] = set()

    async def ask(self, model: str) -> float:
        failures, open_for = 0, 0.0
        with suppress(UpstreamUnavailable, *CONNECTION_LOST):
            async with self._db.installation() as session:
                failures, open_for = await store.ask_circuit(session, self._key(model))
            self._note(model, failures)
        return open_for

    async def tell(self, model: str, *, failed: bool) -> None:
        if not failed and model not in self._troubled:
            return
        with suppress(UpstreamUnavailable, *CONNECTION_LOST):
            async with self._db.installation() as session:
                failures = await store.note_circuit(session, self._key(model), failed=failed)
            self._note(model, failures)
            if failed and failures == CIRCUIT.trip:
                LLM_CIRCUITS.inc()
                log.warning("llm_circuit_opened", model=model, endpoint=self._endpoint)
            elif not failed:
                log.info("llm_circuit_closed", model=model, endpoint=self._endpoint)

    def _note(self, model: str, failures: int) -> None:
        if failures:
            self._troubled.add(model)
        else:
            self._troubled.discard(model)

    def _key(self, model: str) -> str:
        return f"llm:{model[:NAME_MAX_CHARS]} at {self._endpoint}"
