"""Mutants of refunds: what keeps credit from going back twice, or more of it than there is."""

from tests.mutants.mutant import SERVICE, one

REFUNDS = "services/payment/refunds/domain.py"
STORE = "services/payment/refunds/store.py"
REFUND_TABLES = "services/payment/migrations/2002_pre_refunds.sql"
PRESSING = f"{SERVICE}test_payment_refunds.py::test_"
LATE = f"{SERVICE}test_payment_refunds_late.py::test_"

REFUNDING = (
    one(
        "row lock of credit",
        f"{PRESSING}twenty_presses_at_once_make_one_refund",
        "services/payment/credit/store.py",
        "        FOR UPDATE\n",
        "",
    ),
    one(
        "no more goes back than is refundable",
        f"{PRESSING}no_more_goes_back_than_a_payment_left",
        REFUNDS,
        "    if wanted > most:\n",
        "    if False:\n",
    ),
    one(
        "what was refunded before counts",
        f"{PRESSING}no_more_goes_back_than_a_payment_left",
        STORE,
        "(p.amount - coalesce(a.settled, 0) - coalesce(r.refunded, 0))::bigint",
        "(p.amount - coalesce(a.settled, 0))::bigint",
    ),
    one(
        "a late success does not undo a failure",
        f"{LATE}a_late_success_does_not_undo_a_failure",
        REFUNDS,
        "        return _STEP[status] > _STEP[refund.status]\n",
        "        return True\n",
    ),
    one(
        "a search that is refused proves nothing",
        f"{SERVICE}test_stripe_calls.py::test_a_refund_ends_once_with_its_money_sent_or_its_credit_back",
        "services/payment/refunds/stripe_calls.py",
        "    except (StripeRefused, StripeMisconfigured) as refused:\n",
        "    except StripeMisconfigured as refused:\n",
    ),
    one(
        "only the worker books what Stripe gave",
        f"{SERVICE}test_payment_events.py::test_the_api_role_sees_one_clinic_and_books_nothing",
        REFUND_TABLES,
        "WITH CHECK (effect IN ('refund', 'refund_returned'))",
        "WITH CHECK (true)",
    ),
)
