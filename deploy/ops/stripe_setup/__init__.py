"""An installation's settings at Stripe: checked against what the code acts on, and made."""
