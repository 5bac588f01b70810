"""Options that several verbs share, and the help texts of all settings."""

import argparse
import os
import stat
from collections.abc import Callable, Mapping, Sequence
from dataclasses import MISSING, fields
from typing import TypeAlias

from core.config.decode import MODES, READ_BY, DecodeConfig
from core.config.decoding_defaults import paper_decoding
from core.config.methods import METHODS
from core.data.hub import is_hub
from core.data.source import NAMES, DataSource
from core.errors import BadInput
from core.runs.layout import JsonObject
from core.task import FORMATS, SUMMARIZATION

LAYOUTS = ["newline", "paper"]
BUNDLED_BY_INPUT = "mini-gpt2; mini-bart for articles"  # core.models.locate.DEFAULTS
HELP = {
    "length": "number of virtual tokens",
    "mlp": "hidden size of the reparametrization MLP; 0 trains keys and values directly",
    "init": "how a prefix is initialized: random, zeros or words",
    "init_words": "with --init words: the words whose activations initialize the prefix",
    "near_text": "a text that the virtual tokens start from and stay near; it sets --length",
    "near_weight": "weight of the penalty on the distance from --near-text (0: none); what is stored has the lowest validation "
    "loss plus penalty",
    "layers": "how many of the last blocks are trained",
    "bottleneck": "hidden units; 0 derives them from --share",
    "share": "share of the backbone's parameters (0.03 is 3 %%); 0 comes close to a prefix of --length",
    "instruction": "a sentence before the examples",
    "shots": "the largest number of examples; as many as fit are used",
    "context": "use exactly this text instead",
    "rank": "rank of the update matrices",
    "lora_alpha": "the updates are scaled by lora_alpha / rank",
    "rate": "peak learning rate",
    "epochs": "passes over the data",
    "updates": "stop after this many updates instead",
    "batch": "examples per batch",
    "accumulate": "batches per update (gradient accumulation)",
    "warmup": "updates of linear warm-up",
    "clip": "clip gradients to this norm; 0 turns clipping off",
    "reduction": "loss: token (mean over tokens) or sentence (sum per sentence, mean over the batch)",
    "autocast": "bfloat16 autocast: auto, on or off",
    "checkpointing": "gradient checkpointing: less memory, more time",
    "validate_every": "updates between validations",
    "patience": "stop after this many validations without a lower loss; 0 never stops early",
    "save_every": "updates between checkpoints",
    "valid_rows": "number of validation examples used",
    "watch": "updates between samples of one fixed example (watch.jsonl in the run's folder); 0 samples none",
    "mode": "greedy, sample, beam, or rerank (of a beam search's texts, the one with the fewest missing values and unsupported "
    "words)",
    "beams": "number of beams",
    "max_new": "largest number of new tokens",
    "min_new": "smallest number of new tokens",
    "temperature": "sampling: below 1 is safer, above 1 is wilder",
    "top_k": "sampling: only the k likeliest tokens; 0 keeps all",
    "top_p": "sampling: only the likeliest tokens that together reach probability p",
    "length_penalty": "beam search: above 0 favors longer texts",
    "no_repeat": "never repeat a phrase of this many tokens; 0 allows it",
    "seed": "seed of every random choice",
}

Verbs: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"  # what `add_subparsers` returns
Job = Callable[[argparse.Namespace], int]


