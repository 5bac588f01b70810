"""The command line: `python launch.py` opens the app; a verb after it does one job."""

import argparse
import importlib
import json
import sys
from collections.abc import Sequence
from dataclasses import MISSING, fields
from typing import Any

from core.config.decode import DecodeConfig
from core.config.methods import METHODS
from core.config.presets import PRESETS, preset
from core.config.train import TrainConfig
from core.data.source import NAMES
from core.errors import PrefixLabError
from core.task import FORMS

RAW = argparse.RawDescriptionHelpFormatter

ABOUT = {
    "length": "virtual tokens P",
    "mlp": "hidden size of the reparametrisation; 0 trains keys and values directly",
    "init": "how a prefix begins: random, zeros or words",
    "init_words": "the words whose activations it begins with",
    "layers": "top_layers: how many of the last blocks",
    "bottleneck": "adapter: hidden units; 0 goes by --share",
    "share": "adapter: share of the backbone's parameters (0.03 for 3 %%); 0 comes near to a prefix of --length",
    "instruction": "in_context: a sentence before the examples",
    "shots": "in_context: most examples, as many as fit",
    "context": "in_context: the whole text instead",
    "rank": "lora: rank of the updates",
    "lora_alpha": "lora: the updates are scaled by lora_alpha / rank",
    "rate": "learning rate at its highest",
    "epochs": "times through the data",
    "updates": "end after so many updates instead",
    "batch": "rows a batch",
    "accumulate": "batches an update",
    "warmup": "updates of linear warm-up",
    "clip": "largest norm of the gradient; 0 for none",
    "reduction": "loss: token (mean over tokens) or sentence (sum a sentence, mean over the batch)",
    "autocast": "bf16: auto, on or off",
    "checkpointing": "gradient checkpointing: less memory, more time",
    "validate_every": "updates between validations",
    "patience": "end after so many validations without a lower loss; 0 for never",
    "save_every": "updates between checkpoints",
    "valid_rows": "rows of validation data used",
    "watch": "updates between looks at what one fixed example becomes (watch.jsonl in the run's folder); 0 for never",
    "mode": "greedy, sample or beam",
    "beams": "beams of beam search",
    "max_new": "most new tokens",
    "min_new": "fewest new tokens",
    "temperature": "sampling: below 1 is safer, above 1 wilder",
    "top_k": "sampling: from the k likeliest tokens; 0 for all",
    "top_p": "sampling: from the likeliest tokens that make up p",
    "length_penalty": "beam search: above 0 favours longer texts",
    "no_repeat": "so many tokens in a row are never written twice (0: they may be)",
    "seed": "of every random choice",
}

OPEN = """Open Prefix Lab in the browser, or do one job from the command line.

  python launch.py                        open the app
  python launch.py generate --run e2e-prefix "name : The Eagle | Type : coffee shop | food : Chinese"
  python launch.py runs                   list the runs
  python launch.py VERB --help            about one job
"""


def parser() -> argparse.ArgumentParser:
    """The whole command line."""
    top = argparse.ArgumentParser(prog="launch.py", description=OPEN, formatter_class=RAW)
    _app_options(top)
    verbs = top.add_subparsers(dest="verb", metavar="VERB")
    for name, add in {
        "train": _train,
        "generate": _generate,
        "evaluate": _evaluate,
        "methods": _methods,
        "runs": _runs,
        "many": _many,
        "bench": _bench,
        "import": _import,
        "export": _export,
        "pretrain": _pretrain,
    }.items():
        add(verbs, name)
    verbs.add_parser("test", help="run ruff, mypy and the tests (see README)")
    return top


def _app_options(top: argparse.ArgumentParser) -> None:
    top.add_argument("--host", default="127.0.0.1", help="address to serve on (default: this machine only)")
    top.add_argument("--port", type=int, default=7860, help="port to serve on (default 7860)")
    top.add_argument("--device", default="auto", help="auto, cpu, cuda or mps")
    top.add_argument("--backbone", default="mini-gpt2", help="a bundled model, a folder, or a hub name")
    top.add_argument("--no-browser", action="store_true", help="do not open a browser")
    top.add_argument("--allow-network", action="store_true", help="allow a --host that others on the network can reach")


