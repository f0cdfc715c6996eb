"""What every service stands on: transactions, outbox, inbox, consumers, tokens, telemetry. No business noun."""
