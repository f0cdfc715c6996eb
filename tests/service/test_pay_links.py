"""The pages behind a pay link, over real routes and databases: what they show, when they end, and what they refuse."""

import asyncio
import json
import re
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import datetime, time, timedelta
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest

from contracts.events.invoice import InvoiceUpdated
from contracts.events.payment import PaymentProcessing
from contracts.pay_links import PayLink, PayLinks
from deploy.sandbox.embedded import RunningSandbox
from services.chassis import clock
from services.chassis.http.auth import Caller
from services.chassis.ids import new_id
from services.gateway.live.streams import Page, stream
from services.gateway.pay_links.domain import ADDRESS_PER_MINUTE, INVOICE_PER_MINUTE
from services.invoice import consumers as invoice_consumers
from services.payment import consumers as payment_consumers
from tests.builders.clinics import CONTACT
from tests.builders.events import deliver, outbox_events
from tests.builders.invoices import invoice_state, taxed_invoice_body
from tests.builders.payments import a_payment, a_settlement
from tests.builders.values import money
from tests.running.databases import ServiceDb
from tests.running.gateway import Site, a_whole_site, create_client, create_clinic, put_account
from tests.running.sandbox import ACCOUNT
from tests.running.settings import SEAL, gateway_settings

LINKS = gateway_settings("x").pay_links
HTML = {"Accept": "text/html"}
DUE = {"minor": 11_350, "currency": "EUR"}
SECRET = (
    *(
        "Physiotherapy",
        "Niamh",
        "Room 2",
        "Ann Byrne",
        "ann@example.com",
        "7 Sea Road",
        "Before tax",
        "13.5%",
    ),
)
"""Texts of the invoice that its link does not show."""
CALM = "This link does not work any more"


@dataclass
class World:
    """A clinic with a client and an invoice over €113.50, and the link to it."""

    site: Site
    db_invoice: ServiceDb
    db_payment: ServiceDb
    dbs: tuple[ServiceDb, ...]
    clinic: Any
    client: Any
    invoice: Any

    @property
    def link(self) -> PayLink:
        return LINKS.new(
            UUID(self.clinic["id"]), UUID(self.invoice["id"]), 0, clock.now().date(), clock.now().date()
        )

    @property
    def path(self) -> str:
        return self.path_of(self.link)

    def path_of(self, link: PayLink) -> str:
        return f"/pay/{LINKS.token(link)}"

    async def open(self, path: str = "") -> Any:
        return await self.site.get(path or self.path, headers=HTML)

    async def press(self, path: str = "", **body: Any) -> Any:
        """Press Pay on the page that is open."""
        path = path or self.path
        page = await self.open(path)
        found = re.search(r'<meta name="csrf-token" content="([^"]+)"', page.text)
        share = {"invoice_id": self.invoice["id"], "amount": DUE}
        return await self.site.client.post(
            f"{path}/payments",
            json={"invoices": [share], "method": {"kind": "card"}} | body,
            headers={"x-csrftoken": found[1] if found else "", "Sec-Fetch-Site": "same-origin"},
        )

    async def revoke(self) -> None:
        at = f"/clinics/{self.clinic['id']}/invoices/{self.invoice['id']}/pay-link/revoke"
        assert (await self.site.api("POST", at)).status_code == 200

    async def change_clinic(self, **changes: Any) -> None:
        answer = await self.site.api("PATCH", f"/clinics/{self.clinic['id']}", json=changes)
        assert answer.status_code == 200, answer.text
        await self.pass_on()

    async def issue(self, **changes: Any) -> Any:
        body = taxed_invoice_body(self.client, **changes)
        answer = await self.site.api("POST", f"/clinics/{self.clinic['id']}/invoices", json=body)
        assert answer.status_code == 201, answer.text
        await self.pass_on()
        return answer.json()

    async def pass_on(self) -> None:
        await deliver(self.db_payment.worker, payment_consumers, *await outbox_events(self.db_invoice))

    async def settle(self, minor: int, **more: Any) -> None:
        moved = a_settlement(UUID(self.clinic["id"]), UUID(self.invoice["id"]), money(minor), **more)
        await deliver(self.db_invoice.worker, invoice_consumers, moved)

    async def rows(self) -> list[Any]:
        """A fingerprint of every table of every service."""
        found = []
        for db in self.dbs:
            tables = await db.admin.fetch(
                "SELECT relname FROM pg_class WHERE relkind IN ('r', 'p') AND NOT relispartition"
                " AND relnamespace = 'public'::regnamespace ORDER BY relname"
            )
            for table in (row["relname"] for row in tables):
                rows = f"SELECT md5(string_agg(t::text, '|' ORDER BY t::text)) FROM {table} AS t"
                found.append((db.name, table, await db.admin.fetchval(rows)))
        return found


