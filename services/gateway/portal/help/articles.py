"""The help centre: articles in Markdown beside this file, without those about things that a clinic has switched off.

An article is a file of `texts/`: a title line (`# …`), a line `Summary: …`, a line `Words: …` with other words that
people search by, if it is about something that can be switched off a line `Needs: …`, an empty line, then the text.
A heading that ends in `{…}` begins a section with the same condition. Links to other articles are `help:slug`, to
portal pages `page:billing`.
"""

import re
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from markdown_it import MarkdownIt
from markupsafe import Markup

from contracts.http.clinics import ClinicOut

TEXTS = Path(__file__).parent / "texts"
GUIDE = "master-guide"
Features = frozenset[str]
"""The parts of its portal that a clinic has switched on: `billing`, `online` (paying in the portal)."""


@dataclass(frozen=True)
class Article:
    slug: str
    title: str
    summary: str
    words: str
    needs: str
    text: str

    def fits(self, features: Features) -> bool:
        return not self.needs or self.needs in features


def features_of(clinic: ClinicOut) -> Features:
    shown = {"billing"} if clinic.billing_shown else set()
    return frozenset(shown | ({"online"} if shown and clinic.online_payment and clinic.methods else set()))


def every(features: Features) -> list[Article]:
    """All articles but the guide, in their order."""
    return [each for each in library().values() if each.slug != GUIDE and each.fits(features)]


def guide() -> Article:
    return library()[GUIDE]


def find(slug: str, features: Features) -> Article | None:
    found = library().get(slug)
    return found if found and found.fits(features) else None


def body(article: Article, clinic_slug: str, features: Features) -> Markup:
    """The article as HTML, its links inside the clinic's portal. Raw HTML in the text is shown as text."""
    text = re.sub(r"\]\(help:([a-z-]+)\)", rf"](/c/{clinic_slug}/help/\1)", text_for(article, features))
    text = re.sub(r"\]\(page:([a-z/-]*)\)", rf"](/c/{clinic_slug}/\1)", text)
    return Markup(MarkdownIt("commonmark", {"html": False}).render(text))  # noqa: S704 - escaped by the renderer


def text_for(article: Article, features: Features) -> str:
    """The article's text without the sections that are about something switched off."""
    sections = re.split(r"^(?=## )", article.text, flags=re.MULTILINE)
    return "".join(_without_condition(each) for each in sections if _condition(each) in features | {""})


def plain(text: str) -> str:
    """The text without its Markdown and its headings' conditions."""
    linked = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", _without_condition(text))
    return re.sub(r"[*#]|^\s*(?:-|\d+\.)\s", "", linked, flags=re.MULTILINE)


@lru_cache(maxsize=1)
def library() -> dict[str, Article]:
    """Every article by its slug."""
    return {article.slug: article for article in map(_read, sorted(TEXTS.glob("*.md")))}


def _read(path: Path) -> Article:
    head, _, text = path.read_text(encoding="utf-8").partition("\n\n")
    title, *rest = (line.partition(" ")[2] for line in head.splitlines())
    summary, words, needs = (*rest, "")[:3]
    return Article(path.stem.split("-", 1)[1], title, summary, words, needs, text)


def _condition(section: str) -> str:
    found = re.match(r"##[^\n]*\{(\w+)\}$", section, re.MULTILINE)
    return found[1] if found else ""


def _without_condition(text: str) -> str:
    return re.sub(r"^(##[^\n]*?) *\{\w+\}$", r"\1", text, flags=re.MULTILINE)
