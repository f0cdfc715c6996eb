"""Files for browsers: the script, the frames of its elements, the pages where a payer decides."""

import html
from pathlib import Path
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from litestar import MediaType, Response, get, post
from litestar.di import NamedDependency
from litestar.exceptions import NotFoundException
from litestar.params import FromPath, URLEncodedBody

from deploy.sandbox import currencies, payments, setups
from deploy.sandbox.errors import Json
from deploy.sandbox.sandbox import Call, Sandbox

WEB = Path(__file__).with_name("web")
TYPES = {".js": "text/javascript", ".css": "text/css", ".html": "text/html", ".svg": "image/svg+xml"}
FILES = {path.name: path.read_text() for path in WEB.iterdir() if path.suffix in TYPES}
SCRIPT = """// The sandbox's stand-in for Stripe.js: the same names and promises for what a payment page needs.
// Card fields never live in the page: they stand in a frame of the sandbox's own origin.
(() => {
"use strict";
"""
PARTS = [path.read_text() for path in sorted((WEB / "v3").iterdir())]
FILES["v3.js"] = SCRIPT + "\n".join(PARTS) + "})();\n"
HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:;"
        " base-uri 'none'"
    ),
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-cache",
}
OPEN = "requires_action"


def _file(name: str) -> Response[str]:
    if name not in FILES:
        raise NotFoundException
    media = f"{TYPES[Path(name).suffix]}; charset=utf-8"
    return Response(FILES[name], media_type=media, headers=HEADERS | {"Access-Control-Allow-Origin": "*"})


@get("/v3", sync_to_thread=False)
def script() -> Response[str]:
    """Defines `window.Stripe`, as js.stripe.com/v3/ does."""
    return _file("v3.js")


@get("/v3/{name:str}", sync_to_thread=False)
def web_file(name: FromPath[str]) -> Response[str]:
    return _file(name)


@get("/challenge/{token:str}", sync_to_thread=False)
def challenge_page(sandbox: NamedDependency[Sandbox], token: FromPath[str]) -> Response[str]:
    """The bank's 3-D Secure page, in a frame over the shop's page or on its own."""
    return _page("challenge.html", sandbox, _challenge(sandbox, token))


@get("/redirect/{token:str}", sync_to_thread=False)
def redirect_page(sandbox: NamedDependency[Sandbox], token: FromPath[str]) -> Response[str]:
    """The other payment system's page."""
    return _page("redirect.html", sandbox, _challenge(sandbox, token))


@post(["/challenge/{token:str}", "/redirect/{token:str}"], status_code=200, sync_to_thread=False)
def decide(
    sandbox: NamedDependency[Sandbox],
    token: FromPath[str],
    data: URLEncodedBody[dict[str, str]],
) -> Response[str]:
    """Take the payer's choice; then back to the shop, or, in a frame, a word to the page around it."""
    challenge = _challenge(sandbox, token)
    passed = data.get("outcome") == "succeeded"
    intent = sandbox.run(challenge["account"], lambda call: _finish(call, challenge, passed))
    if challenge["return_url"] is None or data.get("framed") == "1":
        return _page("done.html", sandbox, challenge)
    return Response(
        "", status_code=303, headers={"Location": _way_back(challenge, intent)}, media_type=MediaType.TEXT
    )


def _finish(call: Call, challenge: Json, passed: bool) -> Json:
    """Decide once: a page that is sent a second time only goes back."""
    intent = call.store.get(call.account, challenge["intent"])
    assert intent, "a challenge belongs to an intent"
    if intent["status"] != OPEN or challenge["token"] not in str(intent["next_action"]):
        return intent
    finish = payments.finish_challenge if intent["object"] == "payment_intent" else setups.finish_challenge
    return finish(call, intent, passed)


def _challenge(sandbox: Sandbox, token: str) -> Json:
    challenge = sandbox.store.challenge(token)
    if challenge is None:
        raise NotFoundException("There is no such page, or it has been used.")
    return challenge


def _way_back(challenge: Json, intent: Json) -> str:
    kind = intent["object"]
    status = {"succeeded": "succeeded", "processing": "pending"}.get(intent["status"], "failed")
    facts = {kind: intent["id"], f"{kind}_client_secret": intent["client_secret"], "redirect_status": status}
    url = urlsplit(challenge["return_url"])
    return urlunsplit(
        url._replace(query=urlencode([*parse_qsl(url.query, keep_blank_values=True), *facts.items()]))
    )


def _page(name: str, sandbox: Sandbox, challenge: Json) -> Response[str]:
    """The page with its {{facts}}: what is paid, with what, to whom."""
    store, account = sandbox.store, challenge["account"]
    intent = store.get(account, challenge["intent"]) or {}
    method = store.get(account, intent.get("payment_method") or "") or {}
    facts = {
        "amount": currencies.written(intent["amount"], intent["currency"])
        if "amount" in intent
        else "No payment now",
        "method": _method(method),
        "kind": str(method.get("type", ""))
        .replace("_", " ")
        .title()
        .replace("Paypal", "PayPal")
        .replace("Ideal", "iDEAL"),
        "token": challenge["token"],
        "purpose": "pay" if intent.get("object") == "payment_intent" else "save this payment method",
    }
    text = FILES[name]
    for fact, value in facts.items():
        text = text.replace("{{" + fact + "}}", html.escape(value))
    return Response(text, media_type=MediaType.HTML, headers=HEADERS)


def _method(method: Json) -> str:
    if card := method.get("card"):
        return f"{card['brand'].title()} ending in {card['last4']}"
    return "your account"


HANDLERS = (script, web_file, challenge_page, redirect_page, decide)
