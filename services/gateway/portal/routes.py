"""The portal's pages, as the gateway's app mounts them: `portal_routes`."""

from litestar import Response, Router, get
from litestar.di import Provide
from litestar.params import FromPath, FromQuery
from litestar.static_files import create_static_files_router
from litestar.types import ControllerRouterHandler

from services.gateway.portal import page
from services.gateway.portal.help.routes import help_routes
from services.gateway.portal.invoices.routes import billing_routes
from services.gateway.portal.methods.routes import method_routes
from services.gateway.portal.payments.routes import payment_routes
from services.gateway.portal.profile.page import profile
from services.gateway.portal.profile.routes import profile_routes
from services.gateway.web import theme
from services.gateway.web.templating import FOR_EVER, STATIC, STATIC_URL


@get("/c/{slug:str}/theme.css", cache_control=FOR_EVER, media_type="text/css", include_in_schema=False)
async def theme_css(slug: FromPath[str], accent: FromQuery[str] = "") -> Response[str]:
    """The accent in the address as a stylesheet that reads well; asks nobody, so it needs no login."""
    return Response(theme.stylesheet(f"#{accent}"), media_type="text/css")


pages = Router(
    "/c/{slug:str}",
    route_handlers=[*billing_routes, *payment_routes, *method_routes, *help_routes, *profile_routes],
    dependencies={
        "anyone": Provide(page.any_page),
        "page": Provide(page.client_page),
        "billing": Provide(page.billing_page),
        "profile": Provide(profile),
    },
    exception_handlers=page.HANDLERS,
    include_in_schema=False,
)

portal_routes: list[ControllerRouterHandler] = [
    pages,
    theme_css,
    create_static_files_router(STATIC_URL, [STATIC], cache_control=FOR_EVER, include_in_schema=False),
]
