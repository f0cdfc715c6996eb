"""The whole table: what the API answers."""

from deploy.sandbox.resources import (
    accounts,
    balance_transactions,
    charges,
    customers,
    disputes,
    events,
    payment_intents,
    payment_method_domains,
    payment_methods,
    payouts,
    refunds,
    setup_intents,
    webhook_endpoints,
)

ROUTES = (
    *accounts.ROUTES,
    *balance_transactions.ROUTES,
    *charges.ROUTES,
    *customers.ROUTES,
    *disputes.ROUTES,
    *events.ROUTES,
    *payment_intents.ROUTES,
    *payment_method_domains.ROUTES,
    *payment_methods.ROUTES,
    *payouts.ROUTES,
    *refunds.ROUTES,
    *setup_intents.ROUTES,
    *webhook_endpoints.ROUTES,
)
