"""Libraries' own logs, bounded: a line of a library that repeats is written once a minute, with how often it came."""

import logging
import time

EVERY_SECONDS = 60.0
_MOST = 1000


class Repeats(logging.Filter):
    """Lets the first record of each place in a library's code pass, then one a minute. `count`: with those held back.

    aiokafka and asyncpg write a line for each attempt to connect, several a second.
    """

    def __init__(self) -> None:
        super().__init__()
        self._seen: dict[tuple[str, int, str], tuple[float, int]] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        place = (record.pathname, record.lineno, record.levelname)
        now = time.monotonic()
        passed, held = self._seen.get(place, (None, 0))
        if passed is not None and now - passed < EVERY_SECONDS:
            self._seen[place] = (passed, held + 1)
            return False
        if len(self._seen) >= _MOST:
            self._seen.clear()
        self._seen[place] = (now, 0)
        record.count = held + 1
        return True