@asynccontextmanager
async def a_world(
    dbs: tuple[ServiceDb, ServiceDb, ServiceDb, ServiceDb],
    sandbox: RunningSandbox | None = None,
    **changed: Any,
) -> AsyncIterator[World]:
    at_stripe: dict[str, Any] = {}
    if sandbox is not None:
        at_stripe = {
            "stripe_secret_key": sandbox.secret_key,
            "stripe_api_base": sandbox.url,
            "installation": SEAL.installation,
            "metadata_key": SEAL.keys[0].decode(),
        }
    async with a_whole_site(*dbs, payment_settings=at_stripe, **changed) as site:
        clinic = await create_clinic(site, contact=CONTACT)
        await put_account(site, clinic, ACCOUNT)
        client = await create_client(
            site,
            clinic,
            billing_address={"lines": ["7 Sea Road"], "city": "Dublin", "country": "IE"},
        )
        world = World(site, dbs[1], dbs[2], dbs, clinic, client, None)
        world.invoice = await world.issue(note="Bring your insoles")
        yield world


@pytest.fixture
async def world(
    db_gateway: ServiceDb, db_invoice: ServiceDb, db_payment: ServiceDb, db_notification: ServiceDb
) -> AsyncIterator[World]:
    async with a_world((db_gateway, db_invoice, db_payment, db_notification)) as made:
        yield made


@pytest.fixture
async def paying(
    db_gateway: ServiceDb,
    db_invoice: ServiceDb,
    db_payment: ServiceDb,
    db_notification: ServiceDb,
    stripe: RunningSandbox,
) -> AsyncIterator[World]:
    async with a_world((db_gateway, db_invoice, db_payment, db_notification), stripe) as made:
        yield made


@pytest.fixture
def later() -> Iterator[None]:
    """Put the clock back after a test that moves it."""
    yield
    clock.move(timedelta(0))


# Its page


async def test_it_shows_who_asks_for_how_much_until_when_with_the_form_and_no_more(world: World) -> None:
    page = await world.open()

    assert page.status_code == 200
    for words in (
        f"Invoice {world.invoice['number']}",
        "Oak Street Physiotherapy",
        "€113.50",
        "31 January 2027",
    ):
        assert words in page.text
    assert "Pay €113.50" in page.text
    assert f'action="{world.path}/payments"' in page.text
    assert [
        each
        for each in (*SECRET, "insoles", world.client["id"])
        if each in page.text.replace("Oak Street Physiotherapy", "")
    ] == []
    assert "Save this card" not in page.text
    assert "Log out" not in page.text
    assert "my credit" not in page.text


async def test_its_answers_are_kept_by_nobody_and_named_to_nobody(world: World) -> None:
    for path in (world.path, f"{world.path}/payments/{new_id()}", "/pay/x", "/pay/x/nothing"):
        headers = (await world.open(path)).headers
        assert headers["referrer-policy"] == "no-referrer", path
        assert headers["x-robots-tag"].startswith("noindex"), path
        assert headers["cache-control"] == "no-store", path
    elsewhere = (await world.open("/login")).headers
    assert (elsewhere["referrer-policy"], "x-robots-tag" in elsewhere) == ("same-origin", False)


