"""The payment page and the result page."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

from contracts import consents
from contracts.consents import Consent
from contracts.currencies import SYSTEMS, takes
from contracts.declines import NOTHING_TAKEN, decline
from contracts.events.payment import receipt_number
from contracts.http.clinics import ClinicOut
from contracts.http.common import Money
from contracts.http.credit import CreditOut
from contracts.http.invoices import InvoiceItem, InvoiceOut, MovementOut, Seller
from contracts.http.methods import SavedMethodOut
from contracts.http.payments import MOST_INVOICES, PaymentOut, PaymentShareOut
from contracts.http.shown import BilledView, Sum, billed
from contracts.vocabulary import DEBIT_TYPES, METHOD_NAMES, NOT_REDIRECT, is_open
from services.chassis import clock
from services.chassis.locale.formats import Formats
from services.chassis.locale.money import to_stripe
from services.gateway.portal import statuses
from services.gateway.portal.credit import uses
from services.gateway.portal.credit import views as credit
from services.gateway.portal.invoices import lists
from services.gateway.portal.invoices import views as invoices
from services.gateway.portal.invoices.views import LineView, RowView
from services.gateway.portal.methods import views as methods
from services.gateway.portal.methods.views import SavedView
from services.gateway.portal.payments import choices, steps
from services.gateway.portal.payments.choices import Amount, Chosen, Parts
from services.gateway.portal.statuses import Status

USE_CREDIT = "use"
"""The value of `credit` in the address of a page that uses it."""


@dataclass(frozen=True)
class PartView:
    """Where another amount than the whole may be written, what was, and which amounts there are."""

    typed: str
    error: str
    words: str
    currency: str
    chosen: bool


@dataclass(frozen=True)
class CreditChoice:
    """The client's credit on the payment page. `sum` is what of it is used, once it is `chosen`, or would be.

    `switch` is the address of the same page with the other choice.
    """

    have: str
    use: str
    chosen: bool
    sum: dict[str, Any]
    alone: bool
    """It pays all, so nothing is charged."""
    before: str
    """The sum before credit."""
    rest: str
    switch: str
    """Empty where nothing but credit can pay the amount."""


@dataclass(frozen=True)
class PayRow:
    """An invoice to be paid, and how much of it."""

    row: RowView
    amount: str


MOST_NAMED = 3
"""Online payment systems that the choice of one names."""


@dataclass(frozen=True)
class PayView:
    """The ways to pay some invoices at once. `shares` are the amounts that the page shows and the client agrees to.

    `due` is all that is owed on them, in minor units: with the shares it says whether an open page is still true.
    """

    title: str
    label: str
    amount: str
    left: str
    notes: list[str]
    rows: list[PayRow]
    shares: list[dict[str, Any]]
    due: int
    stripe_amount: int
    """The sum in Stripe's minor units, for its form."""
    currency: str
    saved: list[SavedView]
    card: bool
    redirect: bool
    debit: str
    """Stripe's type of bank debit, if that is a way to pay."""
    usually_by: str
    """The day by which a debit of today is usually confirmed."""
    mandate: Consent | None
    """The text to agree to with a debit."""
    saving: Consent | None
    """The text to agree to with saving a card; None where none can be saved."""
    href: str
    back: str
    back_words: str
    action: str
    """Where the page's script starts the payment."""
    result: str
    """The address of a payment's result, without the payment's id."""
    look: str
    """The page that shows what became of a payment whose answer was lost."""
    login: str
    list: str = ""
    """The query of the list that led here."""
    not_redirect: tuple[str, ...] = NOT_REDIRECT
    """Stripe's types that the form for online payment systems leaves out."""
    part: PartView | None = None
    together: bool = False
    """Invoices were chosen: the page lists them, also a single one."""
    choice: "ChooseView | None" = None
    """The invoices that can be paid with these; None where there is no other."""
    deposit: dict[str, Any] | None = None
    """The amount of a deposit, which is of no invoice."""
    credit: CreditChoice | None = None
    """None where the client has no credit that helps."""
    button: str = ""
    working: str = ""

    def by_systems(self, able: Collection[str]) -> str:
        """The choice of an online payment system: `iDEAL, Bancontact or another online payment system`.

        It names a few that the account is `able` to charge by. Stripe's form shows all, to choose by name.
        """
        known = [kind for kind, codes in SYSTEMS.items() if kind in able and self.currency in codes]
        names = ", ".join(METHOD_NAMES[kind] for kind in known[:MOST_NAMED])
        return f"{names} or another online payment system" if names else "Online payment system"


