"""Between the bodies in `contracts.http.methods` and the domain's values."""

from contracts.http.methods import SavedMethodOut
from services.payment.methods.domain import SavedMethod


def saved_method_out(method: SavedMethod, default: bool) -> SavedMethodOut:
    return SavedMethodOut(
        id=method.id,
        kind=method.kind,
        brand=method.brand,
        last4=method.last4,
        exp_month=method.exp_month,
        exp_year=method.exp_year,
        default=default,
    )
