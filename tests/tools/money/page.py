"""The tables of docs/money.md, by the names of the places where they stand."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import get_args

from contracts.events.payment import PaymentSettled
from contracts.http import shown
from contracts.vocabulary import (
    COUNTED_MOVEMENTS,
    LIVE_PAYMENTS,
    PAYABLE_INVOICES,
    DisputeStatus,
    DocumentKind,
    HeldState,
    InvoiceStatus,
    MovementKind,
    PaymentStatus,
    RefundStatus,
    is_open,
)
from services.gateway.portal import statuses
from services.gateway.portal.invoices import views
from services.payment.ledger.domain import Account, Effect
from tests.tools.money import disputes, invoices, payments, refunds
from tests.tools.money.step import Step, coded, steps_table, table

_INVOICE_CAUSES: Mapping[str, tuple[str, str]] = {
    "issue": ("issue", "staff"),
    "payment +": ("a payment settles it", "client; staff, for money outside Stripe"),
    "credit +": ("credit is used", "client, staff"),
    "credit −": ("too much was paid: it becomes credit", "staff, by a document"),
    "reversal −": ("recorded money is taken back; a lost dispute, by a setting", "staff, Stripe"),
    "reversal +": ("such a dispute is won after all", "Stripe"),
    "refund −": ("a refund went", "staff, also in the dashboard"),
    "refund +": ("a refund came back", "Stripe"),
    "dispute −": ("the bank took the money", "Stripe"),
    "dispute +": ("the bank gave it back", "Stripe"),
    "debit begins": ("a bank debit begins", "client"),
    "debit ends": ("a bank debit fails", "Stripe"),
    "void": ("void", "staff"),
    "credit_note": ("credit note, also by `correct`", "staff"),
    "write_off": ("write-off", "staff"),
    "overdue": ("its last day is over", "time"),
    "being_checked": ("a movement is parked, or no longer", "a fault; operator"),
}
_HELD: Mapping[HeldState, tuple[str, str, str]] = {
    "held": ("staff ask for it", "what it reserves", "nothing"),
    "done": ("its time is over, and it would post the same", "its document, entries and movements", "theirs"),
    "undone": ("staff undo it", "nothing: the reserved money is free again", "nothing"),
    "canceled": ("a dispute of the payment, for one", "nothing: the reserved money is free again", "nothing"),
    "changed": (
        "its time is over, and it is refused or would post something else",
        "an exception",
        "nothing",
    ),
}
_CORRECTIONS: Mapping[DocumentKind, tuple[str, str]] = {
    "void": ("the whole invoice, if nothing was paid and nothing is on its way", "none"),
    "credit_note": (
        "lines, a sum at a tax, or the rest; also after payment",
        "`CN-2026-000001`, without gaps",
    ),
    "write_off": ("what is due, or a part of it", "none"),
}


def invoice_states() -> str:
    rows = []
    for status in get_args(InvoiceStatus):
        due = "yes, payable" if status in PAYABLE_INVOICES else "yes, on its way" if is_open(status) else "no"
        word = statuses.OF_INVOICE[status].word
        rows.append((f"`{status}`", due, f"{word}. {views.NOTHING_DUE.get(status, '')}".strip(" .")))
    return table(("status", "something due", "the client reads"), rows)


def invoice_steps() -> str:
    changes: dict[tuple[str, str], dict[str, list[str]]] = {}
    for move in invoices.moves():
        befores = changes.setdefault((move.cause, move.topic), {}).setdefault(move.after, [])
        if move.before not in befores:
            befores.append(move.before)
    rows = [
        (*_INVOICE_CAUSES[cause], "<br>".join(_changes(afters)), f"`{topic}`")
        for cause in _INVOICE_CAUSES
        for (each, topic), afters in changes.items()
        if each == cause
    ]
    assert {cause for cause, _ in changes} == _INVOICE_CAUSES.keys()
    return table(("cause", "who", "status", "publishes"), rows)


def _changes(afters: Mapping[str, Sequence[str]]) -> Iterable[str]:
    moved = [
        f"{', '.join(name for name in befores if name != after)} → {after}"
        for after, befores in afters.items()
        if set(befores) != {after}
    ]
    return moved or ["stays as it is"]


def payment_states() -> str:
    return table(
        ("status", "reserves its invoices", "the client reads"),
        (
            (f"`{each}`", "yes" if each in LIVE_PAYMENTS else "no", statuses.OF_PAYMENT[each].word)
            for each in get_args(PaymentStatus)
        ),
    )


def refund_states() -> str:
    rows = ((f"`{each}`", refunds.holds(each), refunds.words(each)) for each in get_args(RefundStatus))
    return table(("status", "the money is", "the client reads"), rows)


def dispute_states() -> str:
    assert disputes.follows_any()
    rows: dict[str, list[str]] = {}
    for status in get_args(DisputeStatus):
        rows.setdefault(disputes.group(status), []).append(status)
    return table(("kind of state", "statuses"), ((kind, coded(each)) for kind, each in rows.items()))


def documents() -> str:
    rows = (
        (f"`{kind}`", *_CORRECTIONS[kind], views.CORRECTED.get(kind, "Credit note"))
        for kind in get_args(DocumentKind)
    )
    return table(("document", "takes off", "number", "the client reads"), rows)


def held_acts() -> str:
    rows = ((f"`{state}`", *_HELD[state]) for state in get_args(HeldState))
    return table(("state", "when", "books", "publishes"), rows)


def movements() -> str:
    """Each kind of movement by its sign, with the entries that are booked with it."""
    made: dict[tuple[str, bool], set[str]] = {}
    for step in _all_steps():
        for event in step.events:
            if isinstance(event, PaymentSettled):
                effects = set(step.effects) - {"dispute_fee"}
                made.setdefault((event.kind, event.amount.minor > 0), set()).update(effects)
    assert {kind for kind, _ in made} == set(get_args(MovementKind))
    return table(
        ("movement", "changes what is due", "the client reads", "with the entries"),
        (
            (
                f"`{kind}` {'+' if plus else '−'}",
                "yes" if kind in COUNTED_MOVEMENTS else "no",
                shown.moved_words(kind, plus),
                coded(sorted(made[kind, plus])),
            )
            for kind, plus in sorted(made)
        ),
    )


def postings() -> str:
    """Each entry with the accounts that it debits and credits, in any of its forms."""
    sides: dict[str, tuple[list[str], list[str]]] = {}
    for step in _all_steps():
        for entry in step.entries:
            for posting in entry.postings:
                side = sides.setdefault(entry.effect, ([], []))[posting.amount < 0]
                if posting.account not in side:
                    side.append(posting.account)
    assert sides.keys() == set(get_args(Effect)), "each entry needs a step that books it"
    accounts = {account for plus, minus in sides.values() for account in (*plus, *minus)}
    assert accounts == set(get_args(Account)), "each account needs a step that posts to it"
    rows = ((f"`{each}`", coded(sides[each][0]), coded(sides[each][1])) for each in get_args(Effect))
    return table(("entry", "debits (+)", "credits (−)"), rows)


def credit() -> str:
    """The entries that change a client's credit. A credit of the account is more for the client."""
    signs: dict[str, set[str]] = {}
    for step in _all_steps():
        for entry in step.entries:
            for posting in entry.postings:
                if posting.account == "client_credit":
                    signs.setdefault("more" if posting.amount < 0 else "less", set()).add(entry.effect)
    rows = ((way, coded(sorted(signs[way]))) for way in ("more", "less"))
    return table(("a client's credit is", "by the entries"), rows)


def _all_steps() -> list[Step]:
    return [
        *payments.payment_steps(),
        payments.cash_step(),
        *refunds.refund_steps(),
        *disputes.money_steps(),
    ]


PLACES: Mapping[str, Callable[[], str]] = {
    "invoice states": invoice_states,
    "invoice steps": invoice_steps,
    "documents": documents,
    "payment states": payment_states,
    "payment steps": lambda: steps_table(payments.payment_steps()),
    "credit": credit,
    "refund states": refund_states,
    "refund steps": lambda: steps_table(refunds.refund_steps()),
    "dispute states": dispute_states,
    "dispute steps": lambda: steps_table(disputes.money_steps()),
    "held acts": held_acts,
    "movements": movements,
    "postings": postings,
}


def filled(page: str) -> str:
    """The page with each table in its place: between `<!-- name -->` and the next empty comment."""
    for name, made in PLACES.items():
        before, begin, rest = page.partition(f"<!-- {name} -->\n")
        _, end, after = rest.partition("<!-- -->")
        if not (begin and end):
            raise ValueError(f"the page has no place for {name}")
        page = before + begin + made() + "\n" + end + after
    return page
