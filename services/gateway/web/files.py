"""Files of a service, as the gateway passes them on, one by one or many in a ZIP."""

import asyncio
from collections.abc import Sequence
from io import BytesIO
from typing import Annotated
from zipfile import ZipFile, ZipInfo

from litestar import Response, route
from litestar.enums import HttpMethod
from litestar.handlers import HTTPRouteHandler
from litestar.openapi import ResponseSpec
from litestar.params import HeaderParameter

from contracts.http.invoices import InvoiceItem
from services.chassis.errors import DomainError
from services.chassis.http.auth import Caller
from services.gateway.upstream.services import Upstreams
from services.gateway.upstream.transport import Reply

PDF, XML, ZIP = "application/pdf", "application/xml", "application/zip"
LONGEST_KNOWN = 400
Known = Annotated[str | None, HeaderParameter(name="If-None-Match", required=False, max_length=LONGEST_KNOWN)]
"""The `ETag` of a file that the reader has."""
UNCHANGED = {304: ResponseSpec(None, description="It is as the reader has it", generate_examples=False)}
"""For the document of a route that passes a file on."""
_PASSED_ON = ("Content-Disposition", "ETag", "Cache-Control")


def with_heads(*handlers: HTTPRouteHandler) -> list[HTTPRouteHandler]:
    """These routes of files, and the same ones for HEAD, which answers as GET does without the body.

    The API's document leaves HEAD out: it says nothing that GET does not.
    """
    heads = [
        route(
            sorted(each.paths),
            http_method=HttpMethod.HEAD,
            media_type=each.media_type,
            include_in_schema=False,
        )(each.fn)
        for each in handlers
    ]
    return [*handlers, *heads]


def passed_on(reply: Reply, media_type: str = PDF) -> Response[bytes]:
    """The file with its name and how long it may be kept; 304 where its reader has it."""
    headers = {name: reply.headers[name] for name in _PASSED_ON if name in reply.headers}
    return Response(reply.content, status_code=reply.status, headers=headers, media_type=media_type)


MOST_ZIPPED = 100
"""Invoices in one file."""
_PRINTED_AT_ONCE = 2


class DaysOutOfOrder(DomainError):
    code = "days_out_of_order"
    status = 422


class TooManyInvoices(DomainError):
    code = "too_many_invoices"
    status = 422


async def zipped(
    upstreams: Upstreams, caller: Caller, invoices: Sequence[InvoiceItem], name: str
) -> Response[bytes]:
    """The invoices as PDFs in one ZIP, the same bytes for the same PDFs. `name` is the file's, in ASCII."""
    free = asyncio.Semaphore(_PRINTED_AT_ONCE)

    async def printed(invoice: InvoiceItem) -> bytes:
        async with free:
            return (await upstreams.invoice_pdf(caller, invoice.id, None)).content

    tasks = [asyncio.create_task(printed(each)) for each in invoices]
    try:
        files = await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
    content = BytesIO()
    with ZipFile(content, "w") as archive:
        for invoice, file in zip(invoices, files, strict=True):
            day = invoice.issued_on
            entry = ZipInfo(
                f"Invoice-{invoice.number.replace('/', '-')}.pdf",
                (max(day.year, 1980), day.month, day.day, 0, 0, 0),
            )
            archive.writestr(entry, file)
    headers = {
        "Content-Disposition": f'attachment; filename="{name}.zip"',
        "Cache-Control": "private, no-store",
    }
    return Response(content.getvalue(), headers=headers, media_type=ZIP)
