"""Addresses of clients."""

NO_ADDRESSES = [
    "@",
    "nobody",
    "a@b",
    "<billing@x>",
    "a@@b.de",
    "a b@c.de",
    "a@b.example\r\nBcc: c@d.example",
    "a@b.example\n",
    "a@b.example, c@d.example",
    "A <a@b.example>",
    "a\u0000@b.example",
    "\u202ea@b.example",
    "a\u2028@b.example",
    "ü@b.example",
    '"a b"@c.example',
    "a@[127.0.0.1]",
    "a@" + "b" * 250 + ".example",
    "a" * 320 + "@b.example",
    "a@b.example" * 5_000,
    "=?utf-8?q?x=0D=0ABcc=3A_v?=@b.example",
]
"""Texts that look like e-mail addresses; no mail can be sent to them."""