@dataclass(frozen=True)
class Offer:
    """Some invoices that are chosen by one press."""

    words: str
    href: str


@dataclass(frozen=True)
class ChooseGroup:
    """The invoices of one currency. `more` says in words that there are others; `offers` are other choices of them."""

    currency: str
    rows: list[RowView]
    more: str
    offers: list[Offer]


@dataclass(frozen=True)
class ChooseView:
    """The invoices to choose from, and the ids of the chosen ones. `others` are payments in other currencies.

    `use_credit`: another choice of invoices uses the client's credit too.
    """

    groups: list[ChooseGroup]
    error: str = ""
    chosen: frozenset[str] = frozenset()
    others: list[Offer] = field(default_factory=list)
    use_credit: bool = False


@dataclass(frozen=True)
class PaidInvoice:
    """An invoice of a payment, with what an insurer wants to know. `amount` is what the payment paid of it."""

    number: str
    href: str
    issued: str
    amount: str
    lines: list[LineView]
    sums: list[Sum]
    receipt: str
    """The address of its receipt as a file; empty until the invoice knows of the payment."""


@dataclass(frozen=True)
class ResultView:
    """The result of a payment: paid with its receipt, on its way, or not paid and why."""

    id: str
    outcome: str
    status: Status
    title: str
    heading: str
    message: str
    amount: str
    parts: list[Sum]
    """The charge, and the credit that was used with it; empty without credit."""
    credit: str
    """A sentence about credit that the payment has set aside, or did not use."""
    receipt_number: str
    day: str
    method: str
    invoices: list[PaidInvoice]
    surplus: str
    given_back: list[str]
    """Sentences about what went back of it, or came back to the clinic."""
    invoice: str
    seller: Seller
    bill_to: BilledView | None
    again: str
    spoken: str
    version: int
    state: str


@dataclass(frozen=True)
class Means:
    """The client's means to pay: saved methods, and credit, with whether to use it."""

    kept: Sequence[SavedMethodOut]
    held: Sequence[Money] = ()
    use_credit: bool = False


def pay(found: InvoiceItem, means: Means, clinic: ClinicOut, typed: str = "", of_list: str = "") -> PayView:
    """The page that pays one invoice, or the part of it that is typed."""
    shown, wanted = invoices.row(found, clinic), choices.amount_of(typed, found, clinic)
    write = invoices.formats(found, clinic)
    left = Money(found.due.minor - wanted.minor, found.currency)
    return _pay(
        [(found, Money(wanted.minor, found.currency))],
        means,
        clinic,
        title=f"Pay invoice {shown.number}",
        label="Amount to pay" if left.minor else "Total amount due",
        left=f"{write.money(left)} of the {shown.due} due is left to pay later." if left.minor else "",
        href=f"{shown.href}/pay",
        query=[("amount", typed)] if left.minor else [],
        back=f"{shown.href}{lists.kept_list(of_list)}",
        back_words=f"Invoice {shown.number}",
        of_list=of_list,
        part=_part(wanted, found, clinic),
    )


def pay_by_link(found: InvoiceOut, clinic: ClinicOut, path: str) -> PayView:
    """The same for the whole invoice, at the address of a pay link, where nothing is saved and no credit used."""
    return replace(
        pay(found, Means(()), clinic),
        part=None,
        saving=None,
        href=path,
        back=path,
        action=f"{path}/payments",
        result=f"{path}/payments/",
        look=path,
        login=path,
    )


