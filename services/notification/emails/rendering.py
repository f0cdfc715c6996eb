"""An e-mail's subject, HTML and text, from its kind's templates. No I/O but reading templates."""

import re
from dataclasses import dataclass, fields
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template
from mjml import mjml2html

from contracts.pay_links import PayLinks
from services.chassis import clock
from services.chassis.locale.colours import from_hex, text_on, to_hex
from services.chassis.locale.phones import dial_link
from services.notification.emails.domain import Outgoing, Site
from services.notification.emails.kinds import FILES
from services.notification.emails.messages.parts import LONGEST_NAME, one_line
from services.notification.projections.domain import Clinic

_FOLDER = Path(__file__).parent / "templates"


@dataclass(frozen=True, slots=True)
class Content:
    """An e-mail's content, before it has headers."""

    subject: str
    text: str
    html: str
    unsubscribe: str | None = None
    """The address at which the recipient ends e-mails of this kind, if they can be ended."""


@cache
def _templates() -> tuple[dict[str, Template], dict[str, Template]]:
    """The HTML and the text templates by name. MJML is made table HTML first, and both parts are Jinja2's then."""
    html = Environment(autoescape=True, undefined=StrictUndefined)
    text = Environment(  # noqa: S701 - plain text, where an entity would be shown as it stands
        loader=FileSystemLoader(_FOLDER), trim_blocks=True, lstrip_blocks=True, undefined=StrictUndefined
    )
    return (
        {name: html.from_string(_compile(name)) for name in FILES},
        {name: text.get_template(f"{name}.txt") for name in FILES},
    )


class Renderer:
    """The templates, compiled once in a process."""

    def __init__(self, portal_url: str, pay_links: PayLinks) -> None:
        self._portal = portal_url.rstrip("/")
        self._pay_links = pay_links
        self._html, self._text = _templates()

    def render(self, email: Outgoing) -> Content:
        """Fill both templates; amounts and days as the clinic's locale and time zone write them."""
        file = email.kind.file
        clinic = email.clinic
        content = email.content(Site(self._portal, self._pay_links, clock.now()))
        common = {
            "clinic": _tidy(clinic),
            "name": one_line(email.recipient.name),
            "accent": clinic.accent,
            "ink": to_hex(text_on(from_hex(clinic.accent))),
            "phone_link": dial_link(one_line(clinic.phone), clinic.locale),
            "code": None,
            "second": None,
            "link_until": None,
            "unsubscribe": None,
            "email_link": f"mailto:{one_line(clinic.email)}",
        }
        context = common | content
        context["subject"] = _subject(email, context["subject"])
        return Content(
            context["subject"],
            _render(self._text[file], context),
            self._html[file].render(context),
            context["unsubscribe"],
        )


def _subject(email: Outgoing, about: str) -> str:
    """The subject, with the clinic's name behind it in an e-mail to a client (ADR 57)."""
    name = one_line(email.subject_end)[:LONGEST_NAME].strip()
    return f"{about} - {name}" if name else about


def _tidy(clinic: Clinic) -> dict[str, str]:
    parts = {
        field.name: one_line(getattr(clinic, field.name)) for field in fields(clinic) if field.type is str
    }
    lines = (one_line(line).strip(", ") for line in clinic.address.splitlines())
    return parts | {"address": ", ".join(line for line in lines if line)}


def _compile(name: str) -> str:
    layout, content, action = (
        (_FOLDER / f"{part}.mjml").read_text(encoding="utf-8") for part in ("layout", name, "action")
    )
    mjml = layout.replace("<!-- content -->", content).replace("<!-- action -->", action)
    return str(mjml2html(mjml, disable_comments=True))


def _render(template: Template, context: dict[str, Any]) -> str:
    return re.sub(r"\n{3,}", "\n\n", template.render(context)).strip() + "\n"
