"""The base of every service: transactions, outbox, inbox, consumers, tokens, telemetry. No business noun."""
