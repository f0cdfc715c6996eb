"""Help centre and contact, for every signed-in person, whatever the clinic has switched off."""

from litestar import get
from litestar.exceptions import NotFoundException
from litestar.params import FromPath, FromQuery
from litestar.response import Template

from services.gateway.portal.help import articles, search
from services.gateway.portal.page import CurrentPage

LONGEST_QUERY = 100


@get("/help")
async def help_centre(page: CurrentPage, q: FromQuery[str] = "") -> Template:
    """The Master Guide and all articles, or the articles that match the search."""
    query = q.strip()[:LONGEST_QUERY]
    features = articles.features_of(page.clinic)
    found = search.search(query, features) if query else []
    return page.render(
        "help.html",
        "help",
        query=query,
        found=found,
        guide=articles.guide(),
        articles=articles.every(features),
    )


@get("/help/{article:str}")
async def help_article(article: FromPath[str], page: CurrentPage) -> Template:
    features = articles.features_of(page.clinic)
    found = articles.find(article, features)
    if found is None:
        raise NotFoundException
    body = articles.body(found, page.clinic.slug, features)
    return page.render("article.html", "help", article=found, body=body)


@get("/contact")
async def contact(page: CurrentPage) -> Template:
    return page.render("contact.html", "contact")


help_routes = [help_centre, help_article, contact]
