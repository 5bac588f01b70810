"""What each verb does: read the arguments, one call below, print."""

import argparse
import json
import shlex
import signal
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from tqdm import tqdm

from analysis.evaluate import PAPER_DECODING
from analysis.evaluate import evaluate as evaluate_run
from analysis.watch import looker
from app.cli import overrides
from app.scoring import score as score_outputs
from core import paths, shelf
from core.backbone import DEFAULT, load_backbone, pick_device
from core.config import DecodeConfig, TrainConfig, preset
from core.errors import BadInput
from core.generate import Request, check_fits, stream
from core.generate import generate as generate_all
from core.readers import read_bundled, read_e2e
from core.runs import LoadedRun, add_scores, load_run
from core.store import Run, store
from core.tables import canonical, linearise, parse
from core.tasks import Example, Task, task
from core.text import detokenise
from core.training import Training, resumed


def say(args: argparse.Namespace, text: str) -> None:
    """For people, on stderr, so that stdout stays data."""
    if not args.json:
        print(text, file=sys.stderr)


def open_app(args: argparse.Namespace) -> int:
    """Serve the app until Ctrl-C."""
    from app.main import serve

    serve(
        backbone=args.backbone,
        device=args.device,
        host=args.host,
        port=args.port,
        browser=not args.no_browser,
        allow_network=args.allow_network,
    )
    return 0


def _loaded(args: argparse.Namespace) -> tuple[Any, LoadedRun | None]:
    run = store().get(args.run) if args.run is not None else None
    backbone = load_backbone(args.backbone or (run.backbone if run else DEFAULT), args.device)
    return backbone, load_run(run, backbone) if run else None


# ------------------------------------------------------------------------------------ train


def train(args: argparse.Namespace) -> int:
    """Train into the store; Ctrl-C stops and keeps, `--resume` goes on."""
    if args.resume:
        training = resumed(store(), args.run, lambda name: load_backbone(name, args.device))
        examples, valid = _rows(training.source)
    else:
        training, examples, valid = _new_training(args)
    training.look = looker(training.backbone, training.task, _watched(training.source, examples, valid))
    stop = threading.Event()
    _stop_on_ctrl_c(stop, args)
    with tqdm(disable=args.json, unit="update", smoothing=0.05) as bar:
        for step in training.steps(examples, valid, stop.is_set):
            bar.total, bar.n = step.total, step.index
            shown = {"loss": f"{step.loss:.3f}"} | ({"valid": f"{step.valid_loss:.3f}"} if step.valid_loss is not None else {})
            bar.set_postfix(shown, refresh=False)
            bar.update(0)
            if args.json and (step.valid_loss is not None):
                print(
                    json.dumps({"update": step.index, "total": step.total, "loss": step.loss, "valid_loss": step.valid_loss}),
                    flush=True,
                )
    run = training.run
    assert run is not None
    if args.json:
        print(json.dumps(summary(run)))
    else:
        print(_sentence(run))
    return 0


def _new_training(args: argparse.Namespace) -> tuple[Training, list[Example], list[Example]]:
    """A training that is not yet begun, with its training and validation examples."""
    changes = overrides(args, TrainConfig)
    config = preset(changes.pop("preset"), changes.pop("method"), **changes)
    store().check_free(args.run)
    source = {"data": str(Path(args.data).resolve()) if args.data else "", "rows": args.rows}
    examples, valid = _rows(source)  # a bad file is told before the model is loaded
    if args.preset == "paper":
        say(args, "The preset 'paper' is meant for GPT-2-medium; a small model learns faster with 'mini' or 'fast'.")
    form = task("e2e" if args.data else "records", args.form or ("paper" if args.preset == "paper" else "newline"))
    backbone = load_backbone(args.backbone, args.device)
    return Training(backbone, form, config, store(), args.run, command_of(args), args.half, source), examples, valid


def command_of(args: argparse.Namespace) -> str:
    """The command line as it was typed, to be kept with the run."""
    return "python launch.py " + " ".join(shlex.quote(word) for word in args.words if word != "--json")


def _rows(source: dict[str, Any]) -> tuple[list[Example], list[Example]]:
    """Training and validation examples of a training's source."""
    if source["data"]:
        examples, valid = _e2e_splits(Path(source["data"]))
    else:
        bundled = paths.DATA / "records.jsonl"
        examples, valid = read_bundled(bundled, "train"), read_bundled(bundled, "valid")
    return (examples[: source["rows"]] if source["rows"] else examples), valid


