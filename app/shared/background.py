"""Work that threads of the app do again and again."""

import logging
from collections.abc import Callable

log = logging.getLogger(__name__)


def tolerant(work: Callable[[], None], what: str) -> Callable[[], None]:
    """Return `work` so that an error, as on a full disk, does not end the thread that repeats it.

    The error is logged once, as "{what} failed, and is tried again", until another one comes or the work succeeds.
    """
    last = ""

    def attempt() -> None:
        nonlocal last
        try:
            work()
            last = ""
        except Exception as error:
            if str(error) != last:
                log.error("%s failed, and is tried again", what, exc_info=error)
            last = str(error)

    return attempt
