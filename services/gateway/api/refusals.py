"""The codes with which each route of the public API refuses, by status: its OpenAPI document names them.

`Site.api` of the tests holds every refusal that any test sees to this table. A route that refuses with more codes gets
them here. Each text is a status with its codes, and further ones: `404 invoice_not_found 409 act_held`.
"""

from collections.abc import Iterator
from typing import Any

_CLINIC = "/clinics/{clinic_id}"
_INVOICE = _CLINIC + "/invoices/{invoice_id}"
_DISPUTE = _CLINIC + "/disputes/{dispute_id}"

_SETTINGS = (
    "409 slug_taken external_id_taken numbers_begun 422 invalid_slug invalid_text unknown_currency unknown_time_zone "
    "unknown_locale unreadable_accent invalid_tax_rate invalid_decimal email_not_valid phone_not_valid contact_missing "
    "invalid_address e_invoices_incomplete "
    "amount_out_of_range invalid_undo_hours invalid_reminders invalid_metadata invalid_numbers 503 request_in_progress "
)
_CLIENT = (
    "409 external_id_taken 422 invalid_text invalid_address invalid_metadata unknown_language email_not_valid "
    "503 request_in_progress "
)
_ISSUE = (
    "404 client_not_found 409 external_id_taken 422 invalid_lines invalid_text invalid_decimal invalid_quantity "
    "invalid_discount invalid_taxes unknown_tax_code tax_number_missing unknown_currency wrong_currency "
    "amount_out_of_range nothing_to_pay invalid_issue_date invalid_due_date invalid_appointment invalid_metadata "
)
_DOCUMENT = "404 invoice_not_found 409 invoice_void act_held 422 invalid_text explanation_needed "
_VOID = (
    f"{_DOCUMENT}409 invoice_already_paid payment_processing invoice_being_checked invoice_already_corrected "
)
_CREDIT = (
    f"{_DOCUMENT}409 credit_too_large nothing_left_to_credit "
    "422 line_not_found invalid_credit invalid_decimal wrong_currency amount_out_of_range "
)
_WRITE_OFF = (
    f"{_DOCUMENT}409 write_off_too_large nothing_due payment_processing "
    "422 invalid_credit wrong_currency amount_out_of_range "
)
_REPLACE = f"{_DOCUMENT}409 nothing_left_to_credit {_ISSUE}"
_REFUND = (
    "404 client_not_found payment_not_found 409 nothing_to_refund refund_too_large refunded_at_stripe charge_disputed "
    "refund_limit_reached credit_overdrawn 422 unclear_refund wrong_amount invalid_text card_number_refused "
    "503 refund_unknown stripe_busy stripe_unavailable "
)
_DO_AFTER_ALL = f"{_VOID}{_CREDIT}{_WRITE_OFF}{_REPLACE}{_REFUND}"
"""A changed act that is done now may be refused as the call that asked for it."""
_ANSWERABLE = "404 dispute_not_found 409 dispute_not_answerable evidence_too_late evidence_already_submitted "
_PAID = (
    "404 client_not_found payable_not_found 409 already_paid amount_changed invoice_being_updated credit_overdrawn "
    "422 wrong_amount invoice_named_twice invalid_text 503 payable_unknown "
)
_ACCOUNT = "503 stripe_busy stripe_unavailable stripe_misconfigured 502 stripe_refused "

