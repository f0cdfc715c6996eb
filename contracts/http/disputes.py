"""Disputes of payments at the payer's bank: bodies of the payment service."""

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, Final, cast
from uuid import UUID

from msgspec import Meta
from msgspec.inspect import type_info

from contracts.http.common import Answer, Money, Request
from contracts.http.payments import ShareOut
from contracts.vocabulary import DisputeStatus, EvidenceState

_TEXT = r"^[^\x00-\x08\x0b\x0c\x0e-\x1f\x7f]*$"
"""Lines and tabs, and no other control character."""
LongText = Annotated[str, Meta(max_length=20_000, pattern=_TEXT)]
ShortText = Annotated[str, Meta(max_length=5_000, pattern=_TEXT)]
Digest = Annotated[str, Meta(pattern=r"^[0-9a-f]{64}$(?!\n)")]


class DisputeOut(Answer, frozen=True, kw_only=True):
    """A dispute as the bank has it. `warning_*` is an inquiry: the bank asks, and takes no money.

    `amount` is disputed, `taken` is the sum that the bank has taken and not given back, of which `invoices` had been
    paid; `fees` are Stripe's. Evidence is taken until `due_by`; null: none is. `submissions` counts what was sent.
    """

    id: UUID
    payment_id: UUID
    client_id: UUID
    stripe_dispute_id: str
    status: DisputeStatus
    reason: str | None
    amount: Money
    taken: Money
    fees: list[Money]
    due_by: datetime | None
    has_evidence: bool
    submissions: int
    invoices: list[ShareOut]
    opened_at: datetime
    updated_at: datetime


class EvidenceTexts(Request, frozen=True, kw_only=True):
    """Texts for the bank, by Stripe's names, with Stripe's limits. An empty one is not sent.

    Files, and what is about shipping, are given in Stripe's dashboard.
    """

    access_activity_log: LongText = ""
    billing_address: ShortText = ""
    cancellation_policy_disclosure: LongText = ""
    cancellation_rebuttal: LongText = ""
    customer_email_address: ShortText = ""
    customer_name: ShortText = ""
    customer_purchase_ip: ShortText = ""
    duplicate_charge_explanation: LongText = ""
    duplicate_charge_id: ShortText = ""
    product_description: LongText = ""
    refund_policy_disclosure: LongText = ""
    refund_refusal_explanation: LongText = ""
    service_date: ShortText = ""
    uncategorized_text: LongText = ""


TEXT_LIMITS: Final[Mapping[str, int]] = {
    field.name: field.type.max_length for field in cast(Any, type_info(EvidenceTexts)).fields
}
"""The most characters of each text."""
MOST_CHARACTERS: Final = 150_000
"""The most characters of all texts together, by Stripe's documents."""


class EvidenceIn(Request, frozen=True, kw_only=True):
    """A draft of evidence, whole. Texts that are empty are filled with what the clinic's records have.

    `with_services`: they may say what was done when. Without it they name the invoice and the payment alone.
    """

    texts: EvidenceTexts
    with_services: bool = False


class EvidenceOut(Answer, frozen=True, kw_only=True):
    """The draft of a dispute's evidence, and what became of the newest submission.

    `reason` is a code: why Stripe refused it. `refusal` is the error with which a submission would be refused now.
    """

    dispute_id: UUID
    texts: EvidenceTexts
    with_services: bool
    state: EvidenceState
    reason: str | None
    digest: str | None
    submitted_at: datetime | None
    due_by: datetime | None
    refusal: str | None


class HeldIn(Request, frozen=True, kw_only=True):
    """Texts from the clinic's records, for what the draft leaves empty."""

    held: EvidenceTexts


class PreviewText(Answer, frozen=True, kw_only=True):
    """A text that would be sent. `held`: it is from the clinic's records. `limit` is Stripe's, in characters."""

    name: str
    text: str
    length: int
    limit: int
    held: bool


class EvidencePreview(Answer, frozen=True, kw_only=True):
    """All that would be sent to Stripe, and nothing else. `digest` names it in the submission.

    `length` and `limit` are of all texts together. `refusal` is the error with which a submission would be refused now.
    """

    digest: str
    texts: list[PreviewText]
    length: int
    limit: int
    refusal: str | None


class SubmissionIn(Request, frozen=True, kw_only=True):
    """The preview that is sent."""

    digest: Digest


class SubmitIn(HeldIn, frozen=True, kw_only=True):
    """The same, with the texts that the preview was made of."""

    digest: Digest
