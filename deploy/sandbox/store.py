"""The sandbox's memory: one SQLite file, one writer. Every SQL statement stands here."""

import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from itertools import islice
from pathlib import Path

import msgspec

from deploy.sandbox.errors import Json

SCHEMA = """
CREATE TABLE IF NOT EXISTS objects (
    seq INTEGER PRIMARY KEY, account TEXT NOT NULL, id TEXT NOT NULL, kind TEXT NOT NULL, created INTEGER NOT NULL,
    customer TEXT, payment_intent TEXT, type TEXT, body BLOB NOT NULL, hidden BLOB NOT NULL, UNIQUE (account, id)
);
CREATE INDEX IF NOT EXISTS objects_newest ON objects (account, kind, created, seq);
CREATE INDEX IF NOT EXISTS objects_of_customer ON objects (account, kind, customer, created, seq);
CREATE TABLE IF NOT EXISTS keys (
    account TEXT, key TEXT, created INTEGER, request TEXT, fingerprint BLOB, status INTEGER, body BLOB,
    PRIMARY KEY (account, key)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS deliveries (
    event TEXT PRIMARY KEY, account TEXT NOT NULL, state TEXT NOT NULL, attempts INTEGER NOT NULL DEFAULT 0
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS deliveries_waiting ON deliveries (state) WHERE state = 'waiting';
CREATE TABLE IF NOT EXISTS challenges (
    token TEXT PRIMARY KEY, account TEXT NOT NULL, intent TEXT NOT NULL, kind TEXT NOT NULL, return_url TEXT
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS settings (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
"""
Where = Callable[[Json], bool]
FILTERS = ("customer", "payment_intent", "type")
COMPARISONS = {"gt": ">", "gte": ">=", "lt": "<", "lte": "<="}


