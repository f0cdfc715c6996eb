"""Exceptions over the public API: one list of both services, settled where they are."""

from typing import Any
from uuid import UUID

from services.chassis import exceptions
from services.chassis.ids import new_id
from tests.running.databases import ServiceDb
from tests.running.gateway import Site, create_clinic
from tests.running.settings import OPERATOR_KEY


async def an_exception(db: ServiceDb, clinic_id: UUID, kind: str) -> str:
    async with db.worker.worker_tx() as tx:
        added = await exceptions.add(tx, clinic_id, kind, new_id(), "more_than_left", {"amount": 2500})
    assert added is not None
    return str(added)


async def test_exceptions_of_both_services_are_one_list_and_each_is_settled_once(
    site: Site, db_invoice: ServiceDb, db_payment: ServiceDb
) -> None:
    clinic_id, key = UUID((await create_clinic(site))["id"]), OPERATOR_KEY
    made = [
        await an_exception(db, clinic_id, kind)
        for kind, db in (("void_changed", db_invoice), ("charge_unproved", db_payment), ("a", db_invoice))
    ]
    path = f"/clinics/{clinic_id}/exceptions"

    async def listed(**params: Any) -> tuple[list[str], str | None]:
        answer = (await site.api("GET", path, key, params=params)).json()
        return [each["id"] for each in answer["items"]], answer["next"]

    assert await listed() == (made[::-1], None)
    first, cursor = await listed(limit=2)
    assert (first, cursor) == (made[:0:-1], made[1])
    assert await listed(limit=2, cursor=cursor) == (made[:1], None)

    settle = f"{path}/{made[1]}/settle"
    settled = await site.api("POST", settle, key, json={"how": "dismiss"})
    again = await site.api("POST", settle, key, json={"how": "dismiss"})
    assert (settled.status_code, again.json()) == (200, settled.json())
    assert (settled.json()["settled_how"], settled.json()["ways"]) == ("dismiss", ["dismiss"])
    assert await listed() == ([made[2], made[0]], None)
    assert await listed(settled="true") == ([made[1]], None)

    refused = [
        await site.api("POST", f"{path}/{exception}/settle", key, json={"how": how})
        for exception, how in ((made[1], "do"), (made[2], "do"), (new_id(), "dismiss"), (made[0], "Do it"))
    ]
    assert [(each.status_code, each.json()["code"]) for each in refused] == [
        (409, "already_settled"),
        (422, "settlement_unknown"),
        (404, "exception_not_found"),
        (400, "request_invalid"),
    ]
    assert await listed() == ([made[2], made[0]], None)
