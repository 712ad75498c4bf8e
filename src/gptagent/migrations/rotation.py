"""Re-encrypts what older keys have sealed, batch by batch, while the platform runs."""

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

import psycopg
from psycopg import sql
from psycopg.rows import tuple_row

from gptagent.kernel.crypto import Vault
from gptagent.kernel.errors import Misconfigured
from gptagent.migrations.sealed import SEALED, SealedColumn

BATCH_ROWS = 200  # one short transaction each: a kill loses none, and no row stays locked for long
MAX_PASSES = 5  # a process that still seals with an older key makes another pass needed
_SEALED_MIN_BYTES = 93  # of an empty text; what is shorter was never sealed

Row = tuple[object, ...]
Connection = psycopg.Connection[tuple[object, ...]]


@dataclass(frozen=True, slots=True)
class KeyUse:
    """How many values one key has sealed. `place`: among the given keys; None if it is not one."""

    key_id: str
    place: int | None
    values: int


@dataclass(frozen=True, slots=True)
class Rotated:
    """`unreadable` values open with none of the given keys, or were damaged: they stayed as they are."""

    rewritten: int
    unreadable: int


def key_use(owner_dsn: str, vault: Vault) -> list[KeyUse]:
    """Return which keys have sealed how many values, the given keys first and in their order."""
    with psycopg.connect(owner_dsn, row_factory=tuple_row) as connection:
        counts = _count(connection)
    given = list(vault.key_ids)
    known = [KeyUse(key.hex(), place, counts.get(key, 0)) for place, key in enumerate(given)]
    return known + [
        KeyUse(key.hex(), None, number) for key, number in sorted(counts.items()) if key not in given
    ]


def rotate_keys(owner_dsn: str, vault: Vault) -> Rotated:
    """Seal everything anew with the first key; after that the others are not needed.

    May be killed and run again, and may run beside web and worker. Raises Misconfigured if no
    process has been started with these keys in this order: those that run could not open the new values.
    """
    with psycopg.connect(owner_dsn, row_factory=tuple_row) as connection:
        older = _check_in_use(connection, vault)
        rewritten = unreadable = 0
        for _ in range(MAX_PASSES):
            results = [_rotate_column(connection, column, vault) for column in SEALED]
            rewritten += sum(done for done, _failed in results)
            unreadable = sum(failed for _done, failed in results)
            if _of_others(_count(connection), vault) <= unreadable:
                break
        if not unreadable:
            _forget_older(connection, vault, older, rewritten)
        connection.commit()
    return Rotated(rewritten, unreadable)


def _check_in_use(connection: Connection, vault: Vault) -> list[str]:
    row = connection.execute("select key_fingerprint, older_fingerprints from app.installation").fetchone()
    connection.commit()
    if row is None or row[0] != vault.fingerprint:
        raise Misconfigured(
            "secret_keys_not_in_use",
            "Web and worker do not run with these SECRET_KEYS yet. Start them with the new key first.",
        )
    return [str(one) for one in row[1]]  # type: ignore[attr-defined]  # an array of texts


def _count(connection: Connection) -> Counter[bytes]:
    counts: Counter[bytes] = Counter()
    for place in SEALED:
        query = sql.SQL(
            """select substring({column} from 2 for 4), count(*) from app.{table}
                where octet_length({column}) >= {minimum} and get_byte({column}, 0) = 1 group by 1"""
        ).format(
            column=sql.Identifier(place.column), table=sql.Identifier(place.table), minimum=_SEALED_MIN_BYTES
        )
        for key, number in connection.execute(query):
            counts[bytes(key)] += int(str(number))  # type: ignore[call-overload]  # bytea
    connection.commit()
    return counts


def _of_others(counts: Counter[bytes], vault: Vault) -> int:
    return sum(number for key, number in counts.items() if key != vault.key_ids[0])


def _rotate_column(connection: Connection, place: SealedColumn, vault: Vault) -> tuple[int, int]:
    """Return how many values were sealed anew, and how many did not open."""
    done = failed = 0
    for rows in _batches(connection, place, vault.key_ids[0]):
        for *key, org_id, purpose, old in rows:
            try:
                text = vault.open(bytes(old), org_id=org_id, purpose=purpose)  # type: ignore[call-overload, arg-type]  # typed by the query
            except Misconfigured:
                failed += 1
                continue
            fresh = vault.seal(text, org_id=org_id, purpose=purpose)  # type: ignore[arg-type]  # as above
            done += _replace(connection, place, key, old, fresh)
        connection.commit()
    return done, failed


def _batches(connection: Connection, place: SealedColumn, primary: bytes) -> Iterator[list[Row]]:
    """Yield the rows of other keys than the primary one, by their own key, so that none is met twice."""
    after: tuple[object, ...] = ()
    comma, names = sql.SQL(", "), [sql.Identifier(name) for name in place.key]
    query = sql.SQL(
        """select {key}, {org}, {purpose}, {column} from app.{table}
            where octet_length({column}) >= {minimum} and get_byte({column}, 0) = 1
              and substring({column} from 2 for 4) <> %s {later} order by {key} limit {limit}"""
    )
    while True:
        later = sql.SQL("and ({}) > ({})") if after else sql.SQL("")
        found = connection.execute(
            query.format(
                key=comma.join(names),
                org=sql.SQL(place.org),
                purpose=sql.SQL(place.purpose),
                column=sql.Identifier(place.column),
                table=sql.Identifier(place.table),
                minimum=_SEALED_MIN_BYTES,
                later=later.format(comma.join(names), comma.join([sql.Placeholder()] * len(after))),
                limit=BATCH_ROWS,
            ),
            [primary, *after],
        ).fetchall()
        if not found:
            return
        after = found[-1][: len(names)]
        yield found


def _replace(
    connection: Connection, place: SealedColumn, key: list[object], old: object, fresh: bytes
) -> int:
    """Put the new value in the old one's place, unless somebody has changed it meanwhile."""
    names = [*place.key, place.column]
    query = sql.SQL("update app.{table} set {column} = %s where {same}").format(
        table=sql.Identifier(place.table),
        column=sql.Identifier(place.column),
        same=sql.SQL(" and ").join(sql.SQL("{} = %s").format(sql.Identifier(name)) for name in names),
    )
    return connection.execute(query, [fresh, *key, old]).rowcount


def _forget_older(connection: Connection, vault: Vault, older: list[str], rewritten: int) -> None:
    connection.execute("update app.installation set older_fingerprints = '{}'")
    if older or rewritten:
        changes = {"key": [older, vault.fingerprint], "values": [None, rewritten]}
        connection.execute(
            """select app.audit_append('operator', null, null, 'secrets.rotated', 'installation', '',
                                       %s::jsonb, null, null, null, '', true)""",
            [json.dumps(changes)],
        )
