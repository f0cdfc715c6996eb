"""`python -m services.notification api|worker`."""

from services.chassis.process import main
from services.notification import app
from services.notification.settings import Settings

main(app.NAME, {"api": app.api, "worker": app.worker}, Settings)
