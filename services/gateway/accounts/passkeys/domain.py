"""Passkeys: a key pair on a device or in a password manager, of which we keep the public half. Pure.

An answer counts for our site, for the challenge that it was made for, and only if its owner unlocked the device: so it
stands for both factors. Nobody asks for the device's maker, and nothing of it is kept.
"""

import secrets
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import webauthn
from webauthn.helpers import options_to_json, parse_authentication_credential_json
from webauthn.helpers.structs import (
    AuthenticatorSelectionCriteria,
    PublicKeyCredentialDescriptor,
    ResidentKeyRequirement,
    UserVerificationRequirement,
)

from services.chassis.errors import DomainError
from services.gateway.accounts.steps.domain import LASTS

MOST = 10
"""Passkeys of one login."""
LONGEST_NAME = 40
_CHALLENGE = 32
_TIMEOUT = int(LASTS.total_seconds() * 1000)


class PasskeyRefused(DomainError):
    """The answer of a passkey that does not count. The words do not tell why: it may be a stranger's."""

    code = "passkey_refused"
    status = 401


class NoPasskey(DomainError):
    """There are too many, or the set-up took too long."""

    code = "no_passkey"


@dataclass(frozen=True, slots=True)
class PasskeySite:
    """Our site by its public URL: passkeys are bound to the host alone (the RP id), answers to the origin of pages."""

    host: str
    origin: str


@dataclass(frozen=True, slots=True)
class NewPasskey:
    credential_id: bytes
    public_key: bytes
    sign_count: int


@dataclass(frozen=True, slots=True)
class Passkey:
    """A passkey of a login. `sign_count` is what its device counted at the last use, or 0 for ever."""

    id: UUID
    login_id: UUID
    credential_id: bytes
    public_key: bytes
    sign_count: int
    name: str
    created_at: datetime
    used_at: datetime | None


def new_challenge() -> bytes:
    return secrets.token_bytes(_CHALLENGE)


def name_of(typed: str, otherwise: str) -> str:
    """The name that a person gave a passkey, on one line; `otherwise` for none that shows anything."""
    line = " ".join("".join(char if char.isprintable() else " " for char in typed).split())
    return line[:LONGEST_NAME].strip() or otherwise[:LONGEST_NAME] or "Passkey"


def options_to_add(
    site: PasskeySite, login_id: UUID, email: str, challenge: bytes, known: list[bytes]
) -> str:
    """JSON for the browser that makes a passkey: one that it finds by itself, and that asks its owner to unlock it."""
    return options_to_json(
        webauthn.generate_registration_options(
            rp_id=site.host,
            rp_name=site.host,
            user_id=login_id.bytes,
            user_name=email,
            challenge=challenge,
            timeout=_TIMEOUT,
            authenticator_selection=AuthenticatorSelectionCriteria(
                resident_key=ResidentKeyRequirement.REQUIRED,
                user_verification=UserVerificationRequirement.REQUIRED,
            ),
            exclude_credentials=[PublicKeyCredentialDescriptor(id=each) for each in known],
        )
    )


def options_to_log_in(site: PasskeySite, challenge: bytes) -> str:
    """JSON for the browser that logs in: it offers the passkeys that it has for our site. No login is named."""
    return options_to_json(
        webauthn.generate_authentication_options(
            rp_id=site.host,
            challenge=challenge,
            timeout=_TIMEOUT,
            user_verification=UserVerificationRequirement.REQUIRED,
        )
    )


def made(site: PasskeySite, challenge: bytes, answer: str) -> NewPasskey:
    """The passkey that the browser made for the challenge. Raises `PasskeyRefused`."""
    try:
        found = webauthn.verify_registration_response(
            credential=answer,
            expected_challenge=challenge,
            expected_rp_id=site.host,
            expected_origin=site.origin,
            require_user_verification=True,
        )
    except Exception as error:  # bytes of a stranger: the library raises what its decoders do
        raise refused() from error
    return NewPasskey(found.credential_id, found.credential_public_key, found.sign_count)


def named_in(answer: str) -> tuple[bytes, bytes]:
    """The passkey that an answer names, and the login that its device keeps it for. Raises `PasskeyRefused`."""
    try:
        found = parse_authentication_credential_json(answer)
    except Exception as error:  # as above
        raise refused() from error
    return found.raw_id, found.response.user_handle or b""


def count_of(site: PasskeySite, passkey: Passkey, challenge: bytes, answer: str) -> int:
    """The device's count, if it is this passkey's answer to the challenge. Raises `PasskeyRefused`.

    Also for a count that went back: then the key was copied.
    """
    try:
        return webauthn.verify_authentication_response(
            credential=answer,
            expected_challenge=challenge,
            expected_rp_id=site.host,
            expected_origin=site.origin,
            credential_public_key=passkey.public_key,
            credential_current_sign_count=passkey.sign_count,
            require_user_verification=True,
        ).new_sign_count
    except Exception as error:  # as above
        raise refused() from error


def refused() -> PasskeyRefused:
    return PasskeyRefused("The passkey was not accepted. Please try again.")
