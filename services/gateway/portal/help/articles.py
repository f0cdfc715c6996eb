"""The help centre: articles in Markdown beside this file, and a small ranked search over them (BM25).

An article is a file of `texts/`: a title line (`# …`), a line `Summary: …`, a line `Words: …` with other words that
people search by, an empty line, then the text. Links to other articles are `help:slug`, to portal pages `page:billing`.
"""

import math
import re
from collections import Counter
from dataclasses import dataclass, field
from difflib import get_close_matches
from functools import lru_cache
from pathlib import Path

from markdown_it import MarkdownIt
from markupsafe import Markup

TEXTS = Path(__file__).parent / "texts"
GUIDE = "master-guide"
K1, B = 1.2, 0.75
"""BM25's usual constants: how soon repetition stops to count, and how much length matters."""
TITLE_WEIGHT, WORDS_WEIGHT = 5, 3
SNIPPET_WORDS = 26
STOP = frozenset(
    re.findall(
        r"\w+",
        "a an and are as at be by can do for from how i in is it me my of on or"
        " the this to what when where with you your",
    )
)


@dataclass(frozen=True)
class Article:
    slug: str
    title: str
    summary: str
    text: str
    terms: Counter[str] = field(repr=False, hash=False, compare=False)

    @property
    def length(self) -> int:
        return sum(self.terms.values())


@dataclass(frozen=True)
class Hit:
    """A found article; `snippet` is its best passage in pieces, each with whether it matches."""

    article: Article
    score: float
    snippet: list[tuple[str, bool]]


def every() -> list[Article]:
    """All articles but the guide, in their order."""
    return [article for article in _library().values() if article.slug != GUIDE]


def guide() -> Article:
    return _library()[GUIDE]


def find(slug: str) -> Article | None:
    return _library().get(slug)


def body(article: Article, clinic_slug: str) -> Markup:
    """The article as HTML, its links inside the clinic's portal. Raw HTML in the text is shown as text."""
    text = re.sub(r"\]\(help:([a-z-]+)\)", rf"](/c/{clinic_slug}/help/\1)", article.text)
    text = re.sub(r"\]\(page:([a-z/-]*)\)", rf"](/c/{clinic_slug}/\1)", text)
    return Markup(MarkdownIt("commonmark", {"html": False}).render(text))  # noqa: S704 - escaped by the renderer


def search(query: str) -> list[Hit]:
    """The articles that the query fits, best first; the last word may be unfinished."""
    wanted = [_expand(term) for term in dict.fromkeys(terms(query))]
    found = [(article, sum(_score(article, group) for group in wanted)) for article in _library().values()]
    matches = {term for group in wanted for term in group}
    hits = [Hit(article, score, _snippet(article, matches)) for article, score in found if score > 0]
    return sorted(hits, key=lambda hit: -hit.score)


def terms(text: str) -> list[str]:
    """The words that matter, in their simplest form."""
    return [_stem(word) for word in _words(text.lower()) if word not in STOP]


@lru_cache(maxsize=1)
def _library() -> dict[str, Article]:
    files = sorted(TEXTS.glob("*.md"))
    return {article.slug: article for article in map(_read, files)}


def _read(path: Path) -> Article:
    head, _, text = path.read_text(encoding="utf-8").partition("\n\n")
    title, summary, words = (line.partition(" ")[2] for line in head.splitlines())
    weighted = [
        *terms(title) * TITLE_WEIGHT,
        *terms(words) * WORDS_WEIGHT,
        *terms(summary),
        *terms(_plain(text)),
    ]
    return Article(path.stem.split("-", 1)[1], title, summary, text, Counter(weighted))


def _score(article: Article, group: frozenset[str]) -> float:
    """BM25 of one word of the query, which stands for a group of terms."""
    count = sum(article.terms[term] for term in group)
    if not count:
        return 0.0
    library = _library().values()
    having = sum(1 for other in library if any(term in other.terms for term in group))
    rarity = math.log(1 + (len(library) - having + 0.5) / (having + 0.5))
    average = sum(other.length for other in library) / len(library)
    return rarity * count * (K1 + 1) / (count + K1 * (1 - B + B * article.length / average))


def _expand(term: str) -> frozenset[str]:
    """The term and, from three letters on, all that begin with it; what nobody wrote is taken as mistyped."""
    if len(term) < 3:
        return frozenset([term])
    begun = [known for known in _vocabulary() if known.startswith(term)]
    return frozenset([term, *(begun or get_close_matches(term, _vocabulary(), n=2, cutoff=0.75))])


@lru_cache(maxsize=1)
def _vocabulary() -> frozenset[str]:
    return frozenset(term for article in _library().values() for term in article.terms)


def _snippet(article: Article, matches: set[str]) -> list[tuple[str, bool]]:
    """The passage of the text with the most matches; the summary when only that, or the title, matches."""
    words = _marked(_plain(re.sub(r"^#.*$", "", article.text, flags=re.MULTILINE)), matches)
    if not any(fits for _, fits in words):
        return _spaced(_marked(article.summary, matches))
    starts = range(0, max(1, len(words) - SNIPPET_WORDS + 1), 4)
    start = max(starts, key=lambda at: sum(fits for _, fits in words[at : at + SNIPPET_WORDS]))
    passage = _spaced(words[start : start + SNIPPET_WORDS])
    end = [("…", False)] if start + SNIPPET_WORDS < len(words) else []
    return [("… ", False), *passage, *end] if start else [*passage, *end]


def _marked(text: str, matches: set[str]) -> list[tuple[str, bool]]:
    """Each word of the text, and whether it matches."""
    return [(word, any(_stem(part) in matches for part in _words(word.lower()))) for word in text.split()]


def _spaced(words: list[tuple[str, bool]]) -> list[tuple[str, bool]]:
    return [piece for word in words for piece in (word, (" ", False))]


def _plain(text: str) -> str:
    """The text without its Markdown."""
    linked = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", text)
    return re.sub(r"[*#]|^\s*(?:-|\d+\.)\s", "", linked, flags=re.MULTILINE)


def _words(text: str) -> list[str]:
    return re.findall(r"[a-z0-9]+", text.replace("e-mail", "email"))


def _stem(word: str) -> str:
    """Plurals and the commonest endings, so that "paying" and "payments" find "pay"."""
    for ending in ("ments", "ment", "ings", "ing", "ies", "ied", "ed", "es", "s"):
        if word.endswith(ending) and len(word) - len(ending) >= 3:
            return word[: -len(ending)] + ("y" if ending in ("ies", "ied") else "")
    return word.removesuffix("e") if len(word) > 4 else word