def pay_together(chosen: Chosen, means: Means, clinic: ClinicOut) -> PayView:
    """The page that pays several invoices at once, each of them whole."""
    count = len(chosen.invoices)
    ids = [each.id for each in chosen.invoices]
    return _pay(
        [(each, each.due) for each in chosen.invoices],
        means,
        clinic,
        title=f"Pay {_invoices(count)}",
        label="Total amount due",
        notes=[*_more(chosen), *_gone(chosen)],
        href=f"/c/{clinic.slug}/pay",
        query=[("invoice", str(each)) for each in ids],
        back=f"/c/{clinic.slug}/billing",
        back_words="Billing History",
        together=True,
    )


def _pay(
    owed: Sequence[tuple[InvoiceItem, Money]],
    means: Means,
    clinic: ClinicOut,
    *,
    title: str,
    label: str,
    href: str,
    query: Sequence[tuple[str, str]],
    back: str,
    back_words: str,
    of_list: str = "",
    left: str = "",
    notes: Sequence[str] = (),
    part: PartView | None = None,
    together: bool = False,
    deposit: Money | None = None,
    shown: str = "",
) -> PayView:
    total = deposit or Money(sum(share.minor for _, share in owed), owed[0][1].currency)
    write = invoices.formats(owed[0][0], clinic) if len(owed) == 1 else Formats.of(clinic)
    credit = _credit(
        total, len(owed), means, write, href, [*query, *([("list", of_list)] if of_list else [])]
    )
    used = credit.sum["minor"] if credit and credit.chosen else 0
    amount = Money(total.minor - used, total.currency)
    words = shown or write.money(amount)
    is_alone = credit is not None and credit.chosen and credit.alone
    ways = [] if is_alone else choices.ways_for(amount, clinic)
    stripe_amount = to_stripe(amount.minor, amount.currency)
    assert stripe_amount is not None, "only what can be charged has ways to pay it"
    portal, whole = f"/c/{clinic.slug}", _address(href, query, used=bool(used))
    return PayView(
        title=title,
        label="Left to pay now" if used and not is_alone else label,
        amount=write.money(total) if is_alone else words,
        left=left,
        notes=list(notes),
        rows=[PayRow(invoices.row(each, clinic), _money(each, share, clinic)) for each, share in owed],
        shares=[_share(each, share) for each, share in owed],
        due=sum(each.due.minor for each, _ in owed),
        stripe_amount=stripe_amount,
        currency=amount.currency,
        saved=methods.saved(_usable(means.kept, amount)) if "card" in ways else [],
        card="card" in ways,
        redirect="redirect" in ways,
        debit=DEBIT_TYPES[amount.currency] if "debit" in ways else "",
        usually_by=steps.usually_by(amount.currency, clock.now(), write) if "debit" in ways else "",
        mandate=consents.debit(amount.currency, clinic.name) if "debit" in ways else None,
        saving=consents.saving(clinic.name),
        href=whole,
        back=back,
        back_words=back_words,
        action=f"{portal}/payments",
        result=f"{portal}/payments/",
        look=f"{portal}/invoices/{owed[0][0].id}" if len(owed) == 1 else f"{portal}/billing",
        login=f"/login?{urlencode({'next': whole})}",
        list=of_list,
        part=part,
        together=together,
        deposit=_minor(deposit) if deposit else None,
        credit=credit,
        button=f"Pay {credit.before} with my credit" if credit and is_alone else f"Pay {words}",
        working=f"Paying {credit.before}…" if credit and is_alone else f"Paying {words}…",
    )


def _credit(
    total: Money, number: int, means: Means, write: Formats, href: str, query: Sequence[tuple[str, str]]
) -> CreditChoice | None:
    """The choice to use credit; None without credit that helps, and for a deposit."""
    use = uses.credit_for(total, number, means.held) if number else 0
    if not use:
        return None
    [have] = [each for each in means.held if each.currency == total.currency]
    return CreditChoice(
        have=write.money(have),
        use=write.money(Money(use, total.currency)),
        chosen=means.use_credit or uses.is_only_way(total),
        sum=_minor(Money(use, total.currency)),
        alone=use == total.minor,
        before=write.money(total),
        rest=write.money(Money(total.minor - use, total.currency)),
        switch="" if uses.is_only_way(total) else _address(href, query, used=not means.use_credit),
    )