async def test_to_open_it_often_changes_nothing(world: World) -> None:
    """A mail scanner opens links, with GET and HEAD, before their reader does."""
    before = await world.rows()

    for _ in range(5):
        assert (await world.open()).status_code == 200
    head = await world.site.client.head(world.path, headers=HTML)
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["content-type"] == (await world.open()).headers["content-type"]
    assert (await world.site.client.head(world.path[:-1], headers=HTML)).status_code == 410
    await asyncio.gather(*(world.open() for _ in range(5)))

    assert await world.rows() == before


async def test_it_begins_no_session_and_opens_nothing_else(world: World) -> None:
    page = await world.open()

    assert not [name for name in world.site.client.cookies if "session" in name]
    assert [each for each in page.headers.get_list("set-cookie") if "session" in each] == []
    token = world.path.removeprefix("/pay/")
    for path in (
        *("/c/oak", "/c/oak/billing", "/clinics", f"/c/oak/invoices/{world.invoice['id']}"),
        *(f"/c/oak?token={token}", f"/c/oak/live?token={token}", f"/c/{token}", f"/c/oak/invoices/{token}"),
    ):
        answer = await world.open(path)
        assert answer.status_code in (303, 401, 404), path
        assert world.invoice["number"] not in answer.text
    for key in (token, f"{token}x"):
        refused = await world.site.api("GET", f"/clinics/{world.clinic['id']}/invoices", key)
        assert refused.status_code == 401


async def test_a_session_of_somebody_is_neither_needed_nor_looked_at(world: World) -> None:
    await world.site.log_in("ann@example.com")
    # A page of the portal would prolong it now.
    await world.dbs[0].admin.execute("UPDATE sessions SET idle_at = now() + interval '5 minutes'")
    before = await world.rows()

    page = await world.open()

    assert page.status_code == 200
    assert "Log out" not in page.text
    assert await world.rows() == before


# When it ends


def _forged(world: World) -> dict[str, str]:
    token = world.path.removeprefix("/pay/")
    other = PayLinks((b"another-key-of-thirty-two-characters",))
    unknown = replace(world.link, clinic_id=new_id())
    return {
        "cut off": f"/pay/{token[:-1]}",
        "longer": f"/pay/{token}A",
        "changed": f"/pay/{'B' if token[0] != 'B' else 'C'}{token[1:]}",
        "of another installation": f"/pay/{other.token(world.link)}",
        "of a clinic that is none": world.path_of(unknown),
        "a word": "/pay/hello",
        "escaped": f"/pay/{token[:-1]}%00",
        "very long": f"/pay/{'A' * 5000}",
    }


async def test_a_forged_link_shows_the_calm_page_and_no_clinic(world: World) -> None:
    for why, path in _forged(world).items():
        page = await world.open(path)
        assert (page.status_code, CALM in page.text) == (410, True), why
        for words in ("Oak Street", world.invoice["number"], "113.50", world.invoice["id"]):
            assert words not in page.text, why
        assert 'href="/login"' in page.text


async def _ended(world: World, path: str) -> None:
    page = await world.open(path)
    assert page.status_code == 410
    assert CALM in page.text
    assert "Oak Street Physiotherapy" in page.text
    assert f'href="/c/oak/invoices/{world.invoice["id"]}"' in page.text
    assert world.invoice["number"] not in page.text
    assert "113.50" not in page.text
    press = await world.press(path)
    assert (press.status_code, press.json()["code"]) == (410, "pay_link_ended")
    live = await world.site.get(f"{path}/live")
    assert (live.status_code, live.json()["code"]) == (410, "pay_link_ended")
    result = await world.open(f"{path}/payments/{new_id()}")
    assert result.status_code == 410
    assert await world.db_payment.admin.fetchval("SELECT count(*) FROM payments") == 0