def _verb(verbs, name: str, about: str, example: str) -> argparse.ArgumentParser:
    verb = verbs.add_parser(
        name, help=about, description=f"{about[0].upper()}{about[1:]}.\n\nExample:\n  {example}", formatter_class=RAW
    )
    verb.add_argument("--json", action="store_true", help="print one JSON object (or one a line) instead of text")
    return verb


def _model_options(verb: argparse.ArgumentParser, backbone: str | None = None, whose: str = "the run's own") -> None:
    default = backbone or whose
    verb.add_argument("--backbone", default=backbone, help=f"a bundled model, a folder, or a hub name (default: {default})")
    verb.add_argument("--device", default="auto", help="auto, cpu, cuda or mps")


def _config_options(verb: argparse.ArgumentParser, config: type, skip: Sequence[str], whose: str = "") -> None:
    """One option a field of a configuration class, so that the command line never lags behind it."""
    for field in fields(config):
        if field.name in skip:
            continue
        assert field.default is not MISSING
        option, kind = "--" + field.name.replace("_", "-"), type(field.default)
        shown = f"default: {whose}" if whose else f"default {field.default}"
        shown = f"{ABOUT[field.name]} ({shown})" if field.name in ABOUT else shown
        if kind is bool:
            verb.add_argument(option, action="store_true", default=None, help=shown)
        else:
            verb.add_argument(option, type=kind, default=None, help=shown, metavar=kind.__name__.upper())


def _train(verbs, name: str) -> None:
    example = "python launch.py train --data e2e_folder --run my-prefix --method prefix --preset mini"
    verb = _verb(verbs, name, "train a prefix, or another method, on table-to-text data", example)
    _data_options(verb, "a folder with a file a split, or a file (default: the bundled tables)")
    verb.add_argument(
        "--task", help="a name for the task, under which the app lists the run (default: the set's); summarization is a set too"
    )
    verb.add_argument(
        "--cut", type=int, help="most tokens that are read of a source; 0 for no cut (default: 512 of an article, else no cut)"
    )
    verb.add_argument("--run", required=True, help="the name of the new run")
    verb.add_argument(
        "--resume", action="store_true", help="go on with a run that was stopped or killed; its settings are its own"
    )
    verb.add_argument("--method", default="prefix", choices=list(METHODS))
    verb.add_argument("--preset", default="mini", choices=sorted(PRESETS), help="paper is meant for GPT-2-medium")
    verb.add_argument(
        "--form", default=None, choices=["newline", "paper"], help="what stands between table and text (default: the preset's)"
    )
    verb.add_argument(
        "--rows", type=int, default=0, help="train on so many rows only: the first; of WebNLG and DART, spread entries"
    )
    verb.add_argument("--half", action="store_true", help="keep the weights as fp16")
    _model_options(verb, whose="mini-gpt2; mini-bart for articles")
    _config_options(verb, TrainConfig, ("method", "preset"), "the preset's")
    verb.epilog = "Rates of the presets:\n" + "\n".join(f"  {name:11} {_rates(name)}" for name in METHODS)

    verb.epilog += """

Data of your own, with columns by name (CSV, TSV or JSON lines; rows of one source may repeat it):
  --set columns --data mine.csv --source table --target text
  --set columns --data mine.csv --source name --source city --target text    several columns make a table
  --set columns --data mine.jsonl --source triples --target text --source-form webnlg

Articles and summaries (JSON lines, CSV, text files), on an encoder-decoder model such as mini-bart:
  --task summarization --data news_folder
  --task summarization --data news_folder --topics news-to-sports            tested on topics that were not trained on
  --task summarization --data mine.csv --source body --target abstract --topic-column desk"""


def _rates(method: str) -> str:
    return ", ".join(f"{name} {preset(name, method).rate:g}" for name in PRESETS)


