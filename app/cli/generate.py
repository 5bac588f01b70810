"""The verb `generate`: write the text of a table, or summarize an article, with a run or with the frozen model."""

import argparse
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from app.cli.common import answer, load_backbone_and_run, say
from app.cli.options import (
    Verbs,
    add_config_options,
    add_model_options,
    add_parser,
    decoding,
    describe_decoding,
    hidden_alias,
)
from core.config.decode import DecodeConfig
from core.config.decoding_defaults import DEFAULT_MODE, default_decoding
from core.data.lines import UNREADABLE
from core.data.registry import parse_input
from core.errors import BadInput
from core.runs.run import Run
from core.runs.store import store
from core.task import FORMATS, INPUTS, SUMMARIZATION, Task, task
from core.text.articles import looks_english
from core.text.detokenize import detokenise

if TYPE_CHECKING:
    from core.models.backbone import Backbone


def add_verb(verbs: Verbs) -> None:
    """Add the verb and its arguments."""
    table = "name : The Eagle | Type : coffee shop | food : Chinese | area : riverside"
    about = "write the text of a table, or summarize an article, with a run or with the frozen model"
    verb = add_parser(verbs, "generate", about, f'python launch.py generate --run e2e-prefix "{table}"', generate)
    verb.add_argument("table", nargs="?", help="the table or the triples in any notation, or - to read standard input")
    verb.add_argument("--article", metavar="FILE", help="summarize the article in this file instead, or - to read standard input")
    verb.add_argument("--run", help="the run to use (default: the frozen model)")
    verb.add_argument(
        "--text-prefix", metavar="TEXT", help="instead of a run: use this text, read by the frozen model, as prefix"
    )
    verb.add_argument(
        "--alpha",
        type=float,
        default=1.0,
        help="multiply the odds of attending to the prefix by this: 0 hides the prefix (default 1)",
    )
    verb.add_argument("--raw", action="store_true", help="print the model's text as it is tokenized")
    verb.add_argument(
        "--input-format", choices=FORMATS, help="what the input is: a table, triples or any text (default: as the run learned)"
    )
    hidden_alias(verb, "--form", "input_format", FORMATS)
    add_model_options(verb, split=True)
    add_config_options(verb, DecodeConfig, default="see below")
    names = {"tables": "table", "triples and texts": "text", "articles": "article"}
    defaults = {name: default_decoding(form) for name, form in names.items()}
    verb.epilog = f"Decoding defaults:\n{describe_decoding(defaults)}\nSampling: temperature 1, top-p 1, all tokens, seed 0."


def generate(args: argparse.Namespace) -> int:
    """Print one text: greedy and sampled text as it is generated, beam search at its end."""
    from analysis.metrics.coverage import error_counter
    from core.generation.generate import generate as generate_all
    from core.generation.generate import stream
    from core.generation.limits import check_requests
    from core.generation.types import make_request
    from core.models.inputs import task_for_backbone
    from core.prefix.interventions import Intervention

    intervention = Intervention(args.alpha)
    if args.run is not None and args.text_prefix is not None:
        raise BadInput("A run and a text prefix were given, and a model takes one prefix: give either --run or --text-prefix.")
    run = store().get(args.run) if args.run is not None else None
    form, source = read_input(args, run)  # a bad table is reported before the model is loaded
    decode = decoding(args, default_decoding(form, args.mode or DEFAULT_MODE))
    backbone, loaded = load_backbone_and_run(args, form)
    learned = loaded.task if loaded else task_for_backbone(backbone, SUMMARIZATION if form == "article" else "e2e")
    model, prefix = (loaded.model, loaded.prefix) if loaded else (backbone.model, None)
    if prefix is None and not intervention.is_identity:
        raise BadInput(f"--alpha {args.alpha:g} needs a prefix: give a prefix run, or a text with --text-prefix.")
    request = make_request(backbone, learned, source, prefix, decode.seed)
    request = replace(request, intervention=intervention, errors=error_counter(form, source))
    check_requests(backbone, [request], decode)  # what does not fit is reported before any warning
    warnings = input_warnings(backbone, form, source, learned)
    for sentence in warnings:
        say(args, sentence)
    clean = str if args.raw or form == "article" else detokenise
    if args.json or decode.is_beam_search:
        result = generate_all(model, backbone, [request], decode)[0]
        record = {"run": args.run, "source": source, "text": clean(result.text), "raw": result.text, "tokens": len(result.ids)}
        record |= {"notes": warnings} if warnings else {}
        record |= {"alpha": intervention.alpha} if prefix is not None else {}
        record |= {"finish": result.finish, "seconds": round(result.seconds, 3)}
        return answer(args, record, clean(result.text))
    texts = (step[0].text_so_far for step in stream(model, backbone, [request], decode) if step[0] is not None)
    for part in printable_parts(texts, clean):
        print(part, end="", flush=True)
    print()
    return 0