async def test_a_revoked_link_ends_and_a_new_one_works(world: World) -> None:
    path = world.path
    await world.revoke()

    await _ended(world, path)
    await _ended(world, world.path_of(replace(world.link, generation=2)))
    assert (await world.open(world.path_of(replace(world.link, generation=1)))).status_code == 200


async def test_a_link_works_to_the_end_of_its_last_day(world: World, later: None) -> None:
    path = world.path_of(replace(world.link, expires_on=clock.now().date()))
    assert (await world.open(path)).status_code == 200

    clock.move(timedelta(days=1))

    await _ended(world, path)


@pytest.mark.parametrize("zone", ["Pacific/Honolulu", "Pacific/Kiritimati"])
async def test_its_last_day_ends_at_the_clinics_midnight(world: World, later: None, zone: str) -> None:
    await world.change_clinic(time_zone=zone)
    there = clock.now().astimezone(ZoneInfo(zone))
    path = world.path_of(replace(world.link, expires_on=there.date()))
    midnight = datetime.combine(there.date() + timedelta(days=1), time.min, there.tzinfo) - there

    clock.move(midnight - timedelta(minutes=1))
    assert (await world.open(path)).status_code == 200
    clock.move(midnight + timedelta(minutes=1))
    await _ended(world, path)


async def test_a_clinic_switches_links_off_and_on(world: World) -> None:
    await world.change_clinic(pay_links=False)
    await _ended(world, world.path)

    await world.change_clinic(pay_links=True, billing_shown=False)
    await _ended(world, world.path)

    await world.change_clinic(billing_shown=True)
    assert (await world.open()).status_code == 200


async def test_an_invoice_that_is_none_or_anothers_ends_the_link(world: World) -> None:
    elm = await create_clinic(world.site, slug="elm", name="Elm Lane Dentists")
    crossed = replace(world.link, clinic_id=UUID(elm["id"]))

    for link in (replace(world.link, invoice_id=new_id()), crossed):
        page = await world.open(world.path_of(link))
        assert (page.status_code, CALM in page.text) == (410, True)
        assert world.invoice["number"] not in page.text


# The states


async def test_a_paid_invoice_shows_that_it_is_paid_when_and_how_much(world: World) -> None:
    await world.settle(11_350)

    page = await world.open()

    assert "Total paid" in page.text
    assert "€113.50" in page.text
    assert re.search(r"Paid on \d+ \w+ 20", page.text)
    assert 'id="pay"' not in page.text


async def test_a_part_that_was_paid_is_taken_off(world: World) -> None:
    await world.settle(1_350)

    page = await world.open()

    for words in ("Total", "€113.50", "Paid so far", "−€13.50", "Pay €100.00"):
        assert words in page.text


async def test_a_void_invoice_and_one_that_was_replaced_say_so(world: World) -> None:
    at = f"/clinics/{world.clinic['id']}/invoices"
    body = {"reason": "wrong_service", "invoice": taxed_invoice_body(world.client)}
    replaced = await world.site.api("POST", f"{at}/{world.invoice['id']}/correct", json=body)
    assert replaced.status_code == 201, replaced.text

    page = await world.open()

    assert "The clinic has credited this invoice. There is nothing to pay." in page.text
    assert "another invoice in its place" in page.text
    assert replaced.json()["new_invoice"]["number"] not in page.text
    assert 'id="pay"' not in page.text

    world.invoice = await world.issue()
    await world.site.api("POST", f"{at}/{world.invoice['id']}/void", json={"reason": "duplicate"})
    void = await world.open()
    assert "This invoice was cancelled. There is nothing to pay." in void.text
    assert 'id="pay"' not in void.text