def _data_options(verb: argparse.ArgumentParser, data: str) -> None:
    """Which data: the fields of `core.reading.source.DataSource`."""
    verb.add_argument("--data", metavar="PATH", help=f"{data}; with --set columns also hub:NAME, a set of the model hub")
    verb.add_argument("--set", choices=NAMES, help="what the data is (default: the run's own set, or e2e)")
    verb.add_argument(
        "--source", action="append", metavar="COLUMN", help="with --set columns: the input's column; several are a table"
    )
    verb.add_argument(
        "--target", action="append", metavar="COLUMN", help="with --set columns: the text's column; may be repeated"
    )
    verb.add_argument("--source-form", choices=FORMS, help="with --set columns: what the one source column holds (default table)")
    verb.add_argument("--topic-column", metavar="COLUMN", help="with --set summarization: the topic's column (default: topic)")
    verb.add_argument(
        "--topics", metavar="SPLIT", help="with --set summarization: news-to-sports or within-news, the paper's splits by topic"
    )
    verb.add_argument("--skip-bad", action="store_true", help="leave rows out that cannot be used, and say how many")


def _generate(verbs, name: str) -> None:
    example = (
        'python launch.py generate --run e2e-prefix "name : The Eagle | Type : coffee shop | food : Chinese | area : riverside"'
    )
    verb = _verb(verbs, name, "tell a table or sum up an article, with a run or with the frozen model", example)
    verb.add_argument("table", nargs="?", help="the table or the triples in any notation, or - to read from standard input")
    verb.add_argument("--article", metavar="FILE", help="sum up the article in this file instead, or - to read standard input")
    verb.add_argument("--run", help="the run to use (default: the frozen model)")
    verb.add_argument(
        "--text-prefix", metavar="TEXT", help="instead of a run: this text, read by the frozen model, as the prefix"
    )
    verb.add_argument(
        "--alpha", type=float, default=1.0, help="the odds of attending to the prefix times this: 0 hides it (default 1)"
    )
    verb.add_argument("--raw", action="store_true", help="print the model's own tokenised text")
    verb.add_argument(
        "--form", choices=FORMS, help="what the input is: a table, triples or any text (default: as the run learned)"
    )
    _model_options(verb)
    _config_options(verb, DecodeConfig, (), "see below")
    verb.epilog = """Decoding, where not given: tables greedy, 80 new tokens at most, never 6 in a row twice; articles by beam 6,
11 to 62 new tokens, never 3 in a row twice. Otherwise 5 beams, length penalty 1.5
(of triples and texts 1), temperature 1, top-p 1, all tokens, seed 0."""


def _evaluate(verbs, name: str) -> None:
    example = "python launch.py evaluate --run e2e-prefix --data e2e_folder --split test"
    verb = _verb(verbs, name, "score a run, or the frozen model, on a test set", example)
    verb.add_argument("--run", help="the run to score (default: the frozen model)")
    _data_options(verb, "a folder with a file a split, or a file")
    verb.add_argument("--split", default="test", help="train, dev or test; of WebNLG also test_seen and test_unseen")
    verb.add_argument("--tables", type=int, default=0, help="score so many tables only, evenly spread over the set")
    verb.add_argument("--hyps", help="write the outputs to this file, one a line")
    verb.add_argument("--hyps-in", metavar="FILE", help="score these outputs of any system instead of a run: one a line, or CSV")
    verb.add_argument(
        "--refs", nargs="+", metavar="FILE", help="their references, in the form of the official scripts, or the set's own data"
    )
    verb.add_argument("--against", metavar="FILE", help="outputs of a second system: which one is better (paired bootstrap)")
    whose = ["e2e", "webnlg", "dart", "rouge", "plain"]
    verb.add_argument("--score", default="e2e", choices=whose, help="which set's scores --hyps-in gets (default e2e)")
    verb.add_argument("--lead", type=int, default=0, metavar="N", help="score the first N sentences of each article instead")
    verb.add_argument("--batch", type=int, default=32, help="tables generated together (default 32)")
    _model_options(verb)
    _config_options(verb, DecodeConfig, (), "the paper's")
    verb.set_defaults(job="evaluate.evaluate")
    verb.epilog = """Decoding, where not given, is the paper's: beam 5, 5 to 100 new tokens, length penalty 1; of articles beam 6,
11 to 62 new tokens, length penalty 0.8, never 3 in a row twice.

Outputs of any system, in the official scripts' forms:
  --hyps-in out.txt --refs devel-conc.txt                         E2E: references in blocks with an empty line between
  --hyps-in out.txt --refs ref0.lex ref1.lex ref2.lex --score webnlg   also dart: a file a reference, line by line
  --hyps-in out.txt --refs webnlg_folder --split test --score webnlg   the set itself: seen, unseen and all"""