def _watched(source: dict[str, Any], examples: list[Example], valid: list[Example]) -> Example:
    """The example that is watched: of the bundled tables one of a topic held out of training, else the first not trained on."""
    if not source["data"]:
        return next(one for one in read_bundled(paths.DATA / "records.jsonl", "example") if not one.seen)
    return (valid or examples)[0]


def _e2e_splits(path: Path):
    if path.is_dir():
        return read_e2e(path, "train"), read_e2e(path, "dev")
    return read_e2e(path), []


def _stop_on_ctrl_c(stop: threading.Event, args: argparse.Namespace) -> None:
    def first(_signal, _frame) -> None:
        stop.set()
        say(args, "\nStopping after this update; what is learned is kept. Ctrl-C again to leave at once.")
        signal.signal(signal.SIGINT, signal.default_int_handler)

    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGINT, first)


def _sentence(run: Run) -> str:
    loss = f", validation loss {run.valid_loss:.3f}" if run.valid_loss is not None else ""
    return (
        f"{run.id}: {run.status} after {run.updates} updates in {run.seconds:.0f} s{loss}. Trained {run.trained:,} parameters, "
        f"stored {run.stored:,} ({run.bytes / 1e6:.2f} MB) in {run.folder}"
    )


# --------------------------------------------------------------------------------- generate


def generate(args: argparse.Namespace) -> int:
    """Print one text; greedy and sampled text as it comes."""
    decode = DecodeConfig.of(overrides(args, DecodeConfig))
    text = _standard_input() if args.table == "-" else args.table
    source = linearise(canonical(parse(text)))
    backbone, loaded = _loaded(args)
    form: Task = loaded.task if loaded else task("e2e")
    model, prefix = (loaded.model, loaded.prefix) if loaded else (backbone.model, None)
    request = Request(backbone.encode(form.prompt(source)), prefix, decode.seed)
    check_fits(backbone, len(request.prompt_ids), prefix.length if prefix else 0, decode.max_new)
    shown = str if args.raw else detokenise
    if args.json or decode.mode == "beam":
        made = generate_all(model, backbone, [request], decode)[0]
        record = {"run": args.run, "source": source, "text": shown(made.text), "raw": made.text, "tokens": len(made.ids)}
        print(json.dumps(record | {"finish": made.finish, "seconds": round(made.seconds, 3)}) if args.json else shown(made.text))
        return 0
    texts = (step[0].text_so_far for step in stream(model, backbone, [request], decode) if step[0] is not None)
    for part in as_it_comes(texts, shown):
        print(part, end="", flush=True)
    print()
    return 0


def _standard_input() -> str:
    try:
        return sys.stdin.read()
    except UnicodeDecodeError as error:
        raise BadInput(f"Standard input is not UTF-8 text (see byte {error.start}). Give a table as text.") from error


def as_it_comes(texts: Iterable[str], shown: Callable[[str], str], held: int = 3) -> Iterator[str]:
    """What to print of a growing text. The last words are held back: what follows may still join them ("£ 20 - 25")."""
    text, printed = "", ""
    for text in texts:
        ready = " ".join(shown(text).split(" ")[:-held])
        if ready.startswith(printed):
            yield ready[len(printed) :]
            printed = ready
    whole = shown(text)
    yield whole[len(printed) :] if whole.startswith(printed) else "\n" + whole


# --------------------------------------------------------------------------------- evaluate


def evaluate(args: argparse.Namespace) -> int:
    """Score, print, and note the scores with the run where it is the user's own and every table was scored."""
    if args.hyps_in or args.refs:
        return score_outputs(args)
    if not args.data:
        raise BadInput("Say what to score on: --data with E2E data, or --hyps-in with outputs and --refs with references.")
    if args.hyps and (not Path(args.hyps).absolute().parent.is_dir() or Path(args.hyps).is_dir()):  # told before the work is done
        raise BadInput(f"Cannot write {args.hyps}: it is a folder, or lies in none. Give a file in a folder that is there.")
    decode = PAPER_DECODING.but(**overrides(args, DecodeConfig))
    path = Path(args.data)
    examples = read_e2e(path, args.split) if path.is_dir() else read_e2e(path)
    if args.tables:
        wanted = list(dict.fromkeys(example.source for example in examples))[: args.tables]
        examples = [example for example in examples if example.source in set(wanted)]
    backbone, loaded = _loaded(args)
    with tqdm(disable=args.json, unit="table") as bar:

        def progress(done: int, total: int) -> None:
            bar.total = total
            bar.update(done - bar.n)

        form, prefix = (loaded.task, loaded.prefix) if loaded else (task("e2e"), None)
        model = loaded.model if loaded else backbone.model
        result = evaluate_run(model, backbone, form, prefix, examples, decode, args.batch, progress)
    if args.hyps:
        _write_lines(Path(args.hyps), result.outputs)
    records = result.records()
    if loaded and not loaded.run.bundled and not args.tables:
        add_scores(loaded.run, args.split, records)
    if args.json:
        print(json.dumps({"run": args.run, "split": args.split, "scores": records, "seconds": round(result.seconds, 1)}))
        return 0
    for name, record in records.items():
        print(f"{name:12} {record['value']:6.2f}   n={record['n']}   {record['signature']}")
    return 0


