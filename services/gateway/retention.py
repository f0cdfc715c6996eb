"""How long each table of the gateway keeps its rows. `jobs` deletes what is older."""

from datetime import timedelta

from services.chassis.retention import CHASSIS, deleted, kept

OWN = (
    kept("portals", "as long as the clinic"),
    kept("former_slugs", "for ever: links that were mailed lead on, and no other clinic gets the address"),
    kept("logins", "until the last client whom it opens is erased"),
    kept("memberships", "until the client is erased"),
    deleted(
        "sessions",
        "a day from their end, so that their owner is told why they ended",
        timedelta(days=1),
        # A session that lasts to its last moment was used half an hour before, so this one column is enough.
        "idle_at",
    ),
    kept("second_factors", "until they are switched off"),
    kept("recovery_codes", "until they are used, or the second factor is switched off"),
    deleted(
        "second_factor_setups",
        "a quarter of an hour, or until a code confirms them",
        timedelta(0),
        "ends_at",
    ),
    kept("passkeys", "until they are removed, or a new password is chosen by a link"),
    deleted(
        "passkey_setups",
        "ten minutes, or until the browser has answered",
        timedelta(0),
        "ends_at",
    ),
    deleted(
        "login_steps",
        "ten minutes, or until somebody is logged in",
        timedelta(0),
        "ends_at",
    ),
    kept("reset_requests", "until they are answered: a second or so"),
    deleted(
        "links",
        "until they are used, replaced by a newer one, or end",
        timedelta(0),
        "ends_at",
    ),
    deleted(
        "invitations",
        "until they are used, replaced by a newer one, or end, or the client is erased",
        timedelta(0),
        "ends_at",
    ),
    kept("link_tokens", "as long as their link"),
    kept("letters", "until notification has them, at most a day"),
    deleted(
        "attempts",
        "until their window ends: counts of tries to log in, of requests, of declines",
        timedelta(0),
        "ends_at",
    ),
    kept("api_keys", "for ever, revoked ones too: the audit log names them"),
    deleted(
        "key_uses",
        "30 days, and as long as their request is under way",
        timedelta(days=30),
        "created_at",
        "NOT EXISTS (SELECT FROM operations WHERE actor = key_uses.api_key_id AND operations.key = key_uses.key)",
    ),
    kept("operators", "until they are removed"),
    kept("operator_invitations", "until they are taken, replaced by a newer one, or the operator is removed"),
    kept("operator_sessions", "until somebody logs in to the console after their end, which deletes them"),
    kept("operator_acts", "for ever: evidence of what operators did, and why"),
    kept("verify_runs", "the last 400"),
    kept("operations", "until the request is done, or undone"),
)

"""The gateway's API role deletes them. No worker of the chassis runs beside it, which would use the other tables."""
RULES = (*CHASSIS, *OWN)
