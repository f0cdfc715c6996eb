"""Callers of the services, and the internal tokens that they carry."""

import json
from uuid import UUID

from joserfc.jwk import OKPKey

from services.chassis.http.auth import Caller, Role, TokenMint
from services.chassis.ids import new_id

_key = OKPKey.generate_key("Ed25519")


PRIVATE_KEY = json.dumps(_key.as_dict(private=True))


PUBLIC_KEY = json.dumps(_key.as_dict(private=False))


_mint = TokenMint(PRIVATE_KEY)


def token(audience: str, caller: Caller) -> str:
    return _mint.token(audience=audience, caller=caller)


def a_caller(role: Role, clinic_id: UUID | None = None, subject: UUID | None = None) -> Caller:
    return Caller(subject=subject or new_id(), role=role, clinic_id=clinic_id)
