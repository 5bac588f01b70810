"""The command line: `python launch.py` opens the app; with a verb it does one job.

Each verb has a file with its arguments and its job. Imports that need torch are inside the job, so that --help is fast.
"""

import argparse
import errno
import io
import json
import os
import sys
from collections.abc import Sequence
from typing import NoReturn

from app.cli import (
    bench,
    compare_methods,
    evaluate,
    exchange,
    experiments,
    generate,
    many,
    mix,
    names,
    open_app,
    pretrain,
    runs,
    train,
    training_set,
)
from core.errors import BadInput, PrefixLabError
from core.process_settings import apply_process_settings

DESCRIPTION = """Open Prefix Lab in the browser, or do one job from the command line. --help after a verb describes it.

  python launch.py                        # open the app
  python launch.py generate --run e2e-prefix "name : The Eagle | Type : coffee shop | food : Chinese"
  python launch.py runs                   # list the runs
"""
# A name and texts, which have checks of their own.
MAY_BE_EMPTY = ("--run", "--init-words", "--near-text", "--instruction", "--context", "--text-prefix")


class WrongUsage(SystemExit):
    """A command line that cannot be parsed. It ends the process with code 2, as argparse does."""

    def __init__(self, message: str) -> None:
        super().__init__(2)
        self.message = message


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        """Print the usage and what is wrong, and raise WrongUsage."""
        self.print_usage(sys.stderr)
        print(f"{self.prog}: error: {message}", file=sys.stderr)
        raise WrongUsage(message)


def parser() -> argparse.ArgumentParser:
    """Build the parser of the whole command line."""
    top: argparse.ArgumentParser = _Parser(
        prog="launch.py", description=DESCRIPTION, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    open_app.add_options(top)
    verbs = top.add_subparsers(dest="verb", metavar="VERB")
    for add_verb in (
        train.add_verb,
        training_set.add_select,
        training_set.add_distill,
        generate.add_verb,
        evaluate.add_verb,
        compare_methods.add_verb,
        experiments.add_verb,
        runs.add_verb,
        mix.add_verb,
        names.add_verb,
        many.add_verb,
        bench.add_verb,
        exchange.add_import,
        exchange.add_export,
        pretrain.add_verb,
    ):
        add_verb(verbs)
    tests = verbs.add_parser("test", help="run ruff, mypy and the tests (see README)")
    tests.set_defaults(job=lambda args: top.error("the tests are started by: python launch.py test"))
    return top


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command.

    Returns the exit code: 0, 1 for an error that the user can fix, 130 for Ctrl-C. Raises WrongUsage, a SystemExit(2). With
    --json, errors are printed as JSON.
    """
    apply_process_settings()
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:  # closed, as by `<&-`
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))  # noqa: SIM115
    if isinstance(sys.stdout, io.TextIOWrapper) and sys.stdout.errors == "strict":  # Windows writes a file in its code page
        sys.stdout.reconfigure(errors="backslashreplace")  # as stderr has it
    words = list(sys.argv[1:] if argv is None else argv)
    try:
        args = parser().parse_args(words)
        args.argv = words
        code = _do(args)
        sys.stdout.flush()  # here a short output meets a full disk or a closed pipe
        return code
    except WrongUsage as error:
        if "--json" in words:
            _print_json_error(error.message, error)
        raise
    except KeyboardInterrupt:
        print("Stopped.", file=sys.stderr)
        return 130
    except BrokenPipeError:
        sys.stderr.close()
        return 0
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise
        print(f"Error: The output cannot be written: {error.strerror}. Free some space, then try again.", file=sys.stderr)
        return 1


def _check_values(args: argparse.Namespace) -> None:
    """Raise BadInput for an option whose value is empty, as that of a shell variable that is not set: it counted as not given."""
    for word, following in zip(args.argv, [*args.argv[1:], None], strict=True):
        option, equals, value = word.partition("=")
        is_flag = getattr(args, option.removeprefix("--").replace("-", "_"), None) is True
        if option.startswith("--") and option not in MAY_BE_EMPTY and not is_flag and (value if equals else following) == "":
            raise BadInput(f"{option} is empty: give it a value, or leave it out.")


def _do(args: argparse.Namespace) -> int:
    """Do a command's job and return the exit code; an error that the user can fix is printed."""
    try:
        _check_values(args)
        return args.job(args)
    except PrefixLabError as error:
        sentence = error.sentence({name: "--" + name.replace("_", "-") for name in vars(args)})
        if getattr(args, "json", False):
            _print_json_error(sentence, error)
        else:
            print(f"Error: {sentence}", file=sys.stderr)
        return 1


def _print_json_error(sentence: str, error: BaseException) -> None:
    print(json.dumps({"error": sentence, "kind": type(error).__name__}))
