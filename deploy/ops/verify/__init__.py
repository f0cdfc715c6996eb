"""One checker over all books: databases, topics, consumers and Stripe.

report = await verify(Access.of_data(Path(".clinicpay")))
assert not report.breaches, str(report)
"""
