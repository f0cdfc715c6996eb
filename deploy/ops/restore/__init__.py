"""`clinicpay restore`: brings databases that were restored from a backup into step with Kafka and Stripe (ADR 0034)."""