OF_ROUTE: dict[str, str] = {
    "POST /clinics": _SETTINGS,
    f"PUT {_CLINIC}": _SETTINGS,
    f"PATCH {_CLINIC}": _SETTINGS,
    f"GET {_CLINIC}/clients": "422 email_not_valid",
    f"POST {_CLINIC}/clients": f"{_CLIENT}422 login_or_invitation",
    f"POST {_CLINIC}/clients/{{client_id}}/invitation": (
        "404 client_not_found contact_not_found 422 email_not_valid 503 request_in_progress"
    ),
    f"GET {_CLINIC}/clients/{{client_id}}": "404 client_not_found",
    f"GET {_CLINIC}/clients/{{client_id}}/statement": (
        "404 client_not_found 422 days_out_of_order statement_too_long 503 pdf_unavailable"
    ),
    f"GET {_CLINIC}/clients/{{client_id}}/invoices.zip": (
        "404 client_not_found 422 days_out_of_order too_many_invoices 503 pdf_unavailable"
    ),
    f"PATCH {_CLINIC}/clients/{{client_id}}": f"404 client_not_found {_CLIENT}",
    f"POST {_CLINIC}/staff": "422 email_not_valid 503 request_in_progress",
    f"POST {_CLINIC}/api-keys": "409 api_key_already_made 422 invalid_text 503 request_in_progress",
    f"POST {_CLINIC}/invoices": _ISSUE,
    f"POST {_CLINIC}/invoices/bulk": "409 external_id_taken 422 invoices_refused",
    f"GET {_INVOICE}": "404 invoice_not_found",
    f"GET {_INVOICE}/pdf": "404 invoice_not_found 503 pdf_unavailable",
    f"GET {_INVOICE}/xml": "404 invoice_not_found 409 no_e_invoice",
    f"GET {_INVOICE}/credit-notes/{{document_id}}/xml": (
        "404 invoice_not_found credit_note_not_found 409 no_e_invoice"
    ),
    f"GET {_INVOICE}/receipt": "404 invoice_not_found 409 nothing_paid 503 pdf_unavailable",
    f"GET {_INVOICE}/credit-notes/{{document_id}}/pdf": (
        "404 invoice_not_found credit_note_not_found 503 pdf_unavailable"
    ),
    f"POST {_INVOICE}/void": _VOID,
    f"POST {_INVOICE}/void/preview": _VOID,
    f"POST {_INVOICE}/credit-notes": _CREDIT,
    f"POST {_INVOICE}/credit-notes/preview": _CREDIT,
    f"POST {_INVOICE}/write-off": _WRITE_OFF,
    f"POST {_INVOICE}/write-off/preview": _WRITE_OFF,
    f"POST {_INVOICE}/correct": _REPLACE,
    f"POST {_INVOICE}/correct/preview": _REPLACE,
    f"GET {_INVOICE}/pay-link": "404 invoice_not_found 409 pay_links_off",
    f"POST {_INVOICE}/pay-link/revoke": "404 invoice_not_found",
    f"GET {_CLINIC}/stripe-account": _ACCOUNT,
    f"PUT {_CLINIC}/stripe-account": f"409 stripe_account_in_use {_ACCOUNT}",
    f"GET {_CLINIC}/clients/{{client_id}}/credit": "404 client_not_found",
    f"POST {_CLINIC}/refunds": _REFUND,
    f"POST {_CLINIC}/refunds/preview": _REFUND,
    f"PUT {_CLINIC}/refunds/{{refund_id}}/approval": (
        "404 refund_not_found 409 approval_by_another not_awaiting_approval charge_disputed act_held"
    ),
    f"GET {_DISPUTE}": "404 dispute_not_found",
    f"GET {_DISPUTE}/evidence": "404 dispute_not_found",
    f"PUT {_DISPUTE}/evidence": f"{_ANSWERABLE}422 invalid_text evidence_too_long",
    f"GET {_DISPUTE}/evidence/preview": _ANSWERABLE,
    f"POST {_DISPUTE}/evidence/submission": (
        f"{_ANSWERABLE}409 evidence_changed evidence_refused 422 evidence_empty evidence_too_long "
        "503 evidence_unknown stripe_busy stripe_unavailable"
    ),
    f"POST {_CLINIC}/payments": (
        f"{_PAID}422 received_in_the_future received_too_long_ago unknown_currency card_number_refused"
    ),
    f"POST {_CLINIC}/payments/{{payment_id}}/reverse": (
        "404 payment_not_found 409 payment_not_recorded already_reversed credit_overdrawn "
        "422 invalid_text card_number_refused"
    ),
    f"POST {_CLINIC}/credit-uses": f"{_PAID}409 no_credit_to_use",
    f"POST {_CLINIC}/cash-closings": "422 unknown_currency invalid_text card_number_refused",
    f"POST {_CLINIC}/exceptions/{{exception_id}}/settle": (
        f"404 exception_not_found 409 already_settled 422 settlement_unknown {_DO_AFTER_ALL}"
    ),
    f"POST {_CLINIC}/held-acts/{{act_id}}/undo": "404 held_act_not_found 409 already_done not_held",
    "POST /api-keys": "409 api_key_already_made 422 invalid_text 503 request_in_progress",
    "POST /api-keys/{key_id}/roll": "404 api_key_not_found 409 api_key_already_rolled",
    "DELETE /api-keys/{key_id}": "404 api_key_not_found 409 last_operator_key",
    f"POST {_CLINIC}/api-keys/{{key_id}}/roll": "404 api_key_not_found 409 api_key_already_rolled",
    f"DELETE {_CLINIC}/api-keys/{{key_id}}": "404 api_key_not_found",
}

_ANY = (
    "400 request_invalid duplicate_header 401 api_key_invalid 403 operator_only 413 body_too_large "
    "415 content_encoding_unsupported 429 too_many_requests 500 internal_error "
    "502 upstream_error bad_answer clock_skew 503 unavailable service_unavailable"
)
_BODY = "400 duplicate_member 415 media_type_unsupported"


def refusals_of(method: str, path: str, operation: dict[str, Any]) -> dict[str, list[str]]:
    """The codes of an operation of the document by status, in order; `path` is below `/api/v1`."""
    given = {each["name"] for each in operation.get("parameters", ())}
    texts = [
        _ANY,
        _BODY if "requestBody" in operation else "",
        "404 clinic_not_found" if "clinic_id" in given else "",
        "400 bad_cursor" if "cursor" in given else "",
        "422 idempotency_key_reused" if "Idempotency-Key" in given else "",
        OF_ROUTE.get(f"{method.upper()} {path}", ""),
    ]
    found: dict[str, set[str]] = {}
    for status, code in _read(" ".join(texts)):
        found.setdefault(status, set()).add(code)
    return {status: sorted(codes) for status, codes in sorted(found.items())}


def _read(text: str) -> Iterator[tuple[str, str]]:
    status = ""
    for word in text.split():
        if word.isdigit():
            status = word
        else:
            yield status, word