def _address(href: str, query: Sequence[tuple[str, str]], *, used: bool) -> str:
    """The address of the payment page with this choice about credit."""
    whole = urlencode([*query, *([("credit", USE_CREDIT)] if used else [])])
    return f"{href}?{whole}" if whole else href


def pay_deposit(amount: Money, typed: str, kept: Sequence[SavedMethodOut], clinic: ClinicOut) -> PayView:
    """The page that pays a deposit. The amount is one that can be charged."""
    words = Formats.of(clinic).money(amount)
    return _pay(
        [],
        Means(kept),
        clinic,
        title="Pay a deposit",
        label="Deposit",
        notes=[deposit_words(clinic)],
        href=deposit_path(clinic),
        query=[("amount", typed)],
        back=deposit_path(clinic),
        back_words="Change the amount",
        deposit=amount,
        shown=words,
    )


def deposit_words(clinic: ClinicOut) -> str:
    return (
        f"You pay this before there is an invoice. It becomes your credit with {clinic.name}: "
        "you can pay your next invoices with it, and the clinic can send it back."
    )


def deposit_path(clinic: ClinicOut) -> str:
    return f"/c/{clinic.slug}/deposit"


def pay_path(clinic: ClinicOut, invoice_ids: Sequence[UUID]) -> str:
    """The address of the page that pays these invoices at once."""
    return f"/c/{clinic.slug}/pay?{urlencode([('invoice', each) for each in invoice_ids])}"


def choose(
    unpaid: Sequence[InvoiceItem],
    clinic: ClinicOut,
    error: str = "",
    chosen: Collection[str] = (),
    *,
    use_credit: bool = False,
) -> ChooseView:
    """The invoices that can be paid at once, by currency, the first due first."""
    found = choices.payable_together(unpaid, clinic)
    currencies = sorted({each.currency for each in found})
    marked = frozenset(chosen)
    groups = [_group(each, found, clinic, marked, use_credit=use_credit) for each in currencies]
    return ChooseView(groups, error, marked, use_credit=use_credit)


def with_choice(shown: PayView, unpaid: Sequence[InvoiceItem], clinic: ClinicOut) -> PayView:
    """The same page with the invoices that can be paid instead, or too; as it is where there are none."""
    chosen = {share["invoice_id"] for share in shown.shares}
    use_credit = shown.credit is not None and shown.credit.chosen and bool(shown.credit.switch)
    whole = choose(unpaid, clinic, chosen=chosen, use_credit=use_credit)
    own = [group for group in whole.groups if group.currency == shown.currency]
    listed = {row.id for group in own for row in group.rows}
    if not (chosen <= listed and (shown.together or len(listed) > 1)):
        return shown
    others = [
        Offer(f"Pay those in {group.currency}", f"/c/{clinic.slug}/pay?{urlencode({'all': group.currency})}")
        for group in whole.groups
        if group not in own
    ]
    return replace(shown, choice=replace(whole, groups=own, others=others))


def _group(
    currency: str,
    payable: Sequence[InvoiceItem],
    clinic: ClinicOut,
    marked: Collection[str],
    *,
    use_credit: bool,
) -> ChooseGroup:
    found = [each for each in payable if each.currency == currency]
    first = Chosen(found[:MOST_INVOICES], more=len(found[MOST_INVOICES:]))
    listed = [*first.invoices, *(each for each in found[MOST_INVOICES:] if str(each.id) in marked)]
    today = Formats.of(clinic).local(clock.now()).date()
    due = Chosen([each for each in first.invoices if each.due_on <= today])
    if len(due.invoices) == len(first.invoices):
        due = Chosen()
    offers = [
        Offer(words, _address(f"/c/{clinic.slug}/pay", query, used=use_credit))
        for made, words, query in (
            (first, _all_words(first, clinic), [("all", currency)]),
            (due, _due_words(due, clinic), [("invoice", str(each.id)) for each in due.invoices]),
        )
        if words and {str(each.id) for each in made.invoices} != set(marked)
    ]
    return ChooseGroup(
        currency, [invoices.row(each, clinic) for each in listed], " ".join(_more(first)), offers
    )


