"""`python -m app.cli.reference` writes docs/cli.md, the command line's reference, from the parsers."""

import argparse
import sys
from pathlib import Path
from textwrap import dedent

from app.cli.main import parser

FILE = Path(__file__).parents[2] / "docs" / "cli.md"
HEAD = """# Command line

Generated from the parsers by `python -m app.cli.reference`; `python launch.py VERB --help` prints the same.
"""


def reference() -> str:
    """Return the whole reference as Markdown."""
    top = parser()
    verbs = next(action for action in top._actions if isinstance(action, argparse._SubParsersAction))
    sections = [HEAD, _section("python launch.py", top)]
    sections += [_section(name, verb) for name, verb in verbs.choices.items() if name != "test"]
    sections.append("## test\n\nRuns ruff, mypy and the tests (see README).\n")
    return "\n".join(sections)


def _section(title: str, verb: argparse.ArgumentParser) -> str:
    about, _, example = (verb.description or "").partition("\n\n")
    parts = [f"## {title}", about, _code(example.removeprefix("Example:\n")), _table(verb), _code(verb.epilog or "")]
    return "\n\n".join(part for part in parts if part) + "\n"


def _code(text: str) -> str:
    return f"```\n{dedent(text).strip()}\n```" if text.strip() else ""


def _table(verb: argparse.ArgumentParser) -> str:
    actions = [action for action in verb._actions if action.help != argparse.SUPPRESS and action.dest not in ("help", "verb")]
    return "\n".join(["| | |", "|---|---|", *(f"| `{_usage(action)}` | {_help(action)} |" for action in actions)])


def _usage(action: argparse.Action) -> str:
    """Return an option with its placeholder."""
    value = " ".join(action.metavar) if isinstance(action.metavar, tuple) else action.metavar or action.dest.upper()
    if not action.option_strings:
        return value
    return action.option_strings[0] if action.nargs == 0 else f"{action.option_strings[0]} {value}"


def _help(action: argparse.Action) -> str:
    """Return the help text, and the allowed values."""
    choices = ", ".join(f"`{choice}`" for choice in action.choices or ())
    return ": ".join(part for part in ((action.help or "").replace("%%", "%"), choices) if part).replace("|", "\\|")


if __name__ == "__main__":
    sys.exit(0 if FILE.write_text(reference(), encoding="utf-8") else 1)
