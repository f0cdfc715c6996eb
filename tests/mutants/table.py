"""The mutants: each takes away one thing that keeps money right or clinics apart, and names the test that notices."""

from tests.mutants import (
    console,
    corrections,
    credit,
    currencies,
    disputes,
    edges,
    erasures,
    events,
    held,
    logins,
    money,
    queued,
    refunds,
    restore,
    rows,
    signals,
    traces,
)
from tests.mutants.mutant import Mutant

ALL: tuple[Mutant, ...] = (
    *events.INBOX_AND_PARKING,
    *rows.LOCKING,
    *rows.TABLES,
    *events.VERSIONS,
    *money.MONEY,
    *currencies.CURRENCIES,
    *corrections.CORRECTING,
    *credit.PAYING_WITH_CREDIT,
    *refunds.REFUNDING,
    *disputes.DISPUTING,
    *restore.RESTORING,
    *edges.EDGES,
    *queued.QUEUED,
    *held.HOLDING_ACTS,
    *logins.LOGINS,
    *signals.SIGNALS,
    *console.CONSOLE,
    *traces.TRACES,
    *erasures.ERASURES,
)
