"""How long each table of the gateway keeps its rows. `jobs.sweep` deletes, in sessions' own store."""

from services.chassis.retention import CHASSIS, kept

RULES = (
    *CHASSIS,
    kept("portals", "as long as the clinic"),
    kept("former_slugs", "for ever: links that were mailed lead on, and no other clinic gets the address"),
    kept("logins", "until the person is erased"),
    kept("memberships", "until the person is erased"),
    kept("sessions", "until they end: idle for too long, or at their last moment"),
    kept("attempts", "until their window ends: counts of tries to log in, of requests, of declines"),
    kept("api_keys", "for ever, revoked ones too: the audit log names them"),
    kept("key_uses", "30 days, and as long as their request is under way"),
    kept("operations", "until the request is done, or undone"),
)
