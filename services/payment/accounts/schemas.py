"""Between the bodies in `contracts.http.accounts` and the domain's values."""

from contracts.currencies import SYSTEMS
from contracts.http.accounts import AccountIn, AccountOut
from contracts.vocabulary import ACCEPTED_METHODS, DEBIT_TYPES
from services.payment.accounts.domain import AccountState, ClinicAccount, charged_on


def clinic_account(body: AccountIn) -> ClinicAccount:
    return ClinicAccount(body.stripe_account_id or None, body.platform_account)


def account_out(chosen: ClinicAccount, state: AccountState, livemode: bool) -> AccountOut:
    charged = charged_on(chosen, livemode)
    problem = "no_account" if charged == "none" else state.problem
    return AccountOut(
        stripe_account_id=chosen.own,
        platform_account=chosen.platform,
        charged_on=charged,
        takes_payments=problem is None,
        problem=problem,
        disabled_reason=state.disabled_reason,
        methods=tuple(way for way in sorted(ACCEPTED_METHODS) if way in state.ways)
        if problem is None
        else (),
        debit_currencies=tuple(
            code for code in DEBIT_TYPES if problem is None and state.takes("debit", code)
        ),
        systems=tuple(kind for kind in SYSTEMS if problem is None and kind in state.ways),
    )
