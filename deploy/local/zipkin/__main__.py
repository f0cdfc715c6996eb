"""`python -m deploy.local.zipkin`, with HTTP_HOST, HTTP_PORT and ZIPKIN_URL from the environment."""

import os

import uvicorn

from deploy.local.zipkin.app import translating


def main() -> None:
    uvicorn.run(
        translating(os.environ["ZIPKIN_URL"]),
        host=os.environ.get("HTTP_HOST", "127.0.0.1"),
        port=int(os.environ["HTTP_PORT"]),
        log_level="warning",
        server_header=False,
        timeout_graceful_shutdown=3,
    )


if __name__ == "__main__":
    main()
