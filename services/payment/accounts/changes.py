"""The changes that observations of Stripe's make to what an account can do."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from operator import attrgetter

import structlog

from contracts.events.stripe import StripeEvent
from services.chassis.db.database import Connection
from services.chassis.outbox import outbox
from services.payment.accounts import store
from services.payment.accounts.domain import PLATFORM, AccountState, event_about, newer, state_of, unreachable

log = structlog.get_logger()

_UPDATED, _DEAUTHORIZED = "account.updated", "account.application.deauthorized"


@dataclass(frozen=True, slots=True)
class Decided:
    """States as they were and as they will be, and accounts about which Stripe has to be asked."""

    changed: Sequence[tuple[AccountState, AccountState]]
    unclear: frozenset[str] = frozenset()


async def lock_observed(tx: Connection, events: Sequence[StripeEvent]) -> Decided:
    """Lock the accounts that events are about, and decide. One without a whole state lets the sweep ask for it."""
    told = [(event.account or PLATFORM, _state_in(event)) for event in events]
    states = [state for _, state in told if state is not None]
    return await _lock(tx, states, {account for account, state in told if state is None})


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
    await save_rows(tx, await _lock(tx, seen, frozenset()))


async def _lock(tx: Connection, seen: Sequence[AccountState], unclear: Collection[str]) -> Decided:
    named = {state.account for state in seen} | set(unclear)
    known = await store.lock_states(tx, named) if named else {}
    after = dict(known)
    for state in sorted(seen, key=attrgetter("seen_at")):
        if state.account in after:
            after[state.account] = newer(after[state.account], state)
    changed = [(known[account], state) for account, state in after.items() if state != known[account]]
    return Decided(changed, frozenset(unclear) & known.keys())


async def save_rows(tx: Connection, decided: Decided) -> None:
    """Keep the states as they were decided. The rows are locked."""
    if decided.changed:
        await store.save_states(tx, [state for _, state in decided.changed])
    if decided.unclear:
        await store.ask_at_once(tx, decided.unclear)
    _log_changes(decided.changed)


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
