"""A client's own credit over HTTP."""

from litestar import get
from litestar.di import NamedDependency

from contracts import money
from contracts.http.common import Money
from services.chassis.db.database import Connection
from services.chassis.http.auth import Caller, client
from services.payment.credit import store

Tx = NamedDependency[Connection]


@get("/credit", guards=[client])
async def get_credit(caller: NamedDependency[Caller], tx: Tx) -> list[Money]:
    """The credit that the client can use at the clinic, one sum for each currency."""
    credit: list[money.Money] = await store.get_usable(tx, caller.subject)
    return [Money(each.minor, each.currency) for each in credit]


ALL = [get_credit]
