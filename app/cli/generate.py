"""What `generate` is asked to tell: a table, triples or an article, from the command line, a file or standard input."""

import argparse
import sys
from pathlib import Path

from core.data.registry import source_of
from core.errors import BadInput
from core.models.backbone import Backbone
from core.models.inputs import read_source
from core.runs.store import Run
from core.task import SUMMARIZATION, Task, task
from core.text.articles import looks_english


def asked(args: argparse.Namespace, run: Run | None) -> tuple[str, str]:
    """(form, source): what the text is (see Task), and the text as a source of that form.

    Raises BadInput for no text, two, or a file that cannot be read; BadTable, BadInput for what is none of that form.
    """
    if (args.article is None) == (args.table is None):
        raise BadInput("Say what to tell, once: a table in quotes, or an article with --article FILE (- for standard input).")
    learned = run.task.form if run else task("e2e" if args.article is None else SUMMARIZATION).form
    if args.article is not None and learned not in ("article", "text"):
        raise BadInput(
            f"The run {args.run!r} learned to tell {'tables' if learned == 'table' else 'triples'}, and an article was given. "
            "Choose a run of the task summarization."
        )
    form = args.form or learned
    if "-" in (args.article, args.table):
        return form, source_of(form, _standard_input())
    return form, source_of(form, args.table if args.article is None else _file(Path(args.article)))


def _standard_input() -> str:
    try:
        return sys.stdin.read()
    except UnicodeDecodeError as error:
        raise BadInput(
            f"Standard input is not UTF-8 text (see byte {error.start}). Give a table or an article as text."
        ) from error


def _file(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise BadInput(f"{path.name} is not UTF-8 text (see byte {error.start}). Save the article as plain text.") from error
    except (OSError, ValueError) as error:  # ValueError: a null character in the name
        reason = getattr(error, "strerror", None) or error
        raise BadInput(f"{path} cannot be read: {reason}. Give a file that is there, or - for standard input.") from error


def remarks(backbone: Backbone, form: str, text: str, learned: Task) -> list[str]:
    """What a reader should know of an article: that its end is not read, that it is not English. A sentence each."""
    if form != "article":
        return []
    source, said = read_source(backbone, learned, text), []
    if source.is_cut:
        said.append(
            f"The article has {source.tokens:,} tokens, and the first {source.kept} are read, up to "
            f"“…{' '.join(text[: source.end].split()[-6:])}”; the rest is left out."
        )
    if not looks_english(text):
        said.append(f"The article does not look like English, which is what models like {backbone.spec.name} were trained on.")
    return said
