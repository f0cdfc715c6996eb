"""Nothing reads the time past `clock.now()` and `app_now()`, but for what must agree with others' clocks."""

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
OTHERS_CLOCKS = {
    "services/chassis/clock.py",
    "services/chassis/http/auth.py",  # tokens between processes
    "services/chassis/jobs/jobs.py",  # APScheduler's
    "services/chassis/kafka/waiting.py",  # PostgreSQL's, when an event was stated or parked
    "services/gateway/upstream/clocks.py",  # the machine's, held against the services'
    "services/gateway/web/limits.py",  # Litestar's rate limit
    "services/notification/emails/mime.py",  # the Date header
    "services/payment/stripe/webhooks.py",  # Stripe's signature
}
PYTHON = re.compile(r"datetime\.now\(|time\.time\(\)|utcnow|today\(\)")
SQL = re.compile(
    r"(?<![\w.])now\(\)|clock_timestamp\(|CURRENT_(?:TIMESTAMP|DATE|TIME)\b|localtimestamp", re.IGNORECASE
)


def test_services_read_the_time_in_one_place() -> None:
    reading = {
        str(path.relative_to(ROOT))
        for path in (ROOT / "services").rglob("*.py")
        if PYTHON.search(path.read_text()) or SQL.search(path.read_text().replace("def now()", ""))
    }

    assert reading == OTHERS_CLOCKS
