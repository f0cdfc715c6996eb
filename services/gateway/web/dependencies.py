"""Dependencies that every room's routes may name as a parameter: `db` and `settings`."""

from litestar.di import NamedDependency

from services.chassis.db.database import Database
from services.gateway.settings import Settings

Db = NamedDependency[Database]
InjectedSettings = NamedDependency[Settings]
