"""The mutants: each takes away one thing that keeps money right or clinics apart, and names the test that notices."""

from tests.mutants import currencies, edges, events, money, refunds, restore, rows
from tests.mutants.mutant import Mutant

ALL: tuple[Mutant, ...] = (
    *events.INBOX_AND_PARKING,
    *rows.LOCKING,
    *rows.TABLES,
    *events.VERSIONS,
    *money.MONEY,
    *currencies.CURRENCIES,
    *refunds.REFUNDING,
    *restore.RESTORING,
    *edges.EDGES,
)
