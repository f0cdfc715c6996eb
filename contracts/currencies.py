"""The currencies that a clinic may use: how each is counted, here and at Stripe, and what Stripe charges in it.

Source: Stripe's documentation, "Supported currencies" (copies of 2026; American Express: of 2023) and the currencies
named in its error for an unknown one; for payment systems, its pages on each payment method (2026). Decimals follow
ISO 4217. A code is left out when Stripe does not accept it, or when its currency no longer exists (BGN, HRK, SVC…).

Copies of the page disagree about the largest amount, and Stripe's limits depend on the account's country and its
settlement currency. So this table decides what is offered, and Stripe's own `amount_too_small` or `amount_too_large`
is still handled as a refusal.

All amounts are in our minor units.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Final, Literal

from contracts.vocabulary import DEBIT_TYPES, AcceptedMethod

Charge = Literal["possible", "below_minimum", "above_maximum", "between_steps", "currency_not_accepted"]
"""Whether an amount can be charged online. `between_steps`: its last digits must be zero and are not."""


@dataclass(frozen=True, slots=True)
class Currency:
    """A currency's facts. `minimum` is the smallest charge: Stripe's, or a cautious one where it publishes none."""

    code: str
    decimals: int
    """ISO 4217's: 2 for EUR, 0 for JPY, 3 for KWD."""
    stripe_decimals: int
    step: int
    """Every charge is a multiple of it, in minor units."""
    minimum: int
    card_maximum: int
    amex_maximum: int
    """0 where American Express does not take the currency."""
    redirect_maximum: int
    """0 where no online payment system is known to take the currency."""
    debit_maximum: int
    """0 where no bank debit takes the currency."""

    def beside_credit(self, invoices: int) -> int:
        """The smallest charge beside credit: the smallest of all, and one step for each of so many invoices."""
        return max(self.minimum, invoices * self.step)

    def maximum(self, way: AcceptedMethod, brand: str | None = None) -> int:
        """The largest charge by this way to pay, and by the card's brand where it is known."""
        if way == "redirect":
            return self.redirect_maximum
        if way == "debit":
            return self.debit_maximum
        return self.amex_maximum if brand == "amex" else self.card_maximum


_DECIMALS: Final = {
    0: "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX VND VUV XAF XOF XPF",
    2: """
        AED AFN ALL AMD AOA ARS AUD AWG AZN BAM BBD BDT BMD BND BOB BRL BSD BTN BWP BYN BZD CAD CDF CHF CNY COP CRC
        CVE CZK DKK DOP DZD EGP ETB EUR FJD FKP GBP GEL GHS GIP GMD GTQ GYD HKD HNL HTG HUF IDR ILS INR JMD KES KGS
        KHR KYD KZT LAK LBP LKR LRD LSL MAD MDL MGA MKD MMK MNT MOP MUR MVR MWK MXN MYR MZN NAD NGN NIO NOK NPR NZD
        PAB PEN PGK PHP PKR PLN QAR RON RSD RUB SAR SBD SCR SEK SGD SHP SLE SOS SRD SZL THB TJS TOP TRY TTD TWD TZS
        UAH USD UYU UZS WST XCD XCG YER ZAR ZMW
    """,
    3: "BHD JOD KWD OMR TND",
}
_STRIPE_DECIMALS: Final = {"ISK": 2, "UGX": 2, "MGA": 0}
"""Where Stripe's decimals are not ISO 4217's: it writes 1,000 ISK as 100000, and 1,000.00 MGA as 1000."""
_MINIMUM: Final = {
    "AED": 200, "ARS": 50, "AUD": 50, "BRL": 50, "CAD": 50, "CHF": 50, "COP": 50, "CZK": 1500, "DKK": 250, "EUR": 50,
    "GBP": 30, "HKD": 400, "HUF": 17_500, "IDR": 50, "ILS": 50, "INR": 50, "JPY": 50, "KRW": 50, "MXN": 1000,
    "MYR": 200, "NOK": 300, "NZD": 50, "PHP": 50, "PLN": 200, "RON": 200, "RUB": 50, "SEK": 300, "SGD": 50,
    "THB": 1000, "USD": 50, "ZAR": 50,
}  # fmt: skip
_CAUTIOUS_MINIMUM: Final = """
    AFN 150  ALL 150  AMD 600  AOA 1500  AWG 2  AZN 2  BAM 2  BBD 2  BDT 150  BHD 0.4  BIF 7500  BMD 1  BND 2
    BOB 20  BSD 1  BTN 100  BWP 20  BYN 4  BZD 2  CDF 4000  CLP 1200  CNY 8  CRC 800  CVE 120  DJF 200  DOP 80
    DZD 200  EGP 75  ETB 250  FJD 3  FKP 1  GEL 4  GHS 20  GIP 1  GMD 100  GNF 12000  GTQ 10  GYD 250  HNL 30
    HTG 200  ISK 200  JMD 200  JOD 0.75  KES 200  KGS 100  KHR 5000  KMF 600  KWD 0.35  KYD 1  KZT 700  LAK 30000
    LBP 150000  LKR 400  LRD 250  LSL 25  MAD 12  MDL 25  MGA 6000  MKD 70  MMK 5000  MNT 4000  MOP 10  MUR 50
    MVR 20  MWK 5000  MZN 100  NAD 25  NGN 2500  NIO 40  NPR 160  OMR 0.4  PAB 1  PEN 5  PGK 5  PKR 350  PYG 9000
    QAR 4  RSD 130  RWF 2000  SAR 4  SBD 10  SCR 25  SHP 1  SLE 30  SOS 30000  SRD 50  SZL 25  TJS 15  TND 4  TOP 3
    TRY 75  TTD 8  TWD 35  TZS 3000  UAH 50  UGX 5000  UYU 50  UZS 15000  VND 30000  VUV 150  WST 3  XAF 700  XCD 3
    XCG 2  XOF 700  XPF 130  YER 3000  ZMW 30
"""
"""In major units, where Stripe publishes no minimum: a charge must then convert to the minimum of the currency that the
account settles in, about half a dollar.

Chosen by hand, without a rate service: about one dollar at the currency's weakest rate of 2016 to 2026 (the market
rate where the official one differed), rounded up. A currency that loses half its value needs a new figure here.
"""
_CARD_DIGITS: Final = 12
_AMEX_DIGITS: Final = 9
_OTHER_DIGITS: Final = {"IDR": 12, "COP": 10, "INR": 9}
_OTHERWISE_DIGITS: Final = 8
_NOT_BY_AMEX: Final = """
    AFN AOA ARS BOB BRL CLP COP CRC CVE DJF FKP GNF GTQ HNL LAK MUR NIO PAB PEN PYG SHP SRD UYU XOF XPF
"""
_DEBIT_MAXIMUM: Final = {"EUR": 1_000_000}
"""Where it is less than the digits allow: a SEPA debit of a new account is of 10,000 EUR at most."""
_SYSTEMS: Final = {
    "ideal": "EUR",
    "bancontact": "EUR",
    "eps": "EUR",
    "p24": "EUR PLN",
    "twint": "CHF",
    "blik": "PLN",
    "swish": "SEK",
    "mobilepay": "DKK EUR NOK SEK",
    "mb_way": "EUR",
    "paypal": "AUD CAD CHF CZK DKK EUR GBP HKD NOK NZD PLN SEK SGD USD",
    "klarna": "AUD CAD CHF CZK DKK EUR GBP NOK NZD PLN RON SEK USD",
    "alipay": "AUD CAD CNY EUR GBP HKD JPY MYR NZD SGD USD",
    "grabpay": "MYR SGD",
}
SYSTEMS: Final[Mapping[str, frozenset[str]]] = {
    kind: frozenset(codes.split()) for kind, codes in _SYSTEMS.items()
}
"""The currencies of each online payment system, by Stripe's type. Systems of one country's banks come first."""
_BY_REDIRECT: Final = frozenset[str]().union(*SYSTEMS.values())


