"""All subjects of the frozen picture."""

from tests.frozen import (
    asserts,
    call_sites,
    catalog,
    consumers,
    documents,
    error_codes,
    event_ids,
    idempotency,
    leases,
    locks,
    mutants,
    story,
    stripe_metadata,
    topics,
)
from tests.frozen.picture import Subject

ALL = {
    subject.name: subject
    for subject in (
        Subject("topics", topics.draw),
        Subject("consumers", consumers.draw),
        Subject("leases", leases.draw),
        Subject("locks", locks.draw),
        Subject("event_ids", event_ids.draw),
        Subject("idempotency", idempotency.draw),
        Subject("call_sites", call_sites.draw),
        Subject("stripe_metadata", stripe_metadata.draw),
        Subject("error_codes", error_codes.draw),
        Subject("catalog", catalog.draw),
        Subject("documents", documents.draw),
        Subject("story", story.draw),
        Subject("mutants", mutants.draw, mutants.missing),
        Subject("asserts", asserts.draw, asserts.fallen),
    )
}
