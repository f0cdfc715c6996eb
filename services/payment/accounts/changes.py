"""The changes that observations of Stripe's make to what an account can do."""

from collections.abc import Iterable, Sequence

import structlog

from contracts.events.stripe import StripeEvent
from services.chassis.db.database import Connection
from services.chassis.outbox import outbox
from services.payment.accounts import store
from services.payment.accounts.domain import PLATFORM, AccountState, event_about, newer, state_of, unreachable

log = structlog.get_logger()

_UPDATED, _DEAUTHORIZED = "account.updated", "account.application.deauthorized"


async def apply_events(tx: Connection, events: Sequence[StripeEvent]) -> None:
    """Apply Stripe's events about accounts. One without a whole state lets the sweep ask for it."""
    if not events:
        return
    await apply_states(tx, [state for event in events if (state := _state_in(event)) is not None])
    unclear = {event.account or PLATFORM for event in events if _state_in(event) is None}
    if unclear:
        await store.ask_at_once(tx, unclear)


def _state_in(event: StripeEvent) -> AccountState | None:
    """The state of the event's account. The object of a deauthorization is the application, not the account."""
    account = event.account or PLATFORM
    if event.event_type == _DEAUTHORIZED:
        return unreachable(account, event.created)
    if event.event_type != _UPDATED or event.charges_enabled is None:
        return None
    return state_of(account, event.created, event.charges_enabled, event.disabled_reason, event.capabilities)


async def apply_states(tx: Connection, seen: Sequence[AccountState]) -> None:
    """Keep the newest state of each account on which a clinic is charged, and log what changed."""
    if not seen:
        return
    known = await store.lock_states(tx, {state.account for state in seen})
    after = dict(known)
    for state in sorted(seen, key=lambda each: each.seen_at):
        if state.account in after:
            after[state.account] = newer(after[state.account], state)
    changed = [state for account, state in after.items() if state != known[account]]
    if changed:
        await store.save_states(tx, changed)
    _log_changes((known[state.account], state) for state in changed)


def _log_changes(changes: Iterable[tuple[AccountState, AccountState]]) -> None:
    for before, after in changes:
        account = after.account or "platform"
        if after.problem is not None and after.problem != before.problem:
            log.warning(
                "account_cannot_charge", account=account, reason=after.problem, code=after.disabled_reason
            )
        elif before.problem is not None and after.problem is None:
            log.info("account_can_charge_again", account=account)


async def publish_changes(tx: Connection, livemode: bool) -> None:
    """Publish `account.updated` of each clinic whose clients became able or unable to pay online."""
    facts = [event_about(*row) for row in await store.publishable(tx, livemode)]
    if facts:
        await outbox.add(tx, [(fact, None) for fact in facts])
