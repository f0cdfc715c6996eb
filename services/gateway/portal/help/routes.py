"""Help centre and contact, for every signed-in person, whatever the clinic has switched off."""

from litestar import get
from litestar.exceptions import NotFoundException
from litestar.params import FromPath, FromQuery
from litestar.response import Template

from services.gateway.portal.help import articles
from services.gateway.portal.page import CurrentPage

LONGEST_QUERY = 100


@get("/help")
async def help_centre(page: CurrentPage, q: FromQuery[str] = "") -> Template:
    """The Master Guide and all articles, or the articles that match the search."""
    query = q.strip()[:LONGEST_QUERY]
    found = articles.search(query) if query else []
    return page.render(
        "help.html", "help", query=query, found=found, guide=articles.guide(), articles=articles.every()
    )


@get("/help/{article:str}")
async def help_article(article: FromPath[str], page: CurrentPage) -> Template:
    found = articles.find(article)
    if found is None:
        raise NotFoundException
    body = articles.body(found, page.clinic.slug)
    return page.render("article.html", "help", article=found, body=body)


@get("/contact")
async def contact(page: CurrentPage) -> Template:
    return page.render("contact.html", "contact")


help_routes = [help_centre, help_article, contact]
