"""Files of a service, as the gateway passes them on."""

from typing import Annotated

from litestar import Response
from litestar.openapi import ResponseSpec
from litestar.params import HeaderParameter

from services.gateway.upstream.transport import Reply

PDF = "application/pdf"
LONGEST_KNOWN = 400
Known = Annotated[str | None, HeaderParameter(name="If-None-Match", required=False, max_length=LONGEST_KNOWN)]
"""The `ETag` of a file that the reader has."""
UNCHANGED = {304: ResponseSpec(None, description="It is as the reader has it", generate_examples=False)}
"""For the document of a route that passes a file on."""
_PASSED_ON = ("Content-Disposition", "ETag", "Cache-Control")


def passed_on(reply: Reply) -> Response[bytes]:
    """The file with its name and how long it may be kept; 304 where its reader has it."""
    headers = {name: reply.headers[name] for name in _PASSED_ON if name in reply.headers}
    return Response(reply.content, status_code=reply.status, headers=headers, media_type=PDF)
