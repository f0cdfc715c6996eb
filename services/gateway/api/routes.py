"""The public API, `/api/v1`: clinics, clients, invoices."""

from litestar import Router
from litestar.di import Provide

from services.chassis.http.app import json_only
from services.gateway.api.clients.routes import client_routes
from services.gateway.api.clinics.routes import clinic_routes
from services.gateway.api.credit.routes import credit_routes
from services.gateway.api.invoices.routes import invoice_routes
from services.gateway.api.keys.dependencies import api_key
from services.gateway.api.keys.routes import create_api_key, key_routes
from services.gateway.api.staff.routes import staff_routes
from services.gateway.api.stripe_accounts.routes import stripe_account_routes

api_router = Router(
    path="/api/v1",
    route_handlers=[
        *clinic_routes,
        *client_routes,
        *staff_routes,
        create_api_key,
        *invoice_routes,
        *stripe_account_routes,
        *credit_routes,
        *key_routes,
    ],
    before_request=json_only,
    dependencies={"key": Provide(api_key)},
    tags=["ClinicPay"],
    security=[{"api_key": []}],
)
