"""The services' databases as the role `ops`, for commands of the console."""

import os
from collections.abc import Mapping
from pathlib import Path

from deploy.ops import database, variables
from deploy.ops.data_directory import DataDirectory
from deploy.ops.verify.report import CannotCheck


def ops_dsns(data: Path | None, environment: Mapping[str, str] = os.environ) -> dict[str, str]:
    """DSN by service: of a running `clinicpay up`, else from OPS_DATABASE_URLS. CannotCheck if neither is there."""
    if data is None:
        if urls := variables.read("OPS_DATABASE_URLS", environment):
            return variables.dsns(urls)
        raise CannotCheck("neither --data nor OPS_DATABASE_URLS (invoice=postgresql://…,gateway=…) given")
    return DataDirectory(data).reader_dsns(database.OPS)