async def test_a_payment_on_its_way_and_one_that_is_checked_are_told_as_in_the_portal(world: World) -> None:
    share = (UUID(world.invoice["id"]), money(11_350))
    under_way = a_payment(
        PaymentProcessing, UUID(world.clinic["id"]), share, client_id=UUID(world.client["id"])
    )
    await deliver(world.db_invoice.worker, invoice_consumers, under_way)

    page = await world.open()
    assert "A payment is on its way. This page changes by itself" in page.text
    assert 'id="pay"' not in page.text

    world.invoice = await world.issue()
    wrong = a_settlement(UUID(world.clinic["id"]), UUID(world.invoice["id"]), money(1, "USD"))
    await deliver(world.db_invoice.worker, invoice_consumers, wrong)
    checked = await world.open()
    assert "A payment of this invoice is being checked." in checked.text
    assert 'id="pay"' not in checked.text


async def test_what_cannot_be_paid_online_says_how_to_pay(world: World) -> None:
    await world.change_clinic(online_payment=False)

    page = await world.open()

    assert "does not take payments in this portal" in page.text
    assert "+353" in page.text
    assert 'id="pay"' not in page.text


# Paying


@pytest.mark.parametrize(
    "body",
    [
        {"save": True},
        {"credit": DUE},
        {"deposit": DUE},
        {"method": {"kind": "saved", "payment_method_id": str(new_id())}},
        {"method": None},
        {"invoices": []},
        {"invoices": [{"invoice_id": str(new_id()), "amount": DUE}] * 2},
        {"client_id": str(new_id())},
    ],
)
async def test_a_press_that_asks_for_more_than_a_link_gives_is_refused(world: World, body: Any) -> None:
    refused = await world.press(**body)

    assert refused.status_code == 400, refused.text
    assert await world.db_payment.admin.fetchval("SELECT count(*) FROM payments") == 0


async def test_another_invoice_and_another_amount_are_refused_with_the_links_own_way_forward(
    paying: World,
) -> None:
    other = await paying.issue()
    await paying.change_clinic(least_part=500)
    share = {"invoice_id": paying.invoice["id"], "amount": {"minor": 1_000, "currency": "EUR"}}

    part = await paying.press(invoices=[share])
    others = await paying.press(invoices=[{"invoice_id": other["id"], "amount": DUE}])

    assert (part.status_code, part.json()["code"]) == (409, "amount_changed")
    assert "€113.50" in part.json()["message"]
    assert part.json()["next"] == [{"href": paying.path, "words": "See the new amount"}]
    assert (others.status_code, others.json()["code"]) == (404, "payable_not_found")
    assert await paying.db_payment.admin.fetchval("SELECT count(*) FROM payments") == 0


async def test_a_press_starts_the_clients_payment_once_and_saves_nothing(paying: World) -> None:
    first, second = await paying.press(), await paying.press()

    assert first.status_code == second.status_code == 200, first.text
    assert first.json()["payment_id"] == second.json()["payment_id"]
    assert first.json()["client_secret"]
    [row] = await paying.db_payment.admin.fetch("SELECT * FROM payments")
    assert str(row["client_id"]) == paying.client["id"]
    result = await paying.open(f"{paying.path}/payments/{row['id']}")
    assert result.status_code == 200
    assert "Not finished" in result.text
    assert f'href="{paying.path}"' in result.text
    assert "/c/oak/payments" not in result.text


async def test_a_press_without_the_pages_token_or_from_another_site_is_refused(paying: World) -> None:
    body = {"invoices": [{"invoice_id": paying.invoice["id"], "amount": DUE}], "method": {"kind": "card"}}
    await paying.open()

    bare = await paying.site.client.post(f"{paying.path}/payments", json=body)
    crossed = await paying.site.client.post(
        f"{paying.path}/payments",
        json=body,
        headers={"x-csrftoken": paying.site.cookie("csrf") or "", "Sec-Fetch-Site": "cross-site"},
    )

    assert (bare.status_code, crossed.status_code) == (403, 403)
    assert await paying.db_payment.admin.fetchval("SELECT count(*) FROM payments") == 0


