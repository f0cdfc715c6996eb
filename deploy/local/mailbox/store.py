"""Messages as .eml files in one directory; the file name begins with the time of arrival and sorts by it."""

import secrets
from dataclasses import dataclass
from datetime import UTC, datetime
from email import policy
from email.message import EmailMessage
from email.parser import BytesParser
from pathlib import Path
from typing import cast

_TIME = "%Y%m%dT%H%M%S.%fZ"


@dataclass(frozen=True)
class Message:
    """One stored message; `to` are the envelope's recipients, `text` and `html` empty where it has no such part."""

    id: str
    received_at: datetime
    sender: str
    to: list[str]
    subject: str
    message_id: str
    text: str
    html: str
    headers: list[tuple[str, str]]
    attachments: list[str]


class Mailbox:
    def __init__(self, directory: Path) -> None:
        self._directory = directory
        directory.mkdir(parents=True, exist_ok=True)

    def keep(self, raw: bytes, recipients: list[str]) -> str:
        """Store a message whole, with its envelope's recipients on top; answers its id."""
        name = f"{datetime.now(UTC).strftime(_TIME)}-{secrets.token_hex(3)}"
        envelope = "".join(f"X-Envelope-To: {address}\r\n" for address in recipients).encode()
        aside = self._directory / f"{name}.part"
        aside.write_bytes(envelope + raw)
        aside.rename(self._directory / f"{name}.eml")
        return name

    def newest(self, limit: int = 200, to: str | None = None) -> list[Message]:
        """The latest messages first; `to` keeps those for one address."""
        found: list[Message] = []
        for path in sorted(self._directory.glob("*.eml"), reverse=True):
            message = _read(path)
            if to is None or to.lower() in (address.lower() for address in message.to):
                found.append(message)
            if len(found) == limit:
                break
        return found

    def get(self, message_id: str) -> Message | None:
        """One message by its id; ids from addresses are looked up, never joined to a path."""
        path = self._path(message_id)
        return _read(path) if path else None

    def attachment(self, message_id: str, index: int) -> tuple[str, bytes] | None:
        """Content type and bytes of one attachment, counted from 0."""
        path = self._path(message_id)
        parts = list(_parse(path).iter_attachments()) if path else []
        if not 0 <= index < len(parts):
            return None
        return parts[index].get_content_type(), cast(bytes, parts[index].get_payload(decode=True) or b"")

    def _path(self, message_id: str) -> Path | None:
        return next((path for path in self._directory.glob("*.eml") if path.stem == message_id), None)


def _parse(path: Path) -> EmailMessage:
    return BytesParser(policy=policy.default).parsebytes(path.read_bytes())


def _read(path: Path) -> Message:
    message = _parse(path)
    return Message(
        id=path.stem,
        received_at=datetime.strptime(path.stem.split("-")[0], _TIME).replace(tzinfo=UTC),
        sender=str(message["From"] or ""),
        to=[str(address) for address in message.get_all("X-Envelope-To", [])],
        subject=str(message["Subject"] or ""),
        message_id=str(message["Message-ID"] or ""),
        text=_body(message, "plain"),
        html=_body(message, "html"),
        headers=[(name, str(value)) for name, value in message.items() if name != "X-Envelope-To"],
        attachments=[part.get_filename() or part.get_content_type() for part in message.iter_attachments()],
    )


def _body(message: EmailMessage, kind: str) -> str:
    part = message.get_body(preferencelist=(kind,))
    return str(part.get_content()) if part else ""
