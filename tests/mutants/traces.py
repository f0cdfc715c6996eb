"""Mutants of spans, of lines about payments, and of the marks that keep a trace."""

from tests.mutants.mutant import SERVICE, one

LOGS = "services/chassis/telemetry/logs.py"
SPANS = "services/chassis/telemetry/spans.py"
SWEEP = "services/payment/payments/sweep.py"
OF_SPANS = f"{SERVICE}test_spans.py::test_"
OF_LINES = f"{SERVICE}test_payment_lines.py::test_"
OF_TRACES = "tests/unit/test_traces.py::test_"

TRACES = (
    one(
        "a swept payment goes on in its trace",
        f"{OF_SPANS}a_swept_payment_settles_in_the_trace_that_it_began_in",
        SWEEP,
        "payment, intent, traceparent_of(span))",
        "payment, intent)",
    ),
    one(
        "asking is in no payment's trace",
        f"{OF_SPANS}asking_about_a_payment_that_has_not_moved_adds_nothing_to_its_trace",
        SWEEP,
        "        intent = await checkout.ensure_intent(db.worker_tx, stripe, payment, look_up=lost)\n",
        '        with span_from("ask", payment.traceparent):\n'
        "            intent = await checkout.ensure_intent(db.worker_tx, stripe, payment, look_up=lost)\n",
    ),
    one(
        "the mark where a payment begins",
        f"{OF_SPANS}a_payments_beginning_is_found_by_its_ids_and_is_marked",
        "services/payment/payments/actions.py",
        "payment_step=attributes.BEGUN, ",
        "",
    ),
    one(
        "a refusal is no fault of its transaction",
        f"{OF_SPANS}a_paths_ids_and_transactions_are_shown_and_a_refusal_is_no_fault",
        "services/chassis/telemetry/traces.py",
        "    except DomainError:\n        raise\n",
        "",
    ),
    one(
        "one bit says that a trace is sampled",
        f"{OF_TRACES}a_traceparent_says_by_one_bit_whether_it_is_sampled",
        "services/chassis/telemetry/traces.py",
        'SAMPLED_DIGITS = frozenset("13579bdf")',
        'SAMPLED_DIGITS = frozenset("1")',
    ),
    one(
        "late events",
        f"{OF_TRACES}the_trace_of_a_late_event_is_kept",
        SPANS,
        "    if is_late(event):\n",
        "    if False:\n",
    ),
    one(
        "errors of the relay",
        f"{OF_TRACES}an_event_that_kafka_did_not_confirm_is_marked",
        SPANS,
        "        for span in spans:\n            span.set_status(failed_with(error))\n        raise\n",
        "        raise\n",
    ),
    one(
        "the text of a batch's error",
        "tests/unit/test_chassis.py::test_a_failed_batch_marks_its_spans_as_errors",
        SPANS,
        "                # An error's text may quote a row.\n                record_exception=False,\n",
        "",
    ),
    one(
        "the trace of a line",
        f"{OF_LINES}each_status_of_a_payment_has_a_line_in_the_trace_in_which_it_began",
        "services/payment/payments/lines.py",
        "payment.traceparent[3:35] if payment.traceparent else None",
        "None",
    ),
    one(
        "a line's own trace stays",
        "tests/unit/test_chassis.py::test_a_line_about_something_of_another_trace_names_that_one",
        LOGS,
        '    if "trace_id" in entry:\n        return entry\n',
        "",
    ),
    one(
        "refused changes are logged",
        f"{OF_LINES}a_refused_payment_has_a_line_and_its_trace_is_kept",
        "services/chassis/http/app.py",
        'if error.status < 500 and request.method not in ("GET", "HEAD"):',
        "if False:",
    ),
)
