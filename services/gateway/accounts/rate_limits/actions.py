"""Count tries in PostgreSQL, where all processes of the gateway share the counts."""

from services.chassis.db.database import Connection, Database
from services.gateway.accounts.rate_limits import store
from services.gateway.accounts.rate_limits.domain import LETTERS_WINDOW, WINDOW, Limit, TooManyTries


async def count(db: Database, limits: tuple[Limit, ...]) -> bool:
    """Count a try before it is made, so that many at once are counted too. Raises `TooManyTries`.

    True for the last one that a limit lets through.
    """
    async with db.tx(None) as tx:
        counted = [(limit, await store.count_try(tx, limit.key, WINDOW)) for limit in limits]
    waits = [seconds for limit, (tries, seconds) in counted if tries > limit.most]
    if waits:
        raise TooManyTries(max(1, *waits))
    return any(tries == limit.most for limit, (tries, _) in counted)


async def is_letter_allowed(tx: Connection, limits: tuple[Limit, ...]) -> bool:
    """Count a letter, and say whether it is within its limits. Behind one that is exceeded it is not counted."""
    for limit in limits:
        letters, _ = await store.count_try(tx, limit.key, LETTERS_WINDOW)
        if letters > limit.most:
            return False
    return True


async def return_tries(db: Database, limits: tuple[Limit, ...]) -> None:
    """After a successful try, forget the tries of this e-mail and address, and count one less for the other limits."""
    own, *others = limits
    async with db.tx(None) as tx:
        await store.forget_tries(tx, own.key)
        for limit in others:
            await store.return_try(tx, limit.key)


async def return_try(db: Database, limits: tuple[Limit, ...]) -> None:
    """Count one try less: it could not be looked at."""
    async with db.tx(None) as tx:
        for limit in limits:
            await store.return_try(tx, limit.key)


async def forget(tx: Connection, limits: tuple[Limit, ...]) -> None:
    """Forget the tries that these limits count."""
    for limit in limits:
        await store.forget_tries(tx, limit.key)


async def give_back(tx: Connection, limits: tuple[Limit, ...], gift: Limit) -> None:
    """Forget all tries, unless that was done too often: `gift` counts in `LETTERS_WINDOW`."""
    given, _ = await store.count_try(tx, gift.key, LETTERS_WINDOW)
    if given <= gift.most:
        await forget(tx, limits)
