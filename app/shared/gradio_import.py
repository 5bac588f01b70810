"""Gradio, imported without what only its developers need."""

import inspect
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def without_stubs() -> Iterator[None]:
    """Keep Gradio from writing type stubs while it is imported inside.

    It parses the source of its 80 components and compares them with the .pyi files in its own package at each import, which is
    half of what the import takes. It leaves out classes that have no source file, so `inspect.getfile` says so of its own.
    """
    getfile = inspect.getfile

    def without_gradio(value: object) -> str:
        if str(getattr(value, "__module__", "")).startswith("gradio."):
            raise OSError("no stub is wanted")
        return getfile(value)  # type: ignore[arg-type]

    inspect.getfile = without_gradio  # type: ignore[assignment]
    try:
        yield
    finally:
        inspect.getfile = getfile
