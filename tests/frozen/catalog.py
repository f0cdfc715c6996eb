"""Tables and columns of every service's database after all migrations, and a hash of what else holds of each."""

from collections import defaultdict
from hashlib import sha256
from typing import Any

from tests.frozen.picture import Dbs
from tests.running.databases import ServiceDb

_OURS = "n.nspname = 'public' AND NOT c.relispartition AND c.relname <> 'schema_migrations'"
"""Partitions are made as time goes on, each like its table."""
_COLUMNS = f"""
    SELECT c.relname AS name, format('%s %s%s%s%s', a.attname, format_type(a.atttypid, a.atttypmod),
        CASE WHEN a.attnotnull THEN ' not null' ELSE '' END,
        CASE WHEN d.adbin IS NULL THEN ''
            WHEN a.attgenerated <> '' THEN ' generated ' || pg_get_expr(d.adbin, d.adrelid)
            ELSE ' default ' || pg_get_expr(d.adbin, d.adrelid) END,
        CASE a.attidentity WHEN '' THEN '' ELSE ' identity ' || a.attidentity::text END) AS fact
    FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
    JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
    LEFT JOIN pg_attrdef AS d ON (d.adrelid, d.adnum) = (c.oid, a.attnum)
    WHERE {_OURS} AND c.relkind IN ('r', 'p', 'v', 'm') ORDER BY c.relname, a.attnum
"""
_HASHED = {
    "kind": f"""
        SELECT c.relname AS name, concat_ws(' ', c.relkind, c.relpersistence, pg_get_partkeydef(c.oid),
            'rls', c.relrowsecurity, c.relforcerowsecurity, pg_get_userbyid(c.relowner), c.reloptions::text,
            CASE WHEN c.relkind IN ('v', 'm') THEN pg_get_viewdef(c.oid) END) AS fact
        FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
        WHERE {_OURS} AND c.relkind IN ('r', 'p', 'v', 'm', 'S')
    """,
    "constraints": f"""
        SELECT c.relname AS name, k.conname || ' ' || pg_get_constraintdef(k.oid) AS fact
        FROM pg_constraint AS k JOIN pg_class AS c ON c.oid = k.conrelid
        JOIN pg_namespace AS n ON n.oid = c.relnamespace WHERE {_OURS}
    """,
    "indexes": f"""
        SELECT c.relname AS name, pg_get_indexdef(i.indexrelid) AS fact
        FROM pg_index AS i JOIN pg_class AS c ON c.oid = i.indrelid
        JOIN pg_namespace AS n ON n.oid = c.relnamespace WHERE {_OURS}
    """,
    "policies": f"""
        SELECT c.relname AS name, concat_ws(' ', p.polname, p.polcmd, p.polpermissive, (
                SELECT string_agg(pg_get_userbyid(role), ',' ORDER BY pg_get_userbyid(role))
                FROM unnest(p.polroles) AS role
            ), pg_get_expr(p.polqual, p.polrelid), '/', pg_get_expr(p.polwithcheck, p.polrelid)) AS fact
        FROM pg_policy AS p JOIN pg_class AS c ON c.oid = p.polrelid
        JOIN pg_namespace AS n ON n.oid = c.relnamespace WHERE {_OURS}
    """,
    "grants": f"""
        SELECT c.relname AS name, concat_ws(' ', g.privilege_type, pg_get_userbyid(g.grantee), g.is_grantable,
            column_name) AS fact
        FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
        CROSS JOIN LATERAL (
            SELECT NULL AS column_name, c.relacl AS acl
            UNION ALL
            SELECT attname, attacl FROM pg_attribute WHERE attrelid = c.oid AND attacl IS NOT NULL
        ) AS acls
        CROSS JOIN LATERAL aclexplode(acls.acl) AS g
        WHERE {_OURS}
    """,
    "triggers": f"""
        SELECT c.relname AS name, pg_get_triggerdef(t.oid) AS fact
        FROM pg_trigger AS t JOIN pg_class AS c ON c.oid = t.tgrelid
        JOIN pg_namespace AS n ON n.oid = c.relnamespace WHERE {_OURS} AND NOT t.tgisinternal
    """,
}
_FUNCTIONS = """
    SELECT p.oid::regprocedure::text AS name,
        pg_get_functiondef(p.oid) || coalesce((
            SELECT string_agg(concat_ws(' ', privilege_type, CASE grantee WHEN 0 THEN 'public'
                ELSE pg_get_userbyid(grantee) END), ',' ORDER BY grantee::regrole::text, privilege_type)
            FROM aclexplode(p.proacl)
        ), '') AS fact
    FROM pg_proc AS p JOIN pg_namespace AS n ON n.oid = p.pronamespace WHERE n.nspname = 'public'
"""
_TYPES = """
    SELECT t.typname AS name, coalesce((
        SELECT string_agg(enumlabel, ', ' ORDER BY enumsortorder) FROM pg_enum WHERE enumtypid = t.oid
    ), format_type(t.typbasetype, t.typtypmod)) AS fact
    FROM pg_type AS t JOIN pg_namespace AS n ON n.oid = t.typnamespace
    WHERE n.nspname = 'public' AND t.typtype IN ('e', 'd')
"""


async def draw(dbs: Dbs) -> Any:
    return {service: await _database(db) for service, db in dbs.items()}


async def _database(db: ServiceDb) -> dict[str, Any]:
    tables: dict[str, dict[str, Any]] = defaultdict(dict)
    for name, columns in (await _facts(db, _COLUMNS)).items():
        tables[name]["columns"] = columns
    for kind, sql in _HASHED.items():
        for name, facts in (await _facts(db, sql)).items():
            tables[name][kind] = _hash(facts)
    functions = {name: _hash(facts) for name, facts in (await _facts(db, _FUNCTIONS)).items()}
    return {"tables": tables, "functions": functions, "types": await _facts(db, _TYPES)}


async def _facts(db: ServiceDb, sql: str) -> dict[str, list[str]]:
    found: dict[str, list[str]] = defaultdict(list)
    for row in await db.admin.fetch(sql):
        found[row["name"]].append(row["fact"])
    return found


def _hash(facts: list[str]) -> str:
    return sha256("\n".join(sorted(facts)).encode()).hexdigest()[:16]
