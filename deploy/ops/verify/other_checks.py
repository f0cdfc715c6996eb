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
    "letters_are_queued": (
        "Every e-mail that is to be sent has its task in the queue",
        """
        SELECT clinic_id, id AS delivery_id, template, state FROM deliveries
        WHERE state IN ('waiting', 'due') AND NOT EXISTS (
            SELECT FROM tasks WHERE tasks.clinic_id = deliveries.clinic_id
                AND kind = 'email.' || template AND key = deliveries.id AND tasks.state = 'due'
        )
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

# A minute is the lease (`services.chassis.queue.domain.LEASE`). A task that failed, or waits, has a reason.
_OVERDUE = """
    SELECT clinic_id, kind, key, due_at, claimed_until FROM tasks
    WHERE state = 'due' AND due_at < app_now() - interval '1 minute' AND reason IS NULL
        AND (claimed_until IS NULL OR claimed_until < app_now() - interval '1 minute')
    ORDER BY due_at
"""

# Without its task it would be held for ever, and so would what it is about: nobody could undo it.
_HELD_UNQUEUED = """
    SELECT clinic_id, id AS act_id, kind, due_at FROM held_acts AS a
    WHERE state = 'held' AND NOT EXISTS (
        SELECT FROM tasks AS t
        WHERE (t.clinic_id, t.kind, t.key, t.state) = (a.clinic_id, 'held.' || a.kind, a.id, 'due')
    )
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
    *(
        Check(
            f"{service}_queue_keeps_up",
            service,
            "What is due is done, or has a reason why it is not",
            _OVERDUE,
        )
        for service in ("invoice", "payment", "notification")
    ),
    *(
        Check(
            f"{service}_held_acts_are_queued",
            service,
            "Every act that is held has its task in the queue, by which it is done or undone",
            _HELD_UNQUEUED,
        )
        for service in ("invoice", "payment")
    ),
)