async def test_a_payment_of_another_invoice_is_not_shown(paying: World) -> None:
    mine = paying.invoice
    paying.invoice = await paying.issue()
    other = await paying.press()
    theirs = other.json()["payment_id"]
    paying.invoice = mine

    for payment in (theirs, new_id()):
        answer = await paying.open(f"{paying.path}/payments/{payment}")
        assert (answer.status_code, answer.headers["location"]) == (303, paying.path)


async def test_a_debit_needs_the_text_that_the_page_showed(paying: World) -> None:
    refused = await paying.press(method={"kind": "debit"}, consent="another text")

    assert (refused.status_code, refused.json()["code"]) == (409, "consent_changed")
    assert refused.json()["next"] == [{"href": paying.path, "words": "Load this page again"}]


# Limits


async def test_links_of_one_invoice_have_a_limit_and_others_go_on(world: World) -> None:
    path, mine = world.path, world.invoice
    statuses = [(await world.open(path)).status_code for _ in range(INVOICE_PER_MINUTE + 1)]

    assert statuses == [200] * INVOICE_PER_MINUTE + [429]
    world.invoice = await world.issue()
    assert (await world.open()).status_code == 200
    world.invoice = mine
    over = await world.open(world.path_of(replace(world.link, generation=5)))
    assert over.status_code == 429
    assert 0 < int(over.headers["retry-after"]) <= 60


async def test_one_address_can_try_only_so_many_tokens(world: World) -> None:
    statuses = [(await world.open("/pay/guess")).status_code for _ in range(ADDRESS_PER_MINUTE + 1)]

    assert statuses == [410] * ADDRESS_PER_MINUTE + [429]
    assert (await world.open("/login")).status_code == 200


# The stream of an open page


async def test_a_links_stream_tells_of_its_invoice_alone(world: World) -> None:
    """The client's other invoices change too: who has the link learns nothing of it."""
    other = await world.issue()
    hub, upstreams = world.site.app.state.hub, world.site.app.state.upstreams
    mine, client_id = UUID(world.invoice["id"]), UUID(world.client["id"])
    caller = Caller(client_id, "client", UUID(world.clinic["id"]))
    page = Page(caller, upstreams, mine, None, alone=True)

    with hub.listening(caller.clinic, client_id, b"link") as listener:
        messages = stream(listener, page, _works)
        first = await _next(messages)
        for invoice_id in (UUID(other["id"]), mine):
            changed = invoice_state(
                InvoiceUpdated, caller.clinic, client_id, invoice_id=invoice_id, version=7
            )
            hub.publish(changed.topic.name, changed.encode())
        second = await _next(messages)

    assert (first["id"], first["version"]) == (str(mine), 1)
    assert (second["id"], second["version"]) == (str(mine), 7)


async def test_a_stream_over_http_needs_its_link_and_hears_of_no_other_payment(paying: World) -> None:
    mine = paying.path
    mine_id = (await paying.press()).json()["payment_id"]
    paying.invoice = await paying.issue()
    other_id = (await paying.press()).json()["payment_id"]
    paying.site.app.state.hub.close()  # so that a stream ends after its first word
    headers = {"Accept": "text/event-stream"}

    for payment in (mine_id, other_id, str(new_id())):
        answer = await paying.site.get(f"{mine}/live?payment={payment}", headers=headers)
        assert answer.status_code == 200
        assert ": open" in answer.text
        assert answer.headers["cache-control"] == "no-store"
    assert (await paying.site.get("/pay/x/live", headers=headers)).status_code == 410


async def _works() -> bool:
    return True


async def _next(messages: AsyncIterator[Any]) -> Any:
    async with asyncio.timeout(5):
        async for message in messages:
            if message.event:
                return json.loads(str(message.data))
    raise AssertionError("the stream has ended")
