"""The mail server: one connection that is kept between e-mails, and the meaning of its answers."""

import asyncio
from urllib.parse import unquote, urlsplit

import aiosmtplib

from services.chassis.incidents import incidents
from services.notification.emails.domain import Refusal

SEND_SECONDS = 20.0
"""The most that one e-mail may take, connecting included."""
_KEPT_SECONDS = 20.0
"""Well under what servers allow an idle connection, so that a receipt never meets one that is already closed."""


UNREACHABLE = frozenset({"unreachable", "timeout"})
"""Codes about the server, not about one e-mail."""


class Smtp:
    """Sends over a connection that is kept between e-mails. Not for use by two tasks at once.

    `url`: `smtp://[user:password@]host[:port]` (STARTTLS when offered), or `smtps://`.
    """

    def __init__(self, url: str) -> None:
        self._url = urlsplit(url)
        self._client: aiosmtplib.SMTP | None = None
        self._used_at = 0.0

    async def send(self, sender: str, recipient: str, message: bytes) -> Refusal | None:
        """None when the server has taken the message, which is then its own to deliver; else what it said.

        A refusal's code is the SMTP code for what concerns this e-mail, `unreachable` or `timeout` for what
        concerns the server.
        """
        try:
            async with asyncio.timeout(SEND_SECONDS):
                client = await self._connected()
                await client.sendmail(sender, [recipient], message)
        except (aiosmtplib.SMTPException, OSError, TimeoutError) as error:
            return await self._refusal(error)
        finally:
            self._used_at = asyncio.get_running_loop().time()
        return None

    async def reach(self) -> bool:
        """Whether there is a connection, or one can be made."""
        try:
            async with asyncio.timeout(SEND_SECONDS):
                await self._connected()
        except (aiosmtplib.SMTPException, OSError, TimeoutError):
            await self.close()
            return False
        return True

    async def close(self) -> None:
        """Say goodbye; a server that does not answer is left."""
        client, self._client = self._client, None
        if client is None:
            return
        try:
            async with asyncio.timeout(2):
                await client.quit()
        except (aiosmtplib.SMTPException, OSError, TimeoutError):
            client.close()

    async def _connected(self) -> aiosmtplib.SMTP:
        idle = asyncio.get_running_loop().time() - self._used_at
        if self._client is not None and (not self._client.is_connected or idle > _KEPT_SECONDS):
            await self.close()
        if self._client is None:
            client = self._new_client()
            try:
                await client.connect()
            except aiosmtplib.SMTPResponseException as error:
                # Its greeting, EHLO or login: about the server or our account, not about this e-mail.
                client.close()
                raise aiosmtplib.SMTPConnectError(f"{error.code} on connecting") from None
            incidents.worked("mail_server_unreachable")
            self._client = client
            self._used_at = asyncio.get_running_loop().time()
        return self._client

    def _new_client(self) -> aiosmtplib.SMTP:
        url = self._url
        return aiosmtplib.SMTP(
            hostname=url.hostname,
            port=url.port,
            username=unquote(url.username) if url.username else None,
            password=unquote(url.password) if url.password else None,
            use_tls=url.scheme == "smtps",
            timeout=SEND_SECONDS / 2,
        )

    async def _refusal(self, error: Exception) -> Refusal:
        if isinstance(error, aiosmtplib.SMTPRecipientsRefused):
            error = error.recipients[0]
        if isinstance(error, aiosmtplib.SMTPResponseException) and error.code != 421:
            # A refused sender is our set-up, which somebody can mend before the e-mail is given up.
            permanent = error.code >= 500 and not isinstance(error, aiosmtplib.SMTPSenderRefused)
            return Refusal(str(error.code), permanent=permanent)
        incidents.failed("mail_server_unreachable", reason=type(error).__name__)
        await self.close()
        return Refusal("timeout" if isinstance(error, TimeoutError) else "unreachable", permanent=False)
