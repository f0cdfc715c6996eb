"""The cookie by which a login knows a browser again.

It is encrypted with a key from the settings, lasts for months and outlives sessions. No table has a row for it: the
login's generation, which a new password and "log out everywhere" raise, makes all earlier ones worthless.
"""

import re
from typing import Any
from uuid import UUID, uuid4

from cryptography.fernet import InvalidToken
from litestar import Request
from litestar.datastructures import Cookie
from litestar.di import NamedDependency

from services.chassis import clock
from services.chassis.db.database import Database
from services.gateway.accounts.devices import store
from services.gateway.accounts.devices.domain import LASTS, MOST, Browser, Device
from services.gateway.accounts.sealing import fernet_of
from services.gateway.accounts.steps import actions as steps
from services.gateway.web.limits import address_of

AnyRequest = Request[Any, Any, Any]

DEVICE_COOKIES = ("device", "__Host-device")
"""The cookie's name over plain HTTP, and over HTTPS."""
_SEPARATOR = "."
_TOKEN = re.compile(r"[A-Za-z0-9_-]{140}")


class Devices:
    """Makes cookies and reads them: the first of several keys encrypts, all decrypt. `https` is of the portal."""

    def __init__(self, keys: tuple[bytes, ...], https: bool) -> None:
        self._fernet = fernet_of(keys, b"clinicpay device cookies")
        self.https = https

    def shown(self, request: AnyRequest) -> dict[str, Device]:
        """The devices that the browser's cookie names, by their tokens; what is not ours or too old is none."""
        tokens = request.cookies.get(DEVICE_COOKIES[self.https], "").split(_SEPARATOR, MOST)[:MOST]
        found = ((token, self._read(token)) for token in tokens)
        return {token: device for token, device in found if device is not None}

    def cookie(self, request: AnyRequest, device: Device) -> Cookie:
        """The browser's cookie from now on: this device first, then those of other logins."""
        token = self._fernet.encrypt_at_time(device.packed, _now()).decode()
        others = [each for each, other in self.shown(request).items() if other.login_id != device.login_id]
        return Cookie(
            key=DEVICE_COOKIES[self.https],
            value=_SEPARATOR.join([token, *others][:MOST]),
            max_age=int(LASTS.total_seconds()),
            path="/",
            secure=self.https,
            httponly=True,
            samesite="lax",
        )

    def _read(self, token: str) -> Device | None:
        if not _TOKEN.fullmatch(token):
            return None
        try:
            facts = self._fernet.decrypt_at_time(token, int(LASTS.total_seconds()), _now())
        except InvalidToken:
            return None
        return Device.unpacked(facts)


InjectedDevices = NamedDependency[Devices]


async def browser_of(db: Database, devices: Devices, request: AnyRequest) -> Browser:
    """Who tries a password by this request."""
    async with db.tx(None) as tx:
        step = await steps.current(tx, request, devices.https)
    return Browser(address_of(request.scope), tuple(devices.shown(request).values()), step)


async def remember(db: Database, devices: Devices, request: AnyRequest, login_id: UUID) -> Cookie:
    """The cookie by which the login knows the browser from now on."""
    async with db.tx(None) as tx:
        generation = await store.get_generation(tx, login_id)
    return devices.cookie(request, Device(login_id, generation, uuid4()))


def _now() -> int:
    return int(clock.now().timestamp())
