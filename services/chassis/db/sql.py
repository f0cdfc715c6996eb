"""Words of the vocabulary as constant text in SQL."""

from collections.abc import Sequence


def literals(words: Sequence[str]) -> str:
    """`('unpaid', 'part_paid')`, for `status IN {literals(…)}`.

    Text, not a parameter, so that the planner sees which partial index holds the rows. `words` are constants of the
    program, never what somebody sent.
    """
    return "({})".format(", ".join(f"'{word}'" for word in words))
