"""Stripe's rules for amounts, as its page "Supported currencies" and its answers state them (copies of 2026).

Transcribed from there and not imported from the product: a wrong row in the product's table must be refused here.
Amounts are as Stripe counts them: two decimals, unless a currency is listed below.
"""

from collections.abc import Iterable
from decimal import Decimal

from deploy.sandbox.errors import BadParameter, StripeError, invalid


def _codes(listed: str) -> tuple[str, ...]:
    return tuple(listed.split())


ACCEPTED = _codes("""
    usd aed afn all amd ang aoa ars aud awg azn bam bbd bdt bgn bhd bif bmd bnd bob brl bsd bwp byn bzd cad cdf chf
    clp cny cop crc cve czk djf dkk dop dzd egp etb eur fjd fkp gbp gel gip gmd gnf gtq gyd hkd hnl hrk htg huf idr
    ils inr isk jmd jod jpy kes kgs khr kmf krw kwd kyd kzt lak lbp lkr lrd lsl mad mdl mga mkd mmk mnt mop mur mvr
    mwk mxn myr mzn nad ngn nio nok npr nzd omr pab pen pgk php pkr pln pyg qar ron rsd rub rwf sar sbd scr sek sgd
    shp sle sos srd std szl thb tjs tnd top try ttd twd tzs uah ugx uyu uzs vnd vuv wst xaf xcd xcg xof xpf yer zar
    zmw usdc btn ghs eek lvl svc vef ltl sll mro
""")
"""The list in the answer to an unknown currency, in its order. Not all of them can be presented by every account."""
ZERO_DECIMAL = _codes("bif clp djf gnf jpy kmf krw mga pyg rwf vnd vuv xaf xof xpf")
THREE_DECIMAL = _codes("bhd jod kwd omr tnd")
"""Their last digit must be 0."""
WHOLE_ONLY = ("isk", "ugx")
"""Without decimals today, yet counted in hundredths for old integrations: only multiples of 100 are taken."""
MINIMUM = {
    "usd": "0.50", "aed": "2.00", "ars": "0.50", "aud": "0.50", "brl": "0.50", "cad": "0.50", "chf": "0.50",
    "cop": "0.50", "czk": "15.00", "dkk": "2.50", "eur": "0.50", "gbp": "0.30", "hkd": "4.00", "huf": "175.00",
    "idr": "0.50", "ils": "0.50", "inr": "0.50", "jpy": "50", "krw": "50", "mxn": "10.00", "myr": "2.00", "nok": "3.00",
    "nzd": "0.50", "php": "0.50", "pln": "2.00", "ron": "2.00", "rub": "0.50", "sek": "3.00", "sgd": "0.50",
    "thb": "10.00", "zar": "0.50",
}  # fmt: skip
"""In major units, as published. In other currencies a charge must convert to the account's own minimum."""
CONVERTED_MINIMUM = 50
"""What the smallest charge in any other currency is here: rates are none of the sandbox's business."""
_CARD, _AMEX, _OTHERWISE = 12, 9, 8
_OTHERS = {"idr": 12, "cop": 10, "inr": 9}


def check(amount: int, currency: str, types: Iterable[str]) -> None:
    """Refuse an amount that none of these types of payment method takes, as Stripe does."""
    if currency not in ACCEPTED:
        listed = ", ".join(ACCEPTED)
        raise BadParameter(
            f"Invalid currency: {currency}. Stripe currently supports these currencies: {listed}", "currency"
        )
    if amount < 1:
        raise BadParameter(
            "This value must be greater than or equal to 1.", "amount", "parameter_invalid_integer"
        )
    if amount < least(currency):
        raise _too_small(currency)
    check_multiple(amount, currency)
    if amount > max(most(currency, each) for each in types):
        raise _too_large()


def check_multiple(amount: int, currency: str) -> None:
    """Charges and refunds alike: some currencies are counted finer than they are paid."""
    step = 10 if currency in THREE_DECIMAL else 100 if currency in WHOLE_ONLY else 1
    if amount % step:
        message = f"Invalid amount: amounts in {currency} must be evenly divisible by {step}."
        raise BadParameter(message, "amount")


def check_method(amount: int, currency: str, kind: str, brand: str | None) -> None:
    """Refuse what the chosen method does not take, though another might."""
    if amount > most(currency, kind, brand):
        raise _too_large()


def least(currency: str) -> int:
    published = MINIMUM.get(currency)
    return int(Decimal(published).scaleb(decimals(currency))) if published else CONVERTED_MINIMUM


def most(currency: str, kind: str, brand: str | None = None) -> int:
    """The largest amount, in so many digits, that a type of payment method takes."""
    by_card = _AMEX if brand == "amex" else _CARD
    digits = by_card if kind == "card" else _OTHERS.get(currency, _OTHERWISE)
    return int(10**digits) - 1


def decimals(currency: str) -> int:
    """How Stripe counts the currency."""
    return 0 if currency in ZERO_DECIMAL else 3 if currency in THREE_DECIMAL else 2


def written(amount: int, currency: str) -> str:
    """The amount for people: ISK 1,000 is counted as 100000."""
    shown = 0 if currency in WHOLE_ONLY else decimals(currency)
    return f"{currency.upper()} {amount / 10 ** decimals(currency):,.{shown}f}"


def _too_small(currency: str) -> StripeError:
    if currency in MINIMUM:
        message = f"Amount must be at least {MINIMUM[currency]} {currency}"
    else:
        message = "Amount must convert to at least 50 cents."
    return invalid(message, "amount_too_small", param="amount")


def _too_large() -> StripeError:
    return invalid(
        "Amount must be no more than the largest amount allowed.", "amount_too_large", param="amount"
    )
