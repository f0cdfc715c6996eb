"""`python -m services.invoice api|worker`"""

from services.chassis.process import main
from services.invoice import app
from services.invoice.settings import Settings

if __name__ == "__main__":
    main("invoice", {"api": app.api, "worker": app.worker}, Settings)
