"""Stripe's rules for amounts, as its page "Supported currencies" and its answers state them (copies of 2026).

Transcribed from there and not imported from the product: a wrong row in the product's table must be refused here.
Amounts are as Stripe counts them: two decimals, unless a currency is listed below.
"""

from collections.abc import Iterable
from decimal import ROUND_CEILING, Decimal

from babel.numbers import format_currency

from deploy.sandbox.errors import BadParameter, StripeError, invalid
from deploy.sandbox.unsure import DEFAULT, Unsure


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
NOT_BY_AMEX = _codes("""
    afn aoa ars bob brl clp cop crc cve djf fkp gnf gtq hnl lak mur nio pab pen pyg shp srd std uyu xof xpf
""")
"""American Express does not take them (2023)."""
CONVERTED_MINIMUM = Decimal("0.50")
"""In dollars, which the sandbox's accounts settle in."""
_RATES = """
    afn 70 all 84 amd 385 ang 1.79 aoa 915 awg 1.79 azn 1.70 bam 1.68 bbd 2 bdt 122 bgn 1.68 bhd 0.376 bif 2970 bmd 1
    bnd 1.28 bob 6.91 bsd 1 btn 86 bwp 13.4 byn 3.27 bzd 2 cdf 2880 clp 940 cny 7.18 crc 506 cve 94 djf 178 dop 59
    dzd 130 eek 13.4 egp 50 etb 136 fjd 2.25 fkp 0.74 gel 2.72 ghs 10.4 gip 0.74 gmd 71 gnf 8660 gtq 7.68 gyd 209
    hnl 26.1 hrk 6.46 htg 131 isk 122 jmd 160 jod 0.709 kes 129 kgs 87.4 khr 4010 kmf 422 kwd 0.306 kyd 0.83 kzt 520
    lak 21600 lbp 89500 lkr 300 lrd 200 lsl 17.8 ltl 2.96 lvl 0.60 mad 9.05 mdl 17 mga 4480 mkd 52.8 mmk 2100 mnt 3580
    mop 8.08 mro 398 mur 45.3 mvr 15.4 mwk 1734 mzn 63.9 nad 17.8 ngn 1540 nio 36.8 npr 137 omr 0.385 pab 1 pen 3.56
    pgk 4.12 pkr 284 pyg 7900 qar 3.64 rsd 100 rwf 1440 sar 3.75 sbd 8.3 scr 14.5 shp 0.74 sle 22.5 sll 22500 sos 571
    srd 37.5 std 21000 svc 8.75 szl 17.8 tjs 9.9 tnd 2.9 top 2.35 try 40 ttd 6.78 twd 29.5 tzs 2640 uah 41.7 ugx 3590
    usdc 1 uyu 40.3 uzs 12600 vef 248000 vnd 26150 vuv 119 wst 2.72 xaf 563 xcd 2.7 xcg 1.79 xof 563 xpf 102.5 yer 242
    zmw 24
"""
RATES = dict(zip(_codes(_RATES)[::2], map(Decimal, _codes(_RATES)[1::2]), strict=True))
"""The rough value of a dollar in 2025 in each currency without a published minimum."""
_CARD, _AMEX, _OTHERWISE = 12, 9, 8
_OTHERS = {"idr": 12, "cop": 10, "inr": 9}
_OLDER_BY_CARD = {"idr": 12, "lbp": 11, "cop": 10, "huf": 10, "jpy": 10, "inr": 9}
"""As documented until 2025; 8 in all others."""


def check(amount: int, currency: str, types: Iterable[str], unsure: Unsure = DEFAULT) -> None:
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
    if unsure.enforces_minimum and amount < least(currency):
        raise _too_small(amount, currency)
    check_multiple(amount, currency, unsure)
    if amount > max(most(currency, each, unsure=unsure) for each in types):
        raise _too_large()


def check_multiple(amount: int, currency: str, unsure: Unsure = DEFAULT) -> None:
    """Charges and refunds alike: some currencies are counted finer than they are paid."""
    step = 10 if currency in THREE_DECIMAL else 100 if currency in WHOLE_ONLY else 1
    if amount % step:
        message = f"Invalid amount: amounts in {currency} must be evenly divisible by {step}."
        raise BadParameter(message, "amount", unsure.uneven_code or None)


def check_method(amount: int, currency: str, kind: str, brand: str | None, unsure: Unsure = DEFAULT) -> None:
    """Refuse what the chosen method does not take, though another might."""
    if brand == "amex" and currency in NOT_BY_AMEX:
        message = f"Your card is not supported: American Express does not take {currency}."
        raise invalid(message, "payment_method_currency_mismatch", param="payment_method")
    if amount > most(currency, kind, brand, unsure):
        raise _too_large()


def least(currency: str) -> int:
    """The smallest amount: as published, or what converts to the account's own minimum."""
    published = MINIMUM.get(currency)
    major = Decimal(published) if published else CONVERTED_MINIMUM * RATES[currency]
    return int(major.scaleb(decimals(currency)).to_integral_value(ROUND_CEILING))


def most(currency: str, kind: str, brand: str | None = None, unsure: Unsure = DEFAULT) -> int:
    """The largest amount, in so many digits, that a type of payment method takes."""
    by_card = _AMEX if brand == "amex" else _CARD
    if unsure.maximum == "older":
        by_card = min(by_card, _OLDER_BY_CARD.get(currency, _OTHERWISE))
    digits = by_card if kind == "card" else _OTHERS.get(currency, _OTHERWISE)
    return int(10**digits) - 1


def decimals(currency: str) -> int:
    """How Stripe counts the currency."""
    return 0 if currency in ZERO_DECIMAL else 3 if currency in THREE_DECIMAL else 2


def written(amount: int, currency: str) -> str:
    """The amount for people: ISK 1,000 is counted as 100000."""
    return _money(Decimal(amount).scaleb(-decimals(currency)), currency)


def _money(major: Decimal, currency: str) -> str:
    """As in Stripe's own texts: $40.00."""
    shown = 0 if currency in WHOLE_ONLY else decimals(currency)
    pattern = "¤#,##0" + ("." + "0" * shown if shown else "")
    return format_currency(
        major, currency.upper(), pattern, locale="en_US", currency_digits=False, decimal_quantization=False
    )


def _too_small(amount: int, currency: str) -> StripeError:
    if currency in MINIMUM:
        message = f"Amount must be at least {_money(Decimal(MINIMUM[currency]), currency)} {currency}"
    else:
        dollars = Decimal(amount).scaleb(-decimals(currency)) / RATES[currency]
        shown = written(amount, currency)
        message = (
            f"Amount must convert to at least 50 cents. {shown} converts to approximately ${dollars:.2f}."
        )
    return invalid(message, "amount_too_small", param="amount")


def _too_large() -> StripeError:
    return invalid(
        "Amount must be no more than the largest amount allowed.", "amount_too_large", param="amount"
    )
