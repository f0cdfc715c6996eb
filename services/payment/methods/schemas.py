"""Between the bodies in `contracts.http.methods` and the domain's values."""

from contracts.consents import Consent
from contracts.http.methods import AgreedOut, SavedMethodOut
from contracts.http.payments import ConsentIn
from services.payment.consents.domain import Agreed
from services.payment.methods.domain import Listed


def consent_of(body: ConsentIn) -> Consent:
    return Consent(body.kind, body.version, body.locale, body.text)


def saved_method_out(row: Listed, agreed: Agreed | None = None) -> SavedMethodOut:
    method = row.method
    return SavedMethodOut(
        id=method.id,
        kind=method.kind,
        brand=method.brand,
        last4=method.last4,
        exp_month=method.exp_month,
        exp_year=method.exp_year,
        default=row.default,
        expired=row.expired,
        nickname=row.nickname,
        agreed=AgreedOut(
            version=agreed.version, locale=agreed.locale, text=agreed.text, agreed_at=agreed.agreed_at
        )
        if agreed
        else None,
    )
