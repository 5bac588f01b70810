"""Lines of Python that are written from values: every value is written so that it reads back the same, and imports itself."""

import re
from dataclasses import MISSING, fields, is_dataclass

WIDTH = 100  # characters of a line, where it can be broken


class PythonLines:
    """A few lines of code and the imports that they need. `str()` is the whole."""

    def __init__(self) -> None:
        self._imports: dict[str, set[str]] = {}
        self._lines: list[str] = []

    def use(self, *things: object) -> None:
        """Import functions or classes by the modules that define them."""
        for thing in things:
            self._imports.setdefault(thing.__module__, set()).add(getattr(thing, "__name__", ""))

    def add(self, *lines: str) -> None:
        """Add lines of code."""
        self._lines += lines

    def assign(self, name: str, value: object) -> None:
        """A line that gives a value a name."""
        self.add(f"{name} = {self.value(value)}")

    def value(self, value: object) -> str:
        """A value as an expression: a settings class by the fields that differ from its defaults, a long text in pieces."""
        if is_dataclass(value) and not isinstance(value, type):
            self.use(type(value))
            values = {one.name: getattr(value, one.name) for one in fields(value) if one.init}
            plain = {one.name: _default(one) for one in fields(value) if one.init}
            return self.call(type(value).__name__, **{name: values[name] for name in values if values[name] != plain[name]})
        if isinstance(value, str) and len(value) > WIDTH:
            return "(\n" + "\n".join(f"    {piece!r}" for piece in _pieces(value)) + "\n)"
        return repr(value)

    def call(self, function: str, *positional: object, **named: object) -> str:
        """A call as an expression, on several lines where one would be too long. What is Code already stands as it is."""
        arguments = [self._argument(one) for one in positional]
        arguments += [f"{name}={self._argument(one)}" for name, one in named.items()]
        line = f"{function}({', '.join(arguments)})"
        if len(line) <= WIDTH and "\n" not in line:
            return line
        return f"{function}(\n" + "".join("    " + one.replace("\n", "\n    ") + ",\n" for one in arguments) + ")"

    def _argument(self, value: object) -> str:
        return str(value) if isinstance(value, Code) else self.value(value)

    def __str__(self) -> str:
        imports = [f"from {module} import {', '.join(sorted(names))}" for module, names in sorted(self._imports.items())]
        return "\n".join([*imports, "", *self._lines]) + "\n"


class Code(str):
    """An expression that stands as it is."""


def _pieces(text: str) -> list[str]:
    """A text in pieces of about a line, broken after words and at the ends of its own lines; together they are the text."""
    pieces = [""]
    for word in re.findall(r"\s*\S{1,80}|\s+", text):
        if pieces[-1] and (len(pieces[-1]) + len(word) > WIDTH - 10 or "\n" in word):
            pieces.append("")
        pieces[-1] += word
    return pieces


def _default(field: object) -> object:
    factory = getattr(field, "default_factory", MISSING)
    return factory() if callable(factory) else getattr(field, "default", MISSING)