class Store:
    def __init__(self, path: Path | None) -> None:
        """`path` None keeps everything in memory."""
        self.sql = sqlite3.connect(path or ":memory:", isolation_level=None, cached_statements=256)
        self.sql.executescript("PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;" + SCHEMA)

    def close(self) -> None:
        self.sql.close()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        self.sql.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self.sql.execute("ROLLBACK")
            raise
        self.sql.execute("COMMIT")

    @contextmanager
    def savepoint(self) -> Iterator[None]:
        """Undo on an error, unless the error says that its effects stay (a declined card)."""
        self.sql.execute("SAVEPOINT handler")
        try:
            yield
        except BaseException as error:
            if not getattr(error, "keeps_effects", False):
                self.sql.execute("ROLLBACK TO handler")
            raise
        finally:
            self.sql.execute("RELEASE handler")

    # objects

    def put(self, account: str, body: Json, hidden: Json | None = None) -> None:
        """Write an object; `hidden` (what Stripe knows and does not tell) stays as it was when None."""
        self.sql.execute(
            "INSERT INTO objects (account, id, kind, created, customer, payment_intent, type, body, hidden)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, coalesce(?, '{}'))"
            " ON CONFLICT (account, id) DO UPDATE SET body = excluded.body, customer = excluded.customer,"
            " payment_intent = excluded.payment_intent, hidden = coalesce(?, objects.hidden)",
            (
                account,
                body["id"],
                body["object"],
                body["created"],
                body.get("customer"),
                body.get("payment_intent"),
                body.get("type"),
                msgspec.json.encode(body),
                packed := None if hidden is None else msgspec.json.encode(hidden),
                packed,
            ),
        )

    def get(self, account: str, id: str) -> Json | None:
        row = self.sql.execute(
            "SELECT body FROM objects WHERE account = ? AND id = ?", (account, id)
        ).fetchone()
        return None if row is None else _json(row[0])

    def hidden(self, account: str, id: str) -> Json:
        row = self.sql.execute(
            "SELECT hidden FROM objects WHERE account = ? AND id = ?", (account, id)
        ).fetchone()
        return {} if row is None else _json(row[0])

    def delete(self, account: str, id: str) -> None:
        self.sql.execute("DELETE FROM objects WHERE account = ? AND id = ?", (account, id))

    def page(
        self, account: str, kind: str, query: Json, where: Where | None = None
    ) -> tuple[list[Json], bool]:
        """One page, newest first, and whether there is more; filters and cursors as in Stripe's lists.

        Objects that `where` refuses are passed over, and others fill the page.
        """
        conditions, values = _conditions(query)
        backwards = "ending_before" in query
        if cursor := query.get("ending_before") or query.get("starting_after"):
            conditions.append(
                f"(created, seq) {'>' if backwards else '<'}"
                " (SELECT created, seq FROM objects WHERE account = ? AND id = ?)"
            )
            values += [account, cursor]
        order, limit = "ASC" if backwards else "DESC", query.get("limit", 10)
        rows = self.sql.execute(
            f"SELECT body FROM objects WHERE {' AND '.join(['account = ?', 'kind = ?', *conditions])}"
            f" ORDER BY created {order}, seq {order}",
            (account, kind, *values),
        )
        with closing(rows):
            fitting = filter(where, (_json(row[0]) for row in rows))
            found = list(islice(fitting, limit + 1))
        page = found[:limit]
        return (page[::-1] if backwards else page), len(found) > limit

    def counts(self) -> dict[str, int]:
        return dict(self.sql.execute("SELECT kind, count(*) FROM objects GROUP BY kind"))

    # idempotency keys

    def kept(self, account: str, key: str) -> tuple[int, str, bytes, int, bytes] | None:
        """(created, request id, fingerprint, status, body) of the answer that was kept under the key."""
        row: tuple[int, str, bytes, int, bytes] | None = self.sql.execute(
            "SELECT created, request, fingerprint, status, body FROM keys WHERE account = ? AND key = ?",
            (account, key),
        ).fetchone()
        return row

    def keep(
        self, account: str, key: str, at: int, request: str, fingerprint: bytes, status: int, body: bytes
    ) -> None:
        self.sql.execute(
            "INSERT OR REPLACE INTO keys (account, key, created, request, fingerprint, status, body)"
            " VALUES (?, ?, ?, ?, ?, ?, ?)",
            (account, key, at, request, fingerprint, status, body),
        )

    # webhook deliveries

    def add_delivery(self, account: str, event: str) -> None:
        self.sql.execute(
            "INSERT OR REPLACE INTO deliveries (event, account, state) VALUES (?, ?, 'waiting')",
            (event, account),
        )

    def mark_delivery(self, event: str, state: str) -> None:
        self.sql.execute(
            "UPDATE deliveries SET state = ?, attempts = attempts + 1 WHERE event = ?", (state, event)
        )

    def delivery(self, event: str) -> Json | None:
        row = self.sql.execute(
            "SELECT account, state, attempts FROM deliveries WHERE event = ?", (event,)
        ).fetchone()
        return None if row is None else dict(zip(("account", "state", "attempts"), row, strict=True))

    def waiting_deliveries(self) -> list[str]:
        rows = self.sql.execute(
            "SELECT d.event FROM deliveries d JOIN objects o ON o.account = d.account AND o.id = d.event"
            " WHERE d.state = 'waiting' ORDER BY o.seq"
        )
        return [row[0] for row in rows]

    def delivery_counts(self) -> dict[str, int]:
        return dict(self.sql.execute("SELECT state, count(*) FROM deliveries GROUP BY state"))

    # challenges: 3-D Secure and redirects that wait for the payer

    def add_challenge(self, token: str, account: str, intent: str, kind: str, return_url: str | None) -> None:
        self.sql.execute(
            "INSERT INTO challenges VALUES (?, ?, ?, ?, ?)", (token, account, intent, kind, return_url)
        )

    def challenge(self, token: str) -> Json | None:
        row = self.sql.execute(
            "SELECT token, account, intent, kind, return_url FROM challenges WHERE token = ?", (token,)
        ).fetchone()
        return (
            None
            if row is None
            else dict(zip(("token", "account", "intent", "kind", "return_url"), row, strict=True))
        )

    # settings

    def setting(self, name: str, default: str) -> str:
        row = self.sql.execute("SELECT value FROM settings WHERE name = ?", (name,)).fetchone()
        return default if row is None else str(row[0])

    def set(self, name: str, value: str) -> None:
        self.sql.execute("INSERT OR REPLACE INTO settings VALUES (?, ?)", (name, value))


def _conditions(query: Mapping[str, object]) -> tuple[list[str], list[object]]:
    where: list[str] = []
    values: list[object] = []
    for name in FILTERS:
        wanted = query.get(name)
        if isinstance(wanted, str):
            where.append(f"{name} = ?")
            values.append(wanted)
        elif isinstance(wanted, Sequence):
            where.append(f"{name} IN ({', '.join('?' * len(wanted))})")
            values += wanted
    created = query.get("created", {})
    for name, wanted in ({"gte": created, "lte": created} if isinstance(created, int) else created).items():  # type: ignore[attr-defined]
        where.append(f"created {COMPARISONS[name]} ?")
        values.append(wanted)
    return where, values


def _json(raw: bytes) -> Json:
    body: Json = msgspec.json.decode(raw)
    return body
