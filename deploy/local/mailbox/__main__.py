"""`python -m deploy.local.mailbox`, with HTTP_HOST, HTTP_PORT, SMTP_PORT and MAILBOX_DIR from the environment."""

import os
from pathlib import Path

import uvicorn

from deploy.local.mailbox.app import mailbox_app
from deploy.local.mailbox.store import Mailbox


def main() -> None:
    host = os.environ.get("HTTP_HOST", "127.0.0.1")
    mailbox = Mailbox(Path(os.environ["MAILBOX_DIR"]))
    app = mailbox_app(mailbox, host, int(os.environ["SMTP_PORT"]))
    uvicorn.run(
        app,
        host=host,
        port=int(os.environ["HTTP_PORT"]),
        log_level="warning",
        server_header=False,
        timeout_graceful_shutdown=3,
    )


if __name__ == "__main__":
    main()
