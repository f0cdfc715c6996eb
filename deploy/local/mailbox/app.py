"""The page, its JSON for tests, and the SMTP server beside it."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeVar

from aiosmtpd.smtp import SMTP, Envelope, Session
from jinja2 import Environment, FileSystemLoader
from litestar import Litestar, MediaType, Response, get
from litestar.exceptions import NotFoundException

from deploy.local.mailbox.store import Mailbox, Message

HERE = Path(__file__).parent
PAGE_POLICY = (
    "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; frame-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
# Of the same origin, so that the page can measure it; a letter runs no script.
MAIL_POLICY = (
    "sandbox allow-popups allow-popups-to-escape-sandbox allow-same-origin; "
    "default-src 'none'; style-src 'unsafe-inline'; img-src data: https:"
)
MAX_SIZE = 32 * 2**20

Found = TypeVar("Found")
templates = Environment(loader=FileSystemLoader(HERE / "templates"), autoescape=True)


def mailbox_app(mailbox: Mailbox, smtp_host: str, smtp_port: int) -> Litestar:
    """The web app; while it runs, an SMTP server on smtp_host:smtp_port keeps all mail in the mailbox."""

    @get("/", media_type=MediaType.HTML, sync_to_thread=True)
    def inbox(to: str | None = None) -> Response[str]:
        return _page("inbox.html", messages=mailbox.newest(to=to), to=to)

    @get("/messages/{message_id:str}", media_type=MediaType.HTML, sync_to_thread=True)
    def message(message_id: str) -> Response[str]:
        return _page("message.html", message=_found(mailbox.get(message_id)))

    @get("/messages/{message_id:str}/html", media_type=MediaType.HTML, sync_to_thread=True)
    def message_html(message_id: str) -> Response[str]:
        """The HTML part alone, without script, its links opening outside the frame."""
        html = '<base target="_blank">' + _found(mailbox.get(message_id)).html
        return Response(html, headers={"Content-Security-Policy": MAIL_POLICY}, media_type=MediaType.HTML)

    @get("/messages/{message_id:str}/attachments/{index:int}", sync_to_thread=True)
    def attachment(message_id: str, index: int) -> Response[bytes]:
        kind, content = _found(mailbox.attachment(message_id, index))
        headers = {"Content-Disposition": "attachment", "X-Content-Type-Options": "nosniff"}
        return Response(content, media_type=kind, headers=headers)

    @get("/api/messages", sync_to_thread=True)
    def messages(to: str | None = None, limit: int = 200) -> list[Message]:
        return mailbox.newest(limit, to)

    @get("/api/messages/{message_id:str}", sync_to_thread=True)
    def one_message(message_id: str) -> Message:
        return _found(mailbox.get(message_id))

    return Litestar(
        [inbox, message, message_html, attachment, messages, one_message, asset, live, ready],
        lifespan=[_smtp(mailbox, smtp_host, smtp_port)],
        openapi_config=None,
        logging_config=None,
    )


@get("/assets/{name:str}", sync_to_thread=True)
def asset(name: str) -> Response[bytes]:
    kinds = {"mailbox.css": "text/css", "mailbox.js": "text/javascript", "letter.js": "text/javascript"}
    if name not in kinds:
        raise NotFoundException
    return Response((HERE / name).read_bytes(), media_type=kinds[name])


@get("/healthz/live", sync_to_thread=False)
def live() -> dict[str, str]:
    return {"status": "ok"}


@get("/healthz/ready", sync_to_thread=False)
def ready() -> dict[str, Any]:
    return {"status": "ready", "checks": {"smtp": "ok"}}


class _Keeper:
    """aiosmtpd's handler: every address is welcome."""

    def __init__(self, mailbox: Mailbox) -> None:
        self._mailbox = mailbox

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        assert isinstance(envelope.content, bytes)
        name = await asyncio.to_thread(self._mailbox.keep, envelope.content, list(envelope.rcpt_tos))
        return f"250 OK kept as {name}"


def _smtp(mailbox: Mailbox, host: str, port: int) -> Any:
    @asynccontextmanager
    async def lifespan(_: Litestar) -> AsyncIterator[None]:
        loop = asyncio.get_running_loop()
        server = await loop.create_server(
            lambda: SMTP(_Keeper(mailbox), enable_SMTPUTF8=True, data_size_limit=MAX_SIZE, loop=loop),
            host,
            port,
        )
        try:
            yield
        finally:
            server.close()

    return lifespan


def _page(name: str, **values: object) -> Response[str]:
    headers: Mapping[str, str] = {"Content-Security-Policy": PAGE_POLICY, "Referrer-Policy": "no-referrer"}
    return Response(templates.get_template(name).render(values), headers=headers, media_type=MediaType.HTML)


def _found(thing: Found | None) -> Found:
    if thing is None:
        raise NotFoundException
    return thing
