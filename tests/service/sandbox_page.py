"""A small shop of another origin that uses the sandbox's script, for its tests in a browser."""

import asyncio
from collections.abc import Awaitable, Callable

PAGE = """<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Pay</title>
<meta name="viewport" content="width=device-width, initial-scale=1"><link rel="stylesheet" href="/page.css">
<script src="{sandbox}/v3/"></script><script src="/page.js" defer></script></head>
<body><main><h1>Pay €125.00</h1><form id="form"><div id="element"></div>
<button>Pay €125.00</button></form><p id="result" role="status"></p></main></body></html>"""
STYLE = """:root{color-scheme:light dark}body{font:16px/1.5 system-ui;margin:0;padding:16px;
background:#fbfbfa;color:#1b2430}main{max-width:480px;margin:auto}
button{width:100%;min-height:48px;margin-top:16px;background:#0b6e6e;color:#fff;border:0;border-radius:8px;font:inherit}
@media(prefers-color-scheme:dark){body{background:#11161d;color:#eef2f7}button{background:#5cc8c4;color:#06201f}}"""
SCRIPT = """
const facts = JSON.parse(decodeURIComponent(location.hash.slice(1) || "%7B%7D"));
const stripe = Stripe(facts.key, {stripeAccount: facts.account});
const elements = stripe.elements({mode: "payment", amount: 12500, currency: "eur",
  appearance: {variables: {borderRadius: "6px"}}, ...facts.elements});
const element = elements.create("payment", {layout: "tabs"});
element.on("ready", () => { document.body.dataset.ready = "yes"; });
element.mount("#element");
const say = (answer) => { document.querySelector("#result").textContent = JSON.stringify(answer); };
document.querySelector("#form").addEventListener("submit", async (event) => {
  event.preventDefault();
  const submitted = await elements.submit();
  if (submitted.error) return say(submitted);
  const confirmParams = {return_url: location.origin + "/result?keep=1"};
  const confirm = facts.setup ? "confirmSetup" : "confirmPayment";
  say(await stripe[confirm]({elements, clientSecret: facts.secret, confirmParams, redirect: "if_required"}));
});
"""


def pages(sandbox: str) -> Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]:
    """The shop's pages over plain sockets, with the portal's Content-Security-Policy."""
    policy = (
        f"default-src 'none'; script-src 'self' {sandbox}; frame-src {sandbox}; connect-src 'self' {sandbox};"
        " style-src 'self'; base-uri 'none'; form-action 'self'"
    )
    files = {"/page.css": ("text/css", STYLE), "/page.js": ("text/javascript", SCRIPT)}

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        path = (await reader.readuntil(b"\r\n\r\n")).split()[1].decode().split("?")[0]
        kind, text = files.get(path, ("text/html", PAGE.format(sandbox=sandbox)))
        head = (
            f"HTTP/1.1 200 OK\r\nContent-Type: {kind}; charset=utf-8\r\nContent-Security-Policy: {policy}\r\n"
            "Cross-Origin-Opener-Policy: same-origin\r\nConnection: close\r\n\r\n"
        )
        writer.write(head.encode() + text.encode())
        await writer.drain()
        writer.close()

    return serve
