"""The databases of a running system are dumped, restored later and brought into step, as docs/operations.md says."""

import sys

from tests.faults import suite


async def test_a_restore_leaves_every_client_charged_once_and_every_invoice_right() -> None:
    options = suite.Options(only="restore:*restored")
    matrix = await suite.run(options, lambda line: print(line, file=sys.stderr))

    assert [(row.outcome, row.remark) for row in matrix.breaches] == []
    assert len(matrix.rows) == 1
