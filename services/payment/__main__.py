"""`python -m services.payment api|worker`"""

from services.chassis.process import main
from services.payment import app
from services.payment.settings import Settings

if __name__ == "__main__":
    main("payment", {"api": app.api, "worker": app.worker}, Settings)
