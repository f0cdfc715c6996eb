"""Bodies of the public API about clients, with the limits that it promises."""

from uuid import UUID

import msgspec
from msgspec import UNSET, UnsetType

from contracts.http.clients import ClientOut
from contracts.http.common import Metadata, Request
from contracts.http.contacts import EmailStatus, LanguageCode
from services.gateway.api.schemas import AddressPatch, GivenId, NewAddress, Password, ShortText, TaxNumber


class LoginIn(Request, frozen=True, kw_only=True):
    """A login for the client's e-mail. One that exists keeps its password and opens this clinic too."""

    password: Password


class NewClient(Request, frozen=True, kw_only=True):
    """A client, the contact for e-mails, and optionally a login to the portal, or an invitation to make one."""

    name: ShortText
    email: str
    language: LanguageCode = "en"
    billing_address: NewAddress | None = None
    tax_number: TaxNumber | UnsetType = UNSET
    external_id: GivenId | UnsetType = UNSET
    metadata: Metadata | UnsetType = UNSET
    login: LoginIn | None = None
    invite: bool = False


class ClientPatch(Request, frozen=True, kw_only=True):
    """Members to change. Null resets a member to its default, and is refused where there is none."""

    name: ShortText | UnsetType = UNSET
    email: str | UnsetType = UNSET
    language: str | UnsetType | None = UNSET
    billing_address: AddressPatch | UnsetType | None = UNSET
    tax_number: TaxNumber | UnsetType | None = UNSET
    external_id: GivenId | UnsetType | None = UNSET
    metadata: dict[str, str | None] | UnsetType | None = UNSET


class ClientAnswer(ClientOut, frozen=True, kw_only=True):
    """`email_status` is null unless the newest e-mail to this `email` was refused for good."""

    email: str | None = None
    language: str | None = None
    email_status: EmailStatus | None = None


class InvitationAnswer(msgspec.Struct):
    """To whom the invitation goes. Whether the address had a login is told to its owner alone."""

    client_id: UUID
    email: str