def _write_lines(path: Path, lines: list[str]) -> None:
    try:
        path.write_text("\n".join(" ".join(line.split()) for line in lines) + "\n", encoding="utf-8")
    except OSError as error:
        raise BadInput(f"Cannot write {path}: {error.strerror}. Give a file in a folder that can be written.") from error


# ------------------------------------------------------------------------------------- runs


def runs(args: argparse.Namespace) -> int:
    """List the runs, or change what an option says; what cannot be read is said on stderr."""
    if said := _ordered(args):
        print(json.dumps({"done": said}) if args.json else said)
        return 0
    found = store().runs()
    if args.json:
        print(json.dumps([summary(run) for run in found]))
        return 0
    for run in found:
        scores = " ".join(
            f"{split} {name} {value['value']}" for split, named in run.scores.items() for name, value in named.items()
        )
        size = f"{run.stored:,} stored"
        when = "bundled" if run.bundled else run.created
        print(f"{run.id:24} {run.method:9} {run.backbone:12} {run.status:10} {size:>20}  {when}  {scores}")
    if not found:
        print("No runs yet. Train one: python launch.py train --run my-prefix")
    for sentence in store().broken():
        print(sentence, file=sys.stderr)
    return 0


def _ordered(args: argparse.Namespace) -> str:
    """What was done to the runs, as a sentence; empty where nothing was asked for."""
    if args.rename:
        return f"{args.rename[0]} is now {shelf.rename(store(), *args.rename).id}."
    if args.note:
        return f"The notes of {shelf.annotate(store(), *args.note).id} are kept."
    if args.delete:
        gone = shelf.delete(store(), args.delete).id
        return f"{gone} is in the trash; it comes back with: python launch.py runs --restore {gone}"
    if args.restore:
        return f"{shelf.restore(store(), args.restore)} is back."
    if args.empty_trash:
        return f"The trash is empty; runs deleted for good: {shelf.empty_trash(store())}."
    return ""


def summary(run: Run) -> dict[str, Any]:
    return run.to_json() | {"folder": str(run.folder), "bundled": run.bundled}


# --------------------------------------------------------------------------------- pretrain


def pretrain(args: argparse.Namespace) -> int:
    """Prepare the corpus once, then train and export."""
    from core.pretrain.corpus import prepare
    from core.pretrain.export import export
    from core.pretrain.loop import PRESETS as recipes
    from core.pretrain.loop import pretrain as steps

    config = recipes[args.preset]
    if args.tokens:
        config = replace(config, tokens=int(args.tokens))
    out, device = Path(args.out), pick_device(args.device)
    say(args, "Preparing the corpus (once) …")
    prepare(Path(args.corpus), Path(args.records) if args.records else None, out / "corpus", config.vocabulary, config.seed)
    with tqdm(disable=args.json, unit="update", smoothing=0.05) as bar:
        for step in steps(config, out / "corpus", out, device):
            bar.total, bar.n = step.total, step.index
            bar.set_postfix(
                {"loss": f"{step.loss:.3f}"} | {name: f"{loss:.3f}" for name, loss in step.valid.items()}, refresh=False
            )
            bar.update(0)
            if args.json and step.valid:
                print(
                    json.dumps({"update": step.index, "tokens": step.tokens, "loss": step.loss, "valid": step.valid}), flush=True
                )
    folder = export(out, out / args.preset)
    print(
        json.dumps({"model": str(folder)})
        if args.json
        else f"The model is in {folder}; open it with: python launch.py --backbone {folder}"
    )
    return 0
