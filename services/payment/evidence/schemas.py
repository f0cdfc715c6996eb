"""Between the bodies in `contracts.http.disputes` and the domain's values."""

from datetime import datetime

import msgspec

from contracts.http.disputes import (
    MOST_CHARACTERS,
    TEXT_LIMITS,
    EvidenceIn,
    EvidenceOut,
    EvidencePreview,
    EvidenceTexts,
    PreviewText,
)
from services.payment.evidence import domain
from services.payment.evidence.domain import Draft, Evidence, Texts


def texts_of(given: EvidenceTexts) -> Texts:
    """The texts that are not empty, by Stripe's names."""
    return {name: text for name, text in msgspec.structs.asdict(given).items() if text}


def draft_of(given: EvidenceIn) -> Draft:
    return Draft(texts_of(given.texts), given.with_services)


def evidence_out(evidence: Evidence, now: datetime) -> EvidenceOut:
    newest = evidence.submissions[0] if evidence.submissions else None
    return EvidenceOut(
        dispute_id=evidence.dispute.id,
        texts=EvidenceTexts(**evidence.draft.texts),
        with_services=evidence.draft.with_services,
        state=newest.state if newest else "draft",
        reason=newest.reason if newest else None,
        digest=newest.digest if newest else None,
        submitted_at=newest.made_at if newest else None,
        due_by=evidence.dispute.due_by,
        refusal=domain.refusal_of(evidence, None, now),
    )


def preview_out(evidence: Evidence, held: Texts, now: datetime) -> EvidencePreview:
    texts = domain.merged(evidence.draft, held)
    return EvidencePreview(
        digest=domain.digest_of(texts),
        texts=[
            PreviewText(
                name=name,
                text=text,
                length=len(text),
                limit=TEXT_LIMITS[name],
                held=name not in evidence.draft.texts,
            )
            for name, text in texts.items()
        ],
        length=sum(map(len, texts.values())),
        limit=MOST_CHARACTERS,
        refusal=domain.refusal_of(evidence, texts, now),
    )
