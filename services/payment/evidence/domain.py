"""Evidence of disputes: what may be submitted when, and what a submission became at Stripe. Pure decisions.

The bank takes one answer to an inquiry, and one to a chargeback. So a submission is committed with all its texts before
Stripe is asked, and nothing else can be submitted until Stripe has refused it.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from contracts.events.envelope import event_id
from contracts.http.disputes import MOST_CHARACTERS
from contracts.vocabulary import ANSWERABLE_DISPUTES, OPEN_DISPUTES, DisputePhase, SubmissionState
from services.chassis.errors import DomainError, Unavailable
from services.chassis.ids import Key, made_at
from services.payment.disputes.domain import Dispute, status_of


class DisputeNotAnswerable(DomainError):
    code = "dispute_not_answerable"


class EvidenceTooLate(DomainError):
    code = "evidence_too_late"


class EvidenceAlreadySubmitted(DomainError):
    code = "evidence_already_submitted"


class EvidenceChanged(DomainError):
    code = "evidence_changed"


class EvidenceRefused(DomainError):
    """Stripe took nothing of it. `reason` is Stripe's code, or ours."""

    code = "evidence_refused"


class EvidenceUnknown(Unavailable):
    """Stripe may have it, and cannot be asked now. The task asks again."""

    code = "evidence_unknown"


class EvidenceEmpty(DomainError):
    code = "evidence_empty"
    status = 422


class EvidenceTooLong(DomainError):
    code = "evidence_too_long"
    status = 422


Texts = Mapping[str, str]
"""Texts by Stripe's names; none is empty."""


@dataclass(frozen=True, slots=True)
class Draft:
    """The texts that staff wrote. `with_services`: texts from the clinic's records may say what was done when."""

    texts: Texts = field(default_factory=dict)
    with_services: bool = False


@dataclass(frozen=True, slots=True)
class Submission:
    """Evidence as it is sent to Stripe. `account` is the payment's, '' the platform's own.

    `spent_keys` counts the idempotency keys under which Stripe keeps an error of its own.
    """

    clinic_id: UUID
    id: UUID
    dispute_id: UUID
    phase: DisputePhase
    texts: Texts
    digest: str
    state: SubmissionState
    reason: str | None
    spent_keys: int
    made_at: datetime
    ended_at: datetime | None
    account: str
    stripe_dispute_id: str

    @property
    def key(self) -> Key:
        return self.clinic_id, self.id


@dataclass(frozen=True, slots=True)
class Evidence:
    """A dispute with its draft and its submissions, the newest first."""

    dispute: Dispute
    draft: Draft
    submissions: Sequence[Submission] = ()


def phase_of(dispute: Dispute) -> DisputePhase | None:
    """The question that the bank asks now; None while it takes no evidence."""
    if dispute.status not in ANSWERABLE_DISPUTES:
        return None
    return "inquiry" if dispute.status == "warning_needs_response" else "chargeback"


def merged(draft: Draft, held: Texts) -> dict[str, str]:
    """The texts to send: what staff wrote, and else what the clinic's records have."""
    return {name: text for name, text in sorted({**held, **draft.texts}.items()) if text}


def digest_of(texts: Texts) -> str:
    """SHA-256 of the texts as JSON with sorted names."""
    return hashlib.sha256(json.dumps(texts, sort_keys=True).encode()).hexdigest()


def taken(evidence: Evidence) -> Submission | None:
    """The submission that is, or may be, at the bank for what it asks about now."""
    phase = phase_of(evidence.dispute)
    live = (each for each in evidence.submissions if each.state != "refused" and phase in (None, each.phase))
    return next(live, None)


def check_answerable(evidence: Evidence, now: datetime) -> DisputePhase:
    """The question that evidence would answer.

    Raises `EvidenceAlreadySubmitted`, `DisputeNotAnswerable`, `EvidenceTooLate`.
    """
    dispute = evidence.dispute
    phase = phase_of(dispute)
    waits = phase is None and dispute.status in OPEN_DISPUTES
    if waits or (phase and taken(evidence)):
        raise EvidenceAlreadySubmitted("Evidence was submitted, and the bank takes it once.")
    if phase is None or dispute.due_by is None:
        raise DisputeNotAnswerable("The bank takes no evidence for this dispute.")
    if dispute.due_by <= now:
        raise EvidenceTooLate("The bank's deadline for evidence has passed.")
    return phase


def check_texts(texts: Texts) -> None:
    """Raises `EvidenceEmpty`, `EvidenceTooLong`."""
    if not texts:
        raise EvidenceEmpty("There is nothing to send: no text is filled in.")
    if sum(map(len, texts.values())) > MOST_CHARACTERS:
        raise EvidenceTooLong(f"All texts together have more than {MOST_CHARACTERS} characters.")


def refusal_of(evidence: Evidence, texts: Texts | None, now: datetime) -> str | None:
    """The code with which a submission would be refused now. `texts` None: those are not looked at."""
    try:
        check_answerable(evidence, now)
        if texts is not None:
            check_texts(texts)
    except DomainError as refused:
        return refused.code
    return None


def submit(evidence: Evidence, held: Texts, digest: str, account: str, now: datetime) -> Submission:
    """The submission to commit. `digest` is that of the preview.

    Raises what `check_answerable` and `check_texts` raise, and `EvidenceChanged`.
    """
    phase = check_answerable(evidence, now)
    texts = merged(evidence.draft, held)
    check_texts(texts)
    if digest_of(texts) != digest:
        raise EvidenceChanged("The evidence is not what the preview showed. Look at the preview again.")
    dispute = evidence.dispute
    # The same evidence has the same id, also in a service that was restored; after a refusal it is another one.
    refused = sum(each.state == "refused" for each in evidence.submissions)
    return Submission(
        clinic_id=dispute.clinic_id,
        id=event_id(made_at(dispute.id), "evidence", dispute.id, phase, digest, refused),
        dispute_id=dispute.id,
        phase=phase,
        texts=texts,
        digest=digest,
        state="sending",
        reason=None,
        spent_keys=0,
        made_at=now,
        ended_at=None,
        account=account,
        stripe_dispute_id=dispute.stripe_dispute_id,
    )


MARK = "evidence_id"
"""The key of a dispute's metadata at Stripe: which submission of ours it has. It is set by the call that submits."""


def is_sent(submission: Submission, at_stripe: Mapping[str, Any]) -> bool:
    """Whether Stripe has it, by the dispute as it is there."""
    metadata = at_stripe.get("metadata")
    return isinstance(metadata, Mapping) and metadata.get(MARK) == str(submission.id)


def is_wanted(submission: Submission, at_stripe: Mapping[str, Any]) -> bool:
    """Whether the bank still asks about what the submission is about. One of an inquiry answers no chargeback."""
    status = status_of(str(at_stripe.get("status")))
    asked = {"inquiry": "warning_needs_response", "chargeback": "needs_response"}
    return status == asked[submission.phase]
