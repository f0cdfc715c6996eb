"""The fingerprint of a request's body, for routes that take an idempotency key."""

import hashlib

from litestar.di import NamedDependency

from services.chassis.http.problems import AnyRequest

BodyFingerprint = NamedDependency[bytes]


async def fingerprint(request: AnyRequest) -> bytes:
    """SHA-256 of the body's bytes as they were sent."""
    return hashlib.sha256(await request.body()).digest()
