"""One checker over all books: databases, topics, consumers and Stripe.

report = await verify(Access.of_data(Path(".clinicpay")))
assert not report.breaches, str(report)
"""

from deploy.verify.access import Access as Access
from deploy.verify.report import Breach as Breach
from deploy.verify.report import CannotCheck as CannotCheck
from deploy.verify.report import Report as Report
from deploy.verify.run import verify as verify