def _all_words(all: Chosen, clinic: ClinicOut) -> str:
    """Empty for one invoice, which is chosen by itself as easily."""
    count = len(all.invoices)
    return f"Pay all {count} at once: {Formats.of(clinic).money(all.amount)}" if count > 1 else ""


def _due_words(due: Chosen, clinic: ClinicOut) -> str:
    return f"Pay what is due now: {Formats.of(clinic).money(due.amount)}" if due.invoices else ""


def _more(chosen: Chosen) -> list[str]:
    if not chosen.more:
        return []
    return [
        f"At most {MOST_INVOICES} invoices can be paid at once. These are the {MOST_INVOICES} that are due first; "
        f"you can pay the other {chosen.more} afterwards."
    ]


def _gone(chosen: Chosen) -> list[str]:
    if not chosen.gone:
        return []
    are = "is" if chosen.gone == 1 else "are"
    return [f"{chosen.gone} of the invoices that you chose {are} not to be paid here any more, and left out."]


def _invoices(count: int) -> str:
    return "1 invoice" if count == 1 else f"{count} invoices"


def _share(invoice: InvoiceItem, share: Money) -> dict[str, Any]:
    return {"invoice_id": str(invoice.id), "amount": _minor(share)}


def _minor(amount: Money) -> dict[str, Any]:
    return {"minor": amount.minor, "currency": amount.currency}


def _money(invoice: InvoiceItem, amount: Money, clinic: ClinicOut) -> str:
    return invoices.formats(invoice, clinic).money(amount)


def _part(wanted: Amount, invoice: InvoiceItem, clinic: ClinicOut) -> PartView | None:
    parts = Parts.of(invoice, clinic)
    if parts is None:
        return None
    least, most, whole = (_money(invoice, each, clinic) for each in (parts.least, parts.most, invoice.due))
    several = f"From {least} to {most}" if parts.least != parts.most else least
    return PartView(
        typed=wanted.typed,
        error=wanted.error,
        words=f"{several}, or the whole {whole}.",
        currency=invoice.currency,
        chosen=wanted.minor != invoice.due.minor,
    )


def _usable(kept: Sequence[SavedMethodOut], due: Money) -> list[SavedMethodOut]:
    """Saved cards whose brand takes this amount in this currency."""
    able = (method for method in kept if not method.expired)
    return [method for method in able if takes("card", due.minor, due.currency, method.brand)]


def _newest(paid: Sequence[InvoiceOut]) -> InvoiceOut | None:
    return max(paid, key=lambda invoice: invoice.id, default=None)


def formats(paid: Sequence[InvoiceOut], clinic: ClinicOut) -> Formats:
    """How a payment's pages write sums and times: as the newest of its invoices does."""
    newest = _newest(paid)
    return invoices.formats(newest, clinic) if newest else Formats.of(clinic)


def result(
    payment: PaymentOut, paid: Sequence[InvoiceOut], clinic: ClinicOut, kept: CreditOut | None = None
) -> ResultView:
    """The result, written as the newest of its invoices is: a receipt of years ago reads as it did then.

    `kept` is the client's credit, if it is known: the words about a surplus are of today.
    """
    newest, write = _newest(paid), formats(paid, clinic)
    used = payment.credit if payment.status == "succeeded" else None
    total = Money(payment.amount.minor + (used.minor if used else 0), payment.amount.currency)
    outcome, title, message = _outcome(payment, total, write)
    status = statuses.of_payment(payment)
    issuer = invoices.seller(newest, clinic)
    surplus = credit.surplus_words(payment, kept, issuer.name, write)
    return ResultView(
        id=str(payment.id),
        outcome=outcome,
        status=status,
        title=title,
        heading="Paid with credit" if _is_by_credit(payment) else "Paid",
        message=message,
        amount=write.money(total),
        parts=_charged_and_credit(payment, used, write),
        credit=_credit_words(payment, write),
        receipt_number=receipt_number(payment.id),
        day=write.day_of(payment.succeeded_at or payment.created_at),
        method=methods.used(payment.method),
        invoices=_paid(payment, paid, clinic, write),
        surplus=surplus,
        given_back=_given_back(payment, paid, write),
        invoice=_look(payment, clinic),
        again=_again(payment, paid, clinic),
        seller=issuer,
        bill_to=billed(newest.bill_to, write) if newest else None,
        spoken=title,
        version=payment.version,
        state=payment.status,
    )


