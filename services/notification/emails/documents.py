"""The documents that e-mails carry, read from the invoice service as the client to whom the e-mail goes."""

import asyncio
import re
from collections.abc import Sequence
from typing import Final
from uuid import UUID

import aiohttp

from services.chassis.http.auth import Caller, TokenMint
from services.chassis.incidents import incidents
from services.notification.emails.domain import Attachment, Document

SECONDS: Final = 10.0
"""For all documents of an e-mail."""
MOST_BYTES: Final = 7_000_000
"""Of all attachments of an e-mail: a third more in its encoding, which is what many mail servers take."""
MOST_DOCUMENTS: Final = 10
TRIES: Final = 10
"""So often an e-mail waits for its documents, for about half an hour. Then it goes without them."""
UNREACHABLE: Final = "documents_unreachable"
"""The code for an invoice service that does not answer, or not in time."""
_NAME = re.compile(r'filename="([A-Za-z0-9._-]{1,120})"')


class NoDocument(Exception):
    """It cannot be had now. The text is a code."""


class TooLarge(Exception):
    """It is never going to be attached."""


class Documents:
    """Reads documents. Without an address it has none. Used by one task after the other, or by several at once."""

    def __init__(self, url: str | None, private_key: str | None) -> None:
        self._url = url
        self._mint = TokenMint(private_key, "notification") if private_key else None
        self._session: aiohttp.ClientSession | None = None

    async def fetch(self, clinic_id: UUID, client_id: UUID, wanted: Sequence[Document]) -> list[Attachment]:
        """The documents in their order; none where all of them are too large or too many.

        Raises `NoDocument` when one cannot be had now. No connection to the database is held.
        """
        if self._mint is None or not wanted or len(wanted) > MOST_DOCUMENTS:
            return []
        token = self._mint.token(audience="invoice", caller=Caller(client_id, "client", clinic_id))
        found: list[Attachment] = []
        try:
            async with asyncio.timeout(SECONDS):
                for document in wanted:
                    left = MOST_BYTES - sum(len(each.content) for each in found)
                    found.append(await self._read(document, token, left))
        except TooLarge:
            return []
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            incidents.failed(UNREACHABLE, reason=type(error).__name__)
            raise NoDocument(UNREACHABLE) from error
        incidents.worked(UNREACHABLE)
        return found

    async def _read(self, document: Document, token: str, most: int) -> Attachment:
        headers = {"Authorization": f"Bearer {token}"}
        async with self._opened().get(
            f"{self._url}{document.path}", params=document.params, headers=headers, allow_redirects=False
        ) as answer:
            if answer.status != 200:
                raise NoDocument(f"document_{answer.status}")
            content = bytearray()
            async for part in answer.content.iter_chunked(65_536):
                content += part
                if len(content) > most:
                    raise TooLarge
        name = _NAME.search(answer.headers.get("Content-Disposition", ""))
        return Attachment(name[1] if name else "document.pdf", bytes(content))

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None

    def _opened(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar())
        return self._session
