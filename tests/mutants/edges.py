"""Mutants of what lets requests in and answers out."""

from tests.mutants.mutant import SERVICE, one

DB = "services/chassis/db/database.py"
AUTH = "services/chassis/http/auth.py"
HTTP = "services/chassis/http/app.py"
IDEMPOTENCY = "services/chassis/idempotency.py"
WEBHOOKS = "services/payment/stripe/webhooks.py"
SERVING = f"{SERVICE}test_chassis_http.py::test_"
EDGE = f"{SERVICE}test_payment_webhooks.py::test_"

EDGES = (
    one(
        "webhook signature",
        f"{EDGE}whatever_is_not_signed_by_stripe_is_a_400",
        WEBHOOKS,
        "    verify(body, signature, secrets)\n    found",
        "    found",
    ),
    one(
        "signatures from the future",
        f"{EDGE}whatever_is_not_signed_by_stripe_is_a_400",
        WEBHOOKS,
        '    if _signed_at(signature or "") > time.time() + TOLERANCE_SECONDS:\n',
        "    if False:\n",
    ),
    one(
        "webhooks of the other mode",
        f"{EDGE}what_nothing_acts_on_is_acknowledged_without_kafka",
        WEBHOOKS,
        'snapshot["livemode"] is not livemode',
        "False",
    ),
    one(
        "thin events",
        f"{EDGE}what_nothing_acts_on_is_acknowledged_without_kafka",
        WEBHOOKS,
        '        return Ignored.THIN if str(snapshot.get("object")).startswith("v2.") else Ignored.SHAPE\n',
        '        raise WebhookUnreadable("This is no snapshot event.")\n',
    ),
    one(
        "token audience",
        f"{SERVING}a_token_that_is_not_exactly_right_is_refused",
        AUTH,
        'aud={"essential": True, "value": audience}',
        'aud={"essential": True}',
    ),
    one(
        "token lifetime",
        f"{SERVING}a_token_that_is_not_exactly_right_is_refused",
        AUTH,
        "if not 0 < expires - made <= LIFETIME_SECONDS:",
        "if False:",
    ),
    one(
        "roles",
        f"{SERVING}each_role_reaches_what_is_its_own",
        AUTH,
        "    if caller_of(connection).role not in roles:\n",
        "    if False:\n",
    ),
    one(
        "commit before the answer",
        f"{SERVING}a_transaction_is_committed_before_the_answer_leaves",
        HTTP,
        '        async with db.tx(caller.clinic_id, operator=caller.role == "operator") as tx:\n            yield tx\n',
        '        begun = db.tx(caller.clinic_id, operator=caller.role == "operator")\n'
        "        yield await begun.__aenter__()\n"
        "        import asyncio\n"
        "        later = lambda: asyncio.ensure_future(begun.__aexit__(None, None, None))\n"
        "        asyncio.get_running_loop().call_later(1, later)\n",
    ),
    one(
        "the clinic of a transaction",
        f"{SERVING}a_transaction_sees_its_own_clinic_only",
        DB,
        'str(clinic_id or ""),',
        '"",',
    ),
    one(
        "a cancelled transaction's connection",
        f"{SERVING}a_cancelled_transaction_leaves_no_open_one_in_the_pool",
        DB,
        "            connection.terminate()\n            raise\n",
        "            raise\n",
    ),
    one(
        "another body under the same key",
        f"{SERVING}the_same_key_has_the_same_answer_and_another_body_is_refused",
        IDEMPOTENCY,
        '    if row["fingerprint"] != fingerprint:\n',
        "    if False:\n",
    ),
    one(
        "a refusal that the public document names",
        "tests/service/test_request_faults.py::test_every_refusal_is_named_by_the_document",
        "services/gateway/api/document.py",
        '            operation["responses"].update(_refused(method, path, operation))\n',
        "            pass\n",
    ),
    one(
        "a pay link ends with the generation",
        f"{SERVICE}test_pay_links.py::test_a_revoked_link_ends_and_a_new_one_works",
        "services/gateway/pay_links/domain.py",
        " and link.generation == invoice.pay_link_generation",
        "",
    ),
    one(
        "a pay link ends with its last day",
        f"{SERVICE}test_pay_links.py::test_a_link_works_to_the_end_of_its_last_day",
        "services/gateway/pay_links/domain.py",
        "link.expires_on < Formats.of(clinic).local(now).date()",
        "False",
    ),
    one(
        "a pay link shows no payment of another invoice",
        f"{SERVICE}test_pay_links.py::test_a_payment_of_another_invoice_is_not_shown",
        "services/gateway/pay_links/domain.py",
        "== [self.invoice.id]",
        "!= []",
    ),
    one(
        "a pay link's stream is of its invoice alone",
        f"{SERVICE}test_pay_links.py::test_a_links_stream_tells_of_its_invoice_alone",
        "services/gateway/live/streams.py",
        "page.is_for(change) and ",
        "",
    ),
    one(
        "notification's key opens the routes of documents alone",
        f"{SERVICE}test_notification_documents.py::test_notifications_key_opens_documents_of_that_client_and_nothing_else",
        "services/chassis/http/auth.py",
        'others.get(connection.scope["route_handler"].opt.get("other_caller", ""))',
        'others.get("notification")',
    ),
    one(
        "a receipt by e-mail waits for its payment",
        f"{SERVICE}test_notification_documents.py::test_a_receipt_waits_for_its_payment_to_be_booked",
        "services/invoice/printing/routes.py",
        "all(each.payment_id != payment_id for each in found.movements)",
        "not found.movements",
    ),
    one(
        "a document that cannot be had delays its e-mail",
        f"{SERVICE}test_notification_documents.py::test_an_invoice_service_that_is_away_delays_an_email_and_then_it_goes_without",
        "services/notification/emails/sending.py",
        "if delivery.task.attempts + 1 < documents.TRIES:",
        "if False:",
    ),
    one(
        "an invoice service that does not answer is asked once a batch",
        f"{SERVICE}test_notification_documents.py::test_a_slow_invoice_service_is_not_waited_for_by_each_email",
        "services/notification/emails/sending.py",
        "if self._documents_away:",
        "if False:",
    ),
    one(
        "a document stays the e-invoice that it was issued as",
        f"{SERVICE}test_printing.py::test_a_clinic_with_e_invoices_gives_them_in_the_pdf_and_alone",
        "services/invoice/invoices/e_invoices.py",
        "if seller is None or not seller.e_invoices or found.bill_to is None:",
        "if seller is None or found.bill_to is None:",
    ),
    one(
        "a tax without a line on a credit note has no line on its e-invoice",
        "tests/unit/test_invoice_en16931.py::test_a_line_that_takes_nothing_off_is_left_out",
        "services/invoice/printing/cii.py",
        "named = [each for each in named if each.tax in groups]",
        "named = [*named]",
    ),
)