def _is_by_credit(payment: PaymentOut) -> bool:
    """Whether credit alone paid it."""
    return payment.method is not None and payment.method.kind == "credit"


def _charged_and_credit(payment: PaymentOut, used: Money | None, write: Formats) -> list[Sum]:
    if used is None:
        return []
    charged = methods.used(payment.method)
    return [
        Sum(f"Charged to your {charged}" if charged else "Charged", write.money(payment.amount)),
        Sum("Your credit", write.money(used)),
    ]


def _credit_words(payment: PaymentOut, write: Formats) -> str:
    """The sentence about credit of a payment that has not succeeded."""
    agreed = sum(part.credit.minor for part in payment.invoices if part.credit)
    if payment.status == "succeeded" or not agreed:
        return ""
    credit = write.money(Money(agreed, payment.amount.currency))
    if payment.credit is None:
        return f"{credit} of your credit was not used for this payment."
    if statuses.of_payment(payment) in (statuses.NOT_FINISHED, statuses.NOT_PAID):
        return (
            f"{credit} of your credit is set aside for this payment. If you do not go on, it is yours again."
        )
    return f"{credit} of your credit pays the rest. It is set aside until your payment has arrived."


def _given_back(payment: PaymentOut, paid: Sequence[InvoiceOut], write: Formats) -> list[str]:
    """Sentences about refunds of the invoices that the payment paid, oldest first, and about a dispute."""
    moved = sorted(
        (movement for invoice in paid for movement in invoice.movements if movement.payment_id == payment.id),
        key=lambda movement: movement.booked_at,
    )
    refunds = [_refunded(movement, write) for movement in moved if movement.kind == "refund"]
    return [*refunds, *_taken_back(moved, write)]


def _taken_back(moved: Sequence[MovementOut], write: Formats) -> list[str]:
    """That the payer's bank has money of the payment, whether its invoices are due again or not; or that the clinic
    took a payment back that it had recorded."""
    disputes = [movement for movement in moved if movement.kind == "dispute"]
    reversals = [movement for movement in moved if movement.kind == "reversal"]
    taken = -sum(movement.amount.minor for movement in (*disputes, *reversals))
    if taken <= 0:
        return []
    first, *_ = disputes or reversals
    amount = write.money(Money(taken, first.amount.currency))
    if not disputes:
        return [f"{amount} of this payment was cancelled by the clinic on {write.day_of(first.booked_at)}."]
    return [f"{amount} was taken back through your bank on {write.day_of(first.booked_at)}."]


def _refunded(movement: MovementOut, write: Formats) -> str:
    amount = write.money(Money(abs(movement.amount.minor), movement.amount.currency))
    day, used = write.day_of(movement.booked_at), methods.used(movement.method)
    place = f"your {used}" if movement.method and movement.method.last4 else used or "where you paid from"
    if movement.amount.minor > 0:
        return f"{amount} could not be sent back to {place} on {day}. The clinic knows."
    return credit.given_back(amount, place, day, to_credit=movement.method is None)


def _look(payment: PaymentOut, clinic: ClinicOut) -> str:
    if len(payment.invoices) == 1:
        return f"/c/{clinic.slug}/invoices/{payment.invoices[0].invoice_id}"
    return f"/c/{clinic.slug}/billing"


