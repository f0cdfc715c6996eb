"""The public API, `/api/v1`: clinics, clients, invoices."""

from litestar import Router
from litestar.di import Provide

from services.chassis.http.problems import AnyRequest
from services.gateway.api.clients.routes import client_routes
from services.gateway.api.clinics.routes import clinic_routes
from services.gateway.api.credit.routes import credit_routes
from services.gateway.api.disputes.routes import dispute_routes
from services.gateway.api.exceptions.routes import exception_routes
from services.gateway.api.held.routes import held_routes
from services.gateway.api.idempotency.dependencies import fingerprint
from services.gateway.api.invoices.corrections import correction_routes
from services.gateway.api.invoices.pay_links import pay_link_routes
from services.gateway.api.invoices.routes import invoice_routes
from services.gateway.api.keys.dependencies import api_key, authenticate
from services.gateway.api.keys.routes import create_api_key, key_routes
from services.gateway.api.outside.routes import outside_routes
from services.gateway.api.payments.routes import payment_routes
from services.gateway.api.staff.routes import staff_routes
from services.gateway.api.stripe_accounts.routes import stripe_account_routes
from services.gateway.web.bodies import StrictBody
from services.gateway.web.parameters import check_whole


async def check_request(request: AnyRequest) -> None:
    """Refuse callers first, then every fault at once. OPTIONS is answered by the framework, for any caller."""
    await authenticate(request)
    if request.method != "OPTIONS":
        await check_whole(request)


api_router = Router(
    path="/api/v1",
    route_handlers=[
        *clinic_routes,
        *client_routes,
        *staff_routes,
        create_api_key,
        *invoice_routes,
        *correction_routes,
        *pay_link_routes,
        *stripe_account_routes,
        *credit_routes,
        *dispute_routes,
        *payment_routes,
        *outside_routes,
        *exception_routes,
        *held_routes,
        *key_routes,
    ],
    before_request=check_request,
    dependencies={"key": Provide(api_key, sync_to_thread=False), "fingerprint": Provide(fingerprint)},
    dto=StrictBody,
    return_dto=None,
    tags=["ClinicPay"],
    security=[{"api_key": []}],
)
