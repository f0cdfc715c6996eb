"""Connecting as a role whose password is replaced while the process runs."""

from collections.abc import Callable, Sequence
from typing import Any

import asyncpg

Urls = str | Callable[[], Sequence[str]]
"""A database's URL, or a function that reads the present one, and the one to come, where they are kept."""


class Connector:
    """Opens connections by the first URL whose password the server takes. The one that worked last is tried too.

    So a new password may be put in its place before or after the server knows it; open connections stay.
    """

    def __init__(self, urls: Urls) -> None:
        self._urls = (lambda: (urls,)) if isinstance(urls, str) else urls
        self._worked: str | None = None

    async def connect(self, *_: object, **options: Any) -> Any:
        """A connection of asyncpg. Raises what the last refusal was."""
        refused: Exception | None = None
        for url in self._candidates():
            try:
                connection = await asyncpg.connect(url, **options)
            except asyncpg.InvalidAuthorizationSpecificationError as error:
                refused = error
                continue
            self._worked = url
            return connection
        assert refused is not None, "there is at least one URL"
        raise refused

    def _candidates(self) -> list[str]:
        return list(dict.fromkeys(filter(None, (*self._urls(), self._worked))))