def _methods(verbs, name: str) -> None:
    example = "python launch.py methods --run demo --updates 100"
    verb = _verb(verbs, name, "train every method on the same rows, score all on the same tables", example)
    _data_options(verb, "a folder with a file a split (default: the bundled tables)")
    verb.add_argument("--run", required=True, help="the runs are called RUN-METHOD; those that are there are scored as they are")
    verb.add_argument("--method", action="append", choices=list(METHODS), help="only these; may be repeated (default: all)")
    verb.add_argument("--preset", default="fast", choices=sorted(PRESETS), help="each method has a rate of its own in it")
    verb.add_argument(
        "--rates", nargs="+", type=float, metavar="RATE", help="try each of these for every method; validation loss chooses"
    )
    verb.add_argument("--seeds", type=int, default=1, help="runs of each method, with seeds from 0 on (default 1)")
    verb.add_argument("--rows", type=int, default=0, help="train on so many rows only")
    verb.add_argument("--split", default="test", help="what is scored: dev or test")
    verb.add_argument("--tables", type=int, default=0, help="score so many tables only, evenly spread over the set")
    _model_options(verb, "mini-gpt2")
    _config_options(verb, TrainConfig, ("method", "preset", "seed"), "the preset's")
    _config_options(verb, DecodeConfig, (), "the paper's")
    verb.set_defaults(job="compare_methods.methods")


def _runs(verbs, name: str) -> None:
    verb = _verb(verbs, name, "list the runs, bundled ones first, or put them in order", "python launch.py runs --json")
    what = verb.add_mutually_exclusive_group()
    what.add_argument("--rename", nargs=2, metavar=("RUN", "NEW"), help="give a run another name")
    what.add_argument("--note", nargs=2, metavar=("RUN", "TEXT"), help="write a run's notes anew")
    what.add_argument("--delete", metavar="RUN", help="move a run to the trash")
    what.add_argument("--restore", metavar="RUN", help="bring a run back from the trash")
    what.add_argument("--empty-trash", action="store_true", help="delete for good what is in the trash")


def _many(verbs, name: str) -> None:
    about = "measure one model with many prefixes: texts with a prefix each, written together and one by one"
    verb = _verb(verbs, name, about, "python launch.py many --users 16")
    verb.add_argument("--users", type=int, default=16, help="how many prefixes, and texts (default 16)")
    verb.add_argument("--length", type=int, default=30, help="virtual tokens of each (default 30)")
    verb.add_argument("--tokens", type=int, default=40, help="new tokens of each text (default 40)")
    verb.add_argument("--seed", type=int, default=0, help="of the prefixes")
    _model_options(verb, "mini-gpt2")


def _bench(verbs, name: str) -> None:
    about = "measure speed and memory as ratios of two sides that take turns, and how long what a person waits for takes"
    verb = _verb(
        verbs, name, about, "python launch.py bench decoding batch\n  python launch.py bench attention space scoring app"
    )
    rows = "training peft decoding batch lengths scoring, and of a model that the app can open attention space app"
    verb.add_argument("rows", nargs="*", metavar="ROW", help=f"which rows: {rows} (default: all)")
    shapes = ["mini", "gpt2-medium", "gpt2-large", "bart-large"]
    verb.add_argument("--shape", choices=shapes, help="the bundled model, or a size with random weights (default mini)")
    verb.add_argument("--backbone", help="instead of a shape: a bundled model, a folder, or a hub name")
    verb.add_argument("--device", default="auto", help="auto, cpu, cuda or mps")
    verb.add_argument("--repeats", type=int, default=5, help="measurements of each side (default 5)")
    verb.add_argument("--tokens", type=int, default=40, help="new tokens of each text that is written (default 40)")
    verb.add_argument("--batch", type=int, default=0, help="examples an update in training (default: 10 tables, or 4 articles)")
    verb.add_argument("--no-memory", dest="memory", action="store_false", help="leave out peak memory, a process for each side")
    verb.epilog = (
        "attention and space time what the server does for these tabs; what the browser draws comes on top. app opens the app "
        "in a process of its own. scoring takes texts put together from the bundled tables. A row that cannot be measured is "
        "told with its reason, the others go on, and the exit code is 1."
    )
    verb.set_defaults(job="bench.bench")