def _cautious() -> dict[str, Decimal]:
    words = _CAUTIOUS_MINIMUM.split()
    return {code: Decimal(major) for code, major in zip(words[::2], words[1::2], strict=True)}


_CAUTIOUS: Final = _cautious()


def _minimum(code: str, decimals: int) -> int:
    published = _MINIMUM.get(code)
    return int(_CAUTIOUS[code].scaleb(decimals)) if published is None else published


def _currency(code: str, decimals: int) -> Currency:
    stripe_decimals = _STRIPE_DECIMALS.get(code, decimals)
    step = 10 if decimals == 3 else 100 if decimals > stripe_decimals else 1

    def largest(digits: int) -> int:
        minor: int = (10**digits - 1) * 10**decimals // 10**stripe_decimals
        return minor - minor % step

    others = largest(_OTHER_DIGITS.get(code, _OTHERWISE_DIGITS))
    return Currency(
        code=code,
        decimals=decimals,
        stripe_decimals=stripe_decimals,
        step=step,
        minimum=_minimum(code, decimals),
        card_maximum=largest(_CARD_DIGITS),
        amex_maximum=0 if code in _NOT_BY_AMEX.split() else largest(_AMEX_DIGITS),
        redirect_maximum=others if code in _BY_REDIRECT else 0,
        debit_maximum=_DEBIT_MAXIMUM.get(code, others) if code in DEBIT_TYPES else 0,
    )


CURRENCIES: Final = {
    code: _currency(code, decimals) for decimals, codes in sorted(_DECIMALS.items()) for code in codes.split()
}


def step_of(code: str) -> int:
    """The step of charges in the currency, in minor units; 1 for a currency no longer in the table."""
    known = CURRENCIES.get(code)
    return known.step if known else 1


def charge_of(minor: int, code: str) -> Charge:
    """Whether the amount can be charged online by any way to pay, whatever the clinic accepts."""
    known = CURRENCIES.get(code)
    if known is None:
        return "currency_not_accepted"
    if minor < known.minimum:
        return "below_minimum"
    if minor % known.step:
        return "between_steps"
    return "above_maximum" if minor > known.card_maximum else "possible"


def takes(way: AcceptedMethod, minor: int, code: str, brand: str | None = None) -> bool:
    """Whether the amount can be charged by this way to pay, or to a saved card of this brand."""
    return charge_of(minor, code) == "possible" and minor <= CURRENCIES[code].maximum(way, brand)
