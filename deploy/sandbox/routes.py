"""The whole table: what the API answers."""

from deploy.sandbox.resources import (
    accounts,
    balance_transactions,
    charges,
    customers,
    events,
    payment_intents,
    payment_methods,
    refunds,
    setup_intents,
)

ROUTES = (
    *accounts.ROUTES,
    *balance_transactions.ROUTES,
    *charges.ROUTES,
    *customers.ROUTES,
    *events.ROUTES,
    *payment_intents.ROUTES,
    *payment_methods.ROUTES,
    *refunds.ROUTES,
    *setup_intents.ROUTES,
)