def printable_parts(texts: Iterable[str], clean: Callable[[str], str]) -> Iterator[str]:
    """Yield what to print of a growing text.

    The last three words are held back, since the next ones may be joined to them ("£ 20 - 25").
    """
    text, printed = "", ""
    for text in texts:
        ready = " ".join(clean(text).split(" ")[:-3])
        if ready.startswith(printed):
            yield ready[len(printed) :]
            printed = ready
    whole = clean(text)
    yield whole[len(printed) :] if whole.startswith(printed) else "\n" + whole


def read_input(args: argparse.Namespace, run: Run | None) -> tuple[str, str]:
    """Return (form, source): the input format (see Task), and the source in that format.

    Raises BadInput for no input, two inputs, or an unreadable file; BadTable or BadInput if it is not in that format.
    """
    if (args.article is None) == (args.table is None):
        raise BadInput("Give one input: a table in quotes, or an article with --article FILE (- for standard input).")
    learned = run.task.input_format if run else task("e2e" if args.article is None else SUMMARIZATION).input_format
    if args.article is not None and learned not in ("article", "text"):
        raise BadInput(
            f"The run {args.run!r} was trained on {INPUTS[learned]}, and an article was given. "
            "Choose a run of the task summarization."
        )
    form = args.input_format or learned
    if "-" in (args.article, args.table):
        return form, parse_input(form, _standard_input())
    return form, parse_input(form, args.table if args.article is None else _file(Path(args.article)))


def _standard_input() -> str:
    try:
        text = sys.stdin.read()
    except UnicodeDecodeError:
        text = "\0"
    if UNREADABLE.search(text):
        raise BadInput("Standard input is not UTF-8 text. Give a table or an article as text.")
    return text


def _file(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise BadInput(f"{path.name} is not UTF-8 text (see byte {error.start}). Save the article as UTF-8.") from error
    except (OSError, ValueError) as error:  # ValueError: a null character in the name
        reason = getattr(error, "strerror", None) or error
        raise BadInput(f"{path} cannot be read: {reason}. Give a file that exists, or - for standard input.") from error


def input_warnings(backbone: "Backbone", form: str, text: str, learned: Task) -> list[str]:
    """Return warnings about an input, one sentence each: words that are unknown, an article's end that is cut off or its
    language."""
    from core.models.inputs import encode_input
    from core.models.unknown_words import describe_unknown

    warnings = [sentence] if (sentence := describe_unknown(backbone, text)) else []
    if form != "article":
        return warnings
    source = encode_input(backbone, learned, text)
    if source.is_cut:
        warnings.append(
            f"The article has {source.tokens:,} tokens, and the first {source.used} are read, up to "
            f"“…{' '.join(text[: source.end].split()[-6:])}”; the rest is left out."
        )
    if not looks_english(text):
        warnings.append(
            f"The article does not look like English, the language that models like {backbone.spec.name} were trained on."
        )
    return warnings
