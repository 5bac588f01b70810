"""An engine that stands still."""

import threading
from contextlib import contextmanager


@contextmanager
def held(engine):
    """The worker does nothing while this lasts, so that a test knows what it finds when it goes on."""
    begun, free = threading.Event(), threading.Event()
    holder = threading.Thread(target=engine.run, args=(lambda: (begun.set(), free.wait()),))
    holder.start()
    begun.wait()
    try:
        yield
    finally:
        free.set()
        holder.join()
