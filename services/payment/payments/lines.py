"""Lines of the log about payments: one for each new status, with ids, and the trace in which the payment began."""

import structlog

from services.payment.payments.domain import Payment

log = structlog.get_logger()


def tell(payment: Payment, status: str | None = None) -> None:
    """A payment has a new status: its own, or `reversed`.

    Call it as the last of a transaction's work: a line cannot be taken back. Where work is repeated its line is too.
    """
    # The middle of a `traceparent`.
    trace_id = payment.traceparent[3:35] if payment.traceparent else None
    known = {"object_id": payment.intent_id, "code": payment.failure_code, "trace_id": trace_id}
    log.info(
        "payment_status",
        payment_id=str(payment.id),
        clinic_id=str(payment.clinic_id),
        status=status or payment.status,
        **{name: value for name, value in known.items() if value},
    )
