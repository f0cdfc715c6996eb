"""The search over the help articles: SQLite's full-text index (FTS5) in memory, built once a process."""

import re
import sqlite3
from dataclasses import dataclass
from difflib import get_close_matches
from functools import lru_cache

from services.gateway.portal.help import articles
from services.gateway.portal.help.articles import Article, Features

MOST = 3
"""More is no answer: all articles are one link away."""
STOP = frozenset(
    re.findall(
        r"\w+",
        "a an and are as at be by can do does for from how i in is it me my of on or"
        " the there this to was what when where why with you your",
    )
)
_OPEN, _CLOSE = "\x02", "\x03"
_FIND = f"""
SELECT slug, snippet(articles, 4, '{_OPEN}', '{_CLOSE}', '…', 26) FROM articles
WHERE articles MATCH ? ORDER BY bm25(articles, 0, 10, 6, 3, 1)
"""


@dataclass(frozen=True)
class Hit:
    """A found article; `snippet` is its best passage in pieces, each with whether it matches."""

    article: Article
    snippet: list[tuple[str, bool]]


def search(query: str, features: Features) -> list[Hit]:
    """The articles that fit the query best: those with all its words, then those with some of them."""
    terms = [_term(word, features) for word in dict.fromkeys(_words(query)) if word not in STOP]
    if not terms:
        return []
    some = dict(_rows(" OR ".join(terms), features))
    best = dict(_rows(" AND ".join(terms), features)) | some
    found = [articles.library()[slug] for slug in best]
    return [Hit(article, _snippet(article, some[article.slug])) for article in found[:MOST]]


def _rows(expression: str, features: Features) -> list[tuple[str, str]]:
    return _index(features).execute(_FIND, (expression,)).fetchall()


def _term(word: str, features: Features) -> str:
    """The word, or what begins with it, in FTS5's language; a word that no article has is taken as mistyped."""
    known = _vocabulary(features)
    if len(word) < 3 or any(each.startswith(word) for each in known):
        return f'("{word}" *)' if len(word) >= 3 else f'"{word}"'
    either = [word, *get_close_matches(word, known, n=2, cutoff=0.75)]
    return "(" + " OR ".join(f'"{each}"' for each in either) + ")"


@lru_cache(maxsize=8)
def _index(features: Features) -> sqlite3.Connection:
    """The index of what these clinics' clients can read. Only read once it is built, so any thread may use it."""
    made = sqlite3.connect(":memory:", check_same_thread=False)
    made.execute(
        """
        CREATE VIRTUAL TABLE articles USING fts5(
            slug UNINDEXED, title, words, summary, text, tokenize = 'porter unicode61')
        """
    )
    rows = [
        (each.slug, each.title, each.words, each.summary, articles.plain(articles.text_for(each, features)))
        for each in (articles.guide(), *articles.every(features))
    ]
    made.executemany("INSERT INTO articles VALUES (?, ?, ?, ?, ?)", rows)
    return made


@lru_cache(maxsize=8)
def _vocabulary(features: Features) -> list[str]:
    rows = _index(features).execute("SELECT title, words, summary, text FROM articles").fetchall()
    return sorted({word for row in rows for column in row for word in _words(column)})


def _words(text: str) -> list[str]:
    return re.findall(r"[^\W_]+", text.lower())


def _snippet(article: Article, passage: str) -> list[tuple[str, bool]]:
    """The passage in pieces; the summary when the text itself does not match."""
    if _OPEN not in passage:
        return [(article.summary, False)]
    pieces = re.split(f"({_OPEN}[^{_CLOSE}]*{_CLOSE})", passage.replace("\n", " "))
    return [(piece.strip(_OPEN + _CLOSE), piece.startswith(_OPEN)) for piece in pieces if piece]
