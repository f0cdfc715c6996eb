"""Invariants inside the notification service's and the gateway's database, and of the tables that every service has."""

from deploy.ops.verify.checks import Check

_NOTIFICATION = {
    "one_letter_per_event": (
        "A client has at most one receipt for a payment and one notice of an invoice",
        """
        SELECT clinic_id, template, subject_id, count(*) AS letters FROM deliveries
        WHERE template IN ('receipt', 'invoice_ready')
        GROUP BY clinic_id, template, subject_id HAVING count(*) > 1
        """,
    ),
    "letters_have_events": (
        "Every e-mail was asked for by an event that is claimed",
        """
        SELECT clinic_id, id AS delivery_id, template, event_id FROM deliveries
        WHERE created_at > app_now() - interval '25 days'
            AND NOT EXISTS (SELECT FROM inbox WHERE consumer = 'notification' AND event_id = deliveries.event_id)
        """,
    ),
    "letters_stay_with_the_client": (
        "The notice of an invoice goes to the invoice's own client",
        """
        SELECT d.clinic_id, d.id AS delivery_id, d.client_id, i.client_id AS owner
        FROM deliveries AS d JOIN invoices AS i ON (i.clinic_id, i.id) = (d.clinic_id, d.subject_id)
        WHERE d.template = 'invoice_ready' AND d.client_id <> i.client_id
        """,
    ),
}

_GATEWAY = {
    "former_slugs_are_free": (
        "An address that a portal had before is no other portal's",
        """
        SELECT f.slug, f.clinic_id, p.clinic_id AS other_id FROM former_slugs AS f JOIN portals AS p USING (slug)
        """,
    ),
}

# `behind_parked` is of a version that held movements back: nothing refuses them any more.
_PARKED_WITHOUT_REASON = """
    SELECT id AS parked_id, consumer, topic, partition, "offset", reason FROM parked
    WHERE state = 'waiting' AND reason IN ('', 'unexpected_error', 'behind_parked')
"""

WAITING = """
    SELECT id AS parked_id, consumer, topic, partition, "offset", event_id, reason, detail, parked_at
    FROM parked WHERE state = 'waiting' ORDER BY id LIMIT $1
"""

CHECKS = (
    *(Check(name, "notification", says, sql) for name, (says, sql) in _NOTIFICATION.items()),
    *(Check(name, "gateway", says, sql) for name, (says, sql) in _GATEWAY.items()),
    *(
        Check(
            f"{service}_parked_for_a_reason",
            service,
            "What is parked was refused by a rule that has a name",
            _PARKED_WITHOUT_REASON,
        )
        for service in ("invoice", "payment", "notification")
    ),
)