def _again(payment: PaymentOut, paid: Sequence[InvoiceOut], clinic: ClinicOut) -> str:
    """The page that pays the same again: the same invoices, or the same part of one. Empty if none of them is open."""
    if not payment.invoices:
        typed = Formats.of(clinic).money(payment.amount)
        return f"{deposit_path(clinic)}?{urlencode({'amount': typed})}"
    if not any(is_open(each.status) for each in paid):
        return ""
    used = any(part.credit for part in payment.invoices)
    if len(payment.invoices) > 1:
        query = [("invoice", str(part.invoice_id)) for part in payment.invoices]
        return _address(f"/c/{clinic.slug}/pay", query, used=used)
    part, due = payment.invoices[0], paid[0].due
    whole = _whole(part)
    typed = invoices.formats(paid[0], clinic).money(whole)
    query = [("amount", typed)] if whole.minor < due.minor else []
    return _address(f"/c/{clinic.slug}/invoices/{part.invoice_id}/pay", query, used=used)


def _whole(part: PaymentShareOut) -> Money:
    """The part of an invoice that the payment pays, by charge and by credit."""
    return Money(part.amount.minor + (part.credit.minor if part.credit else 0), part.amount.currency)


def why_not_paid(payment: PaymentOut) -> str:
    """Why a payment failed and what to do next; never the bank's own code. No money was taken in any of these cases."""
    code, method = payment.failure.code if payment.failure else None, payment.method
    return f"{decline(code, method.kind if method else None)} {NOTHING_TAKEN}"


def _outcome(payment: PaymentOut, total: Money, write: Formats) -> tuple[str, str, str]:
    amount = write.money(total)
    if payment.reversed_at is not None:
        day = write.day_of(payment.reversed_at)
        return (
            "taken_back",
            "Taken back",
            f"The clinic recorded this payment, and took it back on {day}. It pays nothing. Questions? Ask the clinic.",
        )
    if _is_by_credit(payment):
        return (
            "paid",
            f"Paid with credit: {amount}",
            "Thank you. Your credit has paid this. Nothing was charged.",
        )
    if payment.status == "succeeded":
        return "paid", f"Paid: {amount}", "Thank you. Your receipt is below. We send it by e-mail too."
    status = statuses.of_payment(payment)
    if status is statuses.WAITING:
        return (
            "waiting",
            "Waiting for an answer",
            "We do not know yet whether your payment went through. This page changes by itself.",
        )
    if status is statuses.NOT_FINISHED:
        return (
            "not_finished",
            "Not finished",
            "You have started this payment and not finished it. No money was taken.",
        )
    if payment.status == "failed":
        return "not_paid", "Not paid", why_not_paid(payment)
    if payment.status == "canceled":
        return "not_paid", "Not paid", "This payment was cancelled. No money was taken."
    if payment.taken:
        return (
            "waiting",
            "On its way",
            "Your payment went through. We are writing your receipt, and this page changes by itself.",
        )
    if payment.status == "processing":
        return (
            "on_its_way",
            "On its way",
            (
                "Your bank is working on the payment. That can take a few days. "
                "We e-mail you when it has arrived; you do not need to do anything."
            ),
        )
    return (
        "on_its_way",
        "Being updated",
        "This payment is being updated. Please look again in a few minutes; do not pay a second time.",
    )


def _paid(
    payment: PaymentOut, paid: Sequence[InvoiceOut], clinic: ClinicOut, write: Formats
) -> list[PaidInvoice]:
    found = {invoice.id: invoices.invoice(invoice, clinic) for invoice in paid}
    booked = {each.id for each in paid if any(move.payment_id == payment.id for move in each.movements)}
    return [
        PaidInvoice(
            number=shown.row.number,
            href=shown.row.href,
            issued=shown.row.issued,
            amount=write.money(_whole(part)),
            lines=shown.lines,
            sums=shown.made_up,
            receipt=f"{shown.row.href}/receipt" if part.invoice_id in booked else "",
        )
        for part in payment.invoices
        if (shown := found.get(part.invoice_id))
    ]
