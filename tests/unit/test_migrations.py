"""Migrations of a service and of the chassis go into one database, which knows each by its number alone."""

from collections import Counter
from pathlib import Path

import pytest

from deploy.ops.database import SERVICES

ROOT = Path(__file__).resolve().parents[2] / "services"


@pytest.mark.parametrize("service", SERVICES)
def test_no_two_migrations_of_a_database_have_one_number(service: str) -> None:
    files = [path for of in ("chassis", service) for path in (ROOT / of / "migrations").glob("*.sql")]

    numbers = Counter(path.name.partition("_")[0] for path in files)

    assert len(files) > 5
    assert [number for number, count in numbers.items() if count > 1] == []
