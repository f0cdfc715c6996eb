"""Between the bodies in `contracts.http.accounts` and the domain's values."""

from contracts.http.accounts import AccountIn, AccountOut
from services.payment.accounts.domain import ClinicAccount, charged_on


def clinic_account(body: AccountIn) -> ClinicAccount:
    return ClinicAccount(body.stripe_account_id or None, body.platform_account)


def account_out(chosen: ClinicAccount, livemode: bool) -> AccountOut:
    return AccountOut(
        stripe_account_id=chosen.own,
        platform_account=chosen.platform,
        charged_on=charged_on(chosen, livemode),
    )
