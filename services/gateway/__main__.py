"""`python -m services.gateway api`."""

from services.chassis.process import main
from services.gateway import app
from services.gateway.settings import Settings

if __name__ == "__main__":
    main("gateway", {"api": app.api}, Settings)