def add_parser(verbs: Verbs, name: str, about: str, example: str, job: Job) -> argparse.ArgumentParser:
    """Add a verb; `job` runs it and returns the exit code."""
    description = f"{about[0].upper()}{about[1:]}.\n\nExample:\n  {example}"
    verb = verbs.add_parser(name, help=about, description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    verb.add_argument("--json", action="store_true", help="print JSON (one object, or one per line) instead of text")
    verb.set_defaults(job=job)
    return verb


def hidden_alias(verb: argparse.ArgumentParser, old: str, dest: str, choices: Sequence[str] | None) -> None:
    """Keep an option's former name working, without listing it in the help."""
    verb.add_argument(old, dest=dest, choices=choices, default=argparse.SUPPRESS, help=argparse.SUPPRESS)


def add_model_options(
    verb: argparse.ArgumentParser, backbone: str | None = None, default: str = "the run's own", split: bool = False
) -> None:
    """Which backbone, and on which device; with `split`, also whether a decoder-only backbone is split over devices."""
    help_ = f"a bundled model, a folder, or a name on the model hub (default: {backbone or default})"
    verb.add_argument("--backbone", default=backbone, help=help_)
    verb.add_argument("--device", default="auto", help="auto, cpu, cuda or mps")
    verb.set_defaults(device_map="")
    if split:
        help_ = "auto splits a backbone that is larger than one device over GPUs, memory and disk (prefix-tuning, generation)"
        verb.add_argument("--device-map", choices=["auto"], default="", help=help_)


def add_config_options(verb: argparse.ArgumentParser, config: type, skip: Sequence[str] = (), default: str = "") -> None:
    """Add an option for each field of a configuration class, so that the command line is always complete."""
    for field in fields(config):
        if field.name in skip:
            continue
        assert field.default is not MISSING
        option, kind = "--" + field.name.replace("_", "-"), type(field.default)
        value = f"default: {default}" if default else f"default {field.default}"
        methods = [name for name, info in METHODS.items() if field.name in info.settings]
        owners = f"{', '.join(methods)}: " if methods else ""
        help_ = f"{owners}{HELP[field.name]} ({value})" if field.name in HELP else value
        if kind is bool:
            verb.add_argument(option, action="store_true", default=None, help=help_)
        else:
            verb.add_argument(option, type=kind, default=None, help=help_, metavar=kind.__name__.upper())


def describe_decoding(defaults: Mapping[str, DecodeConfig]) -> str:
    """Return the decoding of each input format, for a verb's epilog."""
    return "\n".join(f"  {name:18} {_in_words(decode)}" for name, decode in defaults.items())


def describe_paper_decoding() -> str:
    """Return the paper's decoding as a verb's defaults, for its epilog."""
    defaults = {"tables": paper_decoding(""), "articles": paper_decoding(SUMMARIZATION)}
    return f"Decoding defaults, the paper's:\n{describe_decoding(defaults)}"


def _in_words(decode: DecodeConfig) -> str:
    line = f"{decode.describe()}, {decode.min_new} to {decode.max_new} new tokens"
    if decode.is_beam_search:
        return line
    return f"{line}\n{'':20} (with --mode beam: {decode.beams} beams, length penalty {decode.length_penalty:g})"


def overrides(args: argparse.Namespace, config: type) -> JsonObject:
    """Return the configuration fields that were given on the command line."""
    values = {field.name: getattr(args, field.name, None) for field in fields(config)}
    return {name: value for name, value in values.items() if value is not None}


def decoding(args: argparse.Namespace, defaults: DecodeConfig) -> DecodeConfig:
    """Return the decoding of a command line. Raises BadInput for an option that the mode does not read."""
    changes = overrides(args, DecodeConfig)
    decode = defaults.replace(**{"min_new": min(defaults.min_new, changes.get("max_new", defaults.max_new))} | changes)
    for name in changes:
        if decode.mode not in READ_BY.get(name, MODES):
            option, modes = "--" + name.replace("_", "-"), " or ".join(f"--mode {mode}" for mode in READ_BY[name])
            raise BadInput(f"{option} counts only with {modes}, and the mode is {decode.mode}. Leave it out, or give {modes}.")
    return decode


def add_data_options(verb: argparse.ArgumentParser, data: str) -> None:
    """Add the options that choose the data: the fields of `core.data.source.DataSource`."""
    verb.add_argument("--data", metavar="PATH", help=f"{data}; with --set columns also hub:NAME, a data set of the model hub")
    verb.add_argument(
        "--set", choices=NAMES, help="which data set this is (default: the run's own; else e2e with --data, and records without)"
    )
    verb.add_argument(
        "--source", action="append", metavar="COLUMN", help="with --set columns: the input column; several make a table"
    )
    verb.add_argument("--target", action="append", metavar="COLUMN", help="with --set columns: the text column; may be repeated")
    verb.add_argument(
        "--source-form",
        choices=[form for form in FORMATS if form != "article"],
        help="with --set columns: what the one source column holds (default table)",
    )
    verb.add_argument("--topic-column", metavar="COLUMN", help="with --set summarization: the topic column (default: topic)")
    verb.add_argument(
        "--topics", metavar="SPLIT", help="with --set summarization: news-to-sports or within-news, the paper's splits by topic"
    )
    verb.add_argument("--skip-bad", action="store_true", help="skip rows that cannot be used, and say how many there are")


def data_path(path: str) -> str:
    """Return the absolute path of a data set, which a run keeps. Raises BadInput for one that cannot be read, and for a pipe,
    which can be read only once; whether there is a file is seen when it is read."""
    file = os.path.realpath(os.path.expanduser(path))
    try:
        mode = os.stat(file).st_mode
    except FileNotFoundError:
        return file
    except OSError as error:
        raise BadInput(f"{path} cannot be read: {error.strerror}. Give --data a file or a folder that exists.") from error
    if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
        raise BadInput(f"--data {path} is a pipe, which can be read only once: write its content into a file, and give that.")
    return file


def data_source(args: argparse.Namespace, **more: object) -> DataSource:
    """Return the data source that the options describe."""
    options = {"set": args.set, "source": args.source, "target": args.target, "form": args.source_form}
    options |= {"group": args.topic_column, "topics": args.topics}
    options = {name: value for name, value in options.items() if value}
    data = args.data if not args.data or is_hub(args.data) else data_path(args.data)
    return DataSource.from_dict(options | {"data": data or "", "skip_bad": args.skip_bad} | more)