def _import(verbs, name: str) -> None:
    example = "python launch.py import --from peft_folder --run theirs --backbone gpt2"
    verb = _verb(verbs, name, "make a run of a prefix that PEFT or the paper's authors' code trained, or of a zip", example)
    which = verb.add_mutually_exclusive_group(required=True)
    which.add_argument("--from", dest="folder", help="the folder of the checkpoint")
    which.add_argument("--zip", metavar="FILE", help="a run that `export --zip` wrote")
    verb.add_argument("--run", help="the name of the new run (default with --zip: the run's own)")
    verb.add_argument("--task", help="name of the task it was trained for (default: the checkpoint's, or e2e)")
    verb.add_argument(
        "--form", choices=["newline", "paper"], help="what stands between table and text (default: paper for the authors' code)"
    )
    _model_options(verb, "mini-gpt2")
    verb.set_defaults(job="exchange.bring_in")
    verb.epilog = "Nothing is unpickled but tensors; an MLP is folded; a prefix of another model is refused."


def _export(verbs, name: str) -> None:
    example = "python launch.py export --run e2e-prefix --to peft_folder"
    verb = _verb(verbs, name, "write a prefix or a LoRA run as a PEFT adapter, or any run as a zip", example)
    verb.add_argument("--run", required=True, help="the run to write")
    where = verb.add_mutually_exclusive_group(required=True)
    where.add_argument("--to", help="a new folder")
    where.add_argument("--zip", metavar="FILE", help="a new file: any run, whole, for `import --zip`")
    verb.add_argument("--base", default="", help="what PEFT is to call the model (default: the run's backbone)")
    verb.set_defaults(job="exchange.take_out")


def _pretrain(verbs, name: str) -> None:
    example = "python launch.py pretrain --preset mini-gpt2 --corpus text_folder --records records_folder --out my-backbone"
    verb = _verb(verbs, name, "make a small backbone from plain text; goes on where it was stopped", example)
    verb.add_argument("--preset", default="mini-gpt2", choices=["mini-gpt2", "mini-bart"])
    verb.add_argument("--corpus", required=True, help="folder of .txt or .txt.gz files; documents end with a line <|endoftext|>")
    verb.add_argument("--records", help="folder of structured records (see the model card)")
    verb.add_argument(
        "--withhold", help="folder of summarization sets: their valid and test rows, and news's opening sentences, are not read"
    )
    verb.add_argument("--out", required=True, help="folder for the checkpoint and, at the end, the model")
    verb.add_argument("--tokens", type=float, help="how many tokens to train on (default: the preset's)")
    verb.add_argument("--minutes", type=float, help="how long to train, in place of a number of tokens")
    verb.add_argument("--start", help="folder of a small GPT-2: begin with its tokenizer and word embeddings, able to copy")
    verb.add_argument("--device", default="auto", help="auto, cpu, cuda or mps")


def overrides(args: argparse.Namespace, config: type) -> dict[str, Any]:
    """The fields of a configuration that were given on the command line."""
    values = {field.name: getattr(args, field.name, None) for field in fields(config)}
    return {name: value for name, value in values.items() if value is not None}


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; the exit code is 0, 1 for an error a user can mend, 2 for a wrong command line, 130 for Ctrl-C."""
    args = parser().parse_args(argv)
    args.words = list(sys.argv[1:] if argv is None else argv)
    as_json = getattr(args, "json", False)
    try:
        module, job = getattr(args, "job", f"common.{args.verb or 'open_app'}").split(".")
        return getattr(importlib.import_module(f"app.cli.{module}"), job)(args)  # late: --help must not wait for torch
    except PrefixLabError as error:
        if as_json:
            print(json.dumps({"error": str(error), "kind": type(error).__name__}))
        else:
            print(f"Error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("Stopped.", file=sys.stderr)
        return 130
    except BrokenPipeError:
        sys.stderr.close()
        return 0
