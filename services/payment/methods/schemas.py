"""Between the bodies in `contracts.http.methods` and the domain's values."""

from contracts.http.methods import SavedMethodOut
from services.payment.methods.domain import Listed


def saved_method_out(row: Listed) -> SavedMethodOut:
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
    )
