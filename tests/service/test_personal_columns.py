"""Each column that can hold a text is known to be personal, or not; and `verify` sees what outlives an erasure."""

from datetime import UTC, datetime, timedelta

import pytest

from deploy.ops.verify import personal
from deploy.ops.verify.run import verify
from tests.running.installation import Installation
from tests.running.notification import put_contact

SETTLED = """
    operator outcome report source_id source_type subject
    accent account action address after_hash aggregateid aggregatetype answer approved_by asker before_hash
    cause challenge charge charge_id choice closed_by code code_hash consumer contact currency declined_charge
    destination detail devices digest disabled_reason discard_reason discarded_by discount_reason effect
    ended_for exemption_code exemption_text facts failure_code failure_reason family fingerprint hash headers
    hours id id_hash idempotency_key installation key key_hash kind last_error locale location made_at
    message_id method_kind methods movement note number number_prefix number_start observed_by on_behalf_of
    payload phase phone plan postal_address prefix preview preview_hash prices problem purpose reason
    recorded_by request request_key reversed_by role sealed sealed_by second_tax_code
    second_tax_name seller seller_name session_hash settled_how signature slug state status step_hash
    stripe_account_id stripe_dispute_id stripe_object_id stripe_payment_intent_id stripe_refund_id tax_category
    tax_code tax_codes tax_name tax_rates taxes template time_zone token_hash topic trace_id traceparent value
    version ways
"""
"""Names of columns that hold ids, codes, settings, hashes, or words of a clinic or of a program."""
OF_CLINICS = {
    *(
        "invoice.clinics.name",
        "invoice.clinics.tax_number",
        "invoice.clinics.external_id",
        "invoice.clinics.metadata",
    ),
    *(
        "notification.clinics.name",
        "notification.clinics.email",
        "gateway.api_keys.name",
        "gateway.operators.name",
        "gateway.operators.password_hash",
        "gateway.operator_acts.service",
    ),
    *(f"{service}.job_leases.name" for service in ("invoice", "payment", "notification", "gateway")),
    *(f"{service}.job_leases.error" for service in ("invoice", "payment", "notification", "gateway")),
    "payment.failed_attempts.name",
}
TEXTS = """
    SELECT c.relname || '.' || a.attname AS column, a.attname AS name, format_type(a.atttypid, NULL) AS type
    FROM pg_class AS c JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
    WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p') AND NOT c.relispartition
        AND c.relname <> 'schema_migrations'
"""


def listed() -> set[str]:
    by_table = (
        personal.BY_CONSTRAINT,
        personal.WITH_THE_NAME,
        personal.BY_TIME,
        personal.OF_PERSONS,
        personal.OF_BOOKS,
    )
    kept = {f"{each.service}.{each.table}.{name}" for each in personal.ERASED for name in each.columns}
    return kept | {
        f"{table}.{name}" for each in by_table for table, names in each.items() for name in names.split()
    }


async def test_each_column_of_texts_is_in_a_list(installation: Installation) -> None:
    there, unknown = set(), set()
    for service, db in installation.dbs.items():
        for row in await db.admin.fetch(TEXTS):
            name = f"{service}.{row['column']}"
            there.add(name)
            text = row["type"].removesuffix("[]") in ("text", "json", "jsonb", "bytea")
            if text and name not in listed() | OF_CLINICS and row["name"] not in SETTLED.split():
                unknown.add(name)
    assert unknown == set()
    assert listed() - there == set()


async def erase(installation: Installation, days_ago: int) -> datetime:
    """Only at invoice: the event is lost."""
    at = datetime.now(UTC) - timedelta(days=days_ago)
    await installation.dbs["invoice"].admin.execute(
        """
        UPDATE clients SET name = '', billing_address = '{}', tax_number = '', metadata = '{}', external_id = NULL,
            erased_at = $1
        """,
        at,
    )
    return at


@pytest.mark.parametrize("where", ["clean", "contact", "card", "method", "newer", "login", "login of today"])
async def test_what_outlives_an_erasure_is_named(installation: Installation, where: str) -> None:
    client, clinic = installation.world.client_id, installation.world.clinic_id
    for db, table in (("notification", "contacts"), ("payment", "expiry_notices")):
        await installation.dbs[db].admin.execute(f"DELETE FROM {table}")
    payment = installation.dbs["payment"].admin
    await payment.execute("UPDATE customers SET stripe_customer_id = NULL")
    await payment.execute(
        """
        UPDATE payment_methods SET stripe_payment_method_id = 'erased-' || id, brand = NULL, last4 = NULL,
            exp_month = NULL, exp_year = NULL, fingerprint = NULL
        """
    )
    at = await erase(installation, days_ago=2 if where == "login" else 0)
    tables = set()
    if "login" in where:
        gateway = installation.dbs["gateway"].admin
        await gateway.execute(
            "INSERT INTO logins (id, email, password_hash, made_by) VALUES ($1, 'ada@x.example', '', $1)",
            client,
        )
        await gateway.execute(
            """
            INSERT INTO memberships (clinic_id, login_id, client_id, role, active) VALUES ($1, $2, $2, 'client', true)
            """,
            clinic,
            client,
        )
        tables = set() if "today" in where else {"memberships"}
    if where == "contact":
        await put_contact(installation.dbs["notification"], clinic, client)
        await installation.dbs["notification"].admin.execute("UPDATE contacts SET updated_at = $1", at)
        tables = {"contacts"}
    if where == "newer":
        await put_contact(installation.dbs["notification"], clinic, client)
    if where == "card":
        await payment.execute(
            "INSERT INTO customers VALUES ($1, $2, 'acct_x', 'key', 'cus_x') ON CONFLICT DO NOTHING",
            clinic,
            client,
        )
        tables = {"customers"}
    if where == "method":
        await payment.execute(
            "INSERT INTO customers VALUES ($1, $2, 'acct_x', 'key') ON CONFLICT DO NOTHING", clinic, client
        )
        await payment.execute(
            """
            INSERT INTO payment_methods
                (clinic_id, id, client_id, account, stripe_payment_method_id, kind, last4, created_at)
            VALUES ($1, $1, $2, 'acct_x', 'erased-1', 'card', '4242', $3)
            """,
            clinic,
            client,
            at,
        )
        tables = {"payment_methods"}

    report = await verify(installation.access, wait=0)

    assert {breach.check for breach in report.breaches} <= {personal.NAME}, str(report)
    assert {breach.row["table"] for breach in report.breaches} == tables
