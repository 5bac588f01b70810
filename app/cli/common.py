"""What each verb does: read the arguments, one call below, print."""

import argparse
import json
import shlex
import signal
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from tqdm import tqdm

from analysis.benchmark.multi_prefix import measure
from analysis.experiments.training_sampler import looker
from app.cli.generate import asked, remarks
from app.cli.main import overrides
from core.config.decode import DecodeConfig
from core.config.decoding_defaults import usual_decoding
from core.config.presets import preset
from core.config.train import TrainConfig
from core.data.hub import is_hub
from core.data.source import DataSource
from core.errors import BadInput
from core.generation.generate import check_fits, request_of, stream
from core.generation.generate import generate as generate_all
from core.methods.loading import LoadedRun, load_run, text_run
from core.models.backbone import DEFAULT, DEFAULTS, load_backbone, pick_device
from core.models.inputs import task_for
from core.prefix.interventions import Intervention
from core.runs import manage
from core.runs.store import Run, store
from core.task import SUMMARIZATION, Example
from core.text.detokenize import detokenise
from core.training.trainer import Training, resumed

WATCHED = "animal-018"  # a bundled table of a topic that is held out of training


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


def loaded_run(args: argparse.Namespace, form: str = "table") -> tuple[Any, LoadedRun | None]:
    """The backbone, and on it the run where one is named; without either the bundled backbone for sources of that form."""
    run = store().get(args.run) if args.run is not None else None
    backbone = load_backbone(args.backbone or (run.backbone if run else DEFAULTS.get(form, DEFAULT)), args.device)
    if getattr(args, "text_prefix", None) is not None:
        return backbone, text_run(args.text_prefix, backbone)
    return backbone, load_run(run, backbone) if run else None


# ------------------------------------------------------------------------------------ train


def train(args: argparse.Namespace) -> int:
    """Train into the store; Ctrl-C stops and keeps, `--resume` goes on."""
    if args.resume:
        training = resumed(store(), args.run, lambda name: load_backbone(name, args.device))
        examples, valid = _rows(args, DataSource.of(training.source))
    else:
        training, examples, valid = _new_training(args)
    training.look = looker(training.backbone, training.task, _watched(DataSource.of(training.source), examples, valid))
    stop = threading.Event()
    stop_on_ctrl_c(stop, args)
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
    store().check_free(args.run)
    args.set = args.set or (SUMMARIZATION if args.task == SUMMARIZATION or args.topics else None)
    source = data_source(args, rows=args.rows)
    config = preset(changes.pop("preset"), changes.pop("method"), args.task or source.name, **changes)
    examples, valid = _rows(args, source)  # a bad file is told before the model is loaded
    if args.preset == "paper":
        say(
            args,
            "The preset 'paper' is meant for GPT-2-medium and BART-large; a small model learns faster with 'mini' or 'fast'.",
        )
    layout = args.form or ("paper" if args.preset == "paper" else "newline")
    backbone = load_backbone(args.backbone or DEFAULTS.get(source.task_form, DEFAULT), args.device)
    form = task_for(backbone, args.task or source.name, layout, source.task_form, args.cut)
    return Training(backbone, form, config, store(), args.run, command_of(args), args.half, source.to_dict()), examples, valid


def command_of(args: argparse.Namespace) -> str:
    """The command line as it was typed, to be kept with the run."""
    return "python launch.py " + " ".join(shlex.quote(word) for word in args.words if word != "--json")


def _rows(args: argparse.Namespace, source: DataSource) -> tuple[list[Example], list[Example]]:
    """Training and validation examples; rows that were left out are counted for people."""
    skipped: list[str] = []
    examples, valid = source.training(skipped)
    say_skipped(args, skipped)
    return examples, valid


def _watched(source: DataSource, examples: list[Example], valid: list[Example]) -> Example:
    """The example that is watched: of the bundled tables one of a topic held out of training, else the first not trained on."""
    if source.name == "records":
        return next((one for one in source.read("example", []) if one.id == WATCHED), examples[0])
    return (valid or examples)[0]


def data_source(args: argparse.Namespace, **more: Any) -> DataSource:
    """The options about data."""
    given = {"set": args.set, "source": args.source, "target": args.target, "form": args.source_form}
    given |= {"group": args.topic_column, "topics": args.topics}
    given = {name: value for name, value in given.items() if value}
    data = args.data if not args.data or is_hub(args.data) else str(Path(args.data).resolve())
    return DataSource.of(given | {"data": data or "", "skip_bad": args.skip_bad} | more)


def say_skipped(args: argparse.Namespace, skipped: list[str]) -> None:
    """How many rows were left out, and the first of them."""
    if skipped and args.json:
        print(json.dumps({"skipped": len(skipped), "first": skipped[0]}))
    elif skipped:
        rows = "1 row was" if len(skipped) == 1 else f"{len(skipped)} rows were"
        say(args, f"{rows} left out; the first: {skipped[0]}")


def stop_on_ctrl_c(stop: threading.Event, args: argparse.Namespace) -> None:
    """The first Ctrl-C sets `stop`; the second one interrupts."""

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
    """Print one text; greedy and sampled text as it comes. Summaries come from beam search unless told otherwise."""
    wanted = overrides(args, DecodeConfig)
    turned = Intervention(args.alpha)
    if args.run is not None and args.text_prefix is not None:
        raise BadInput("A run and a text prefix were given, and one model has one prefix: leave --run or --text-prefix out.")
    run = store().get(args.run) if args.run is not None else None
    form, source = asked(args, run)  # a bad table is told before the model is loaded
    usual = usual_decoding(form)
    decode = usual.but(**{"min_new": min(usual.min_new, wanted.get("max_new", usual.max_new))} | wanted)
    backbone, loaded = loaded_run(args, form)
    learned = loaded.task if loaded else task_for(backbone, SUMMARIZATION if form == "article" else "e2e")
    model, prefix = (loaded.model, loaded.prefix) if loaded else (backbone.model, None)
    if prefix is None and not turned.idle:
        raise BadInput(
            f"There is no prefix to turn with --alpha {args.alpha:g}: give a prefix run, or a text with --text-prefix."
        )
    request = replace(request_of(backbone, learned, source, prefix, decode.seed), intervention=turned)
    check_fits(backbone, len(request.prompt_ids), prefix.length if prefix else 0, decode.max_new)
    said = remarks(backbone, form, source, learned)
    for sentence in said:
        say(args, sentence)
    shown = str if args.raw or form == "article" else detokenise
    if args.json or decode.mode == "beam":
        made = generate_all(model, backbone, [request], decode)[0]
        record = {"run": args.run, "source": source, "text": shown(made.text), "raw": made.text, "tokens": len(made.ids)}
        record |= {"notes": said} if said else {}
        record |= {"alpha": turned.alpha} if prefix is not None else {}
        print(json.dumps(record | {"finish": made.finish, "seconds": round(made.seconds, 3)}) if args.json else shown(made.text))
        return 0
    texts = (step[0].text_so_far for step in stream(model, backbone, [request], decode) if step[0] is not None)
    for part in as_it_comes(texts, shown):
        print(part, end="", flush=True)
    print()
    return 0


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
        print(f"{run.id:24} {run.method:10} {run.backbone:12} {run.status:10} {size:>20}  {when}  {scores}")
    if not found:
        print("No runs yet. Train one: python launch.py train --run my-prefix")
    for sentence in store().broken():
        print(sentence, file=sys.stderr)
    return 0


def _ordered(args: argparse.Namespace) -> str:
    """What was done to the runs, as a sentence; empty where nothing was asked for."""
    if args.rename:
        return f"{args.rename[0]} is now {manage.rename(store(), *args.rename).id}."
    if args.note:
        return f"The notes of {manage.annotate(store(), *args.note).id} are kept."
    if args.delete:
        gone = manage.delete(store(), args.delete).id
        return f"{gone} is in the trash; it comes back with: python launch.py runs --restore {gone}"
    if args.restore:
        return f"{manage.restore(store(), args.restore)} is back."
    if args.empty_trash:
        return f"The trash is empty; runs deleted for good: {manage.empty_trash(store())}."
    return ""


def summary(run: Run) -> dict[str, Any]:
    return run.to_json() | {"folder": str(run.folder), "bundled": run.bundled}


# ------------------------------------------------------------------------------------- many


def many(args: argparse.Namespace) -> int:
    """Texts with a prefix each, together and one by one."""
    found = measure(load_backbone(args.backbone, args.device), args.users, args.length, args.tokens, args.seed)
    if args.json:
        print(json.dumps(asdict(found) | {"ratio": round(found.ratio, 2)}))
        return 0
    texts = f"{found.users} texts of {found.tokens} tokens, each with its own prefix of {found.length}"
    print(f"{texts}: one by one {found.one_by_one:.1f} s, together {found.together:.1f} s, {found.ratio:.1f} times faster.")
    print(f"{found.same} of {found.users} texts are the same both ways.")
    return 0


# --------------------------------------------------------------------------------- pretrain


def pretrain(args: argparse.Namespace) -> int:
    """Prepare the corpus once, then train and export."""
    from core.pretraining.config import PRESETS as recipes
    from core.pretraining.corpus import prepare
    from core.pretraining.export import export
    from core.pretraining.loop import pretrain as steps
    from core.pretraining.model_card import hardware
    from core.pretraining.withheld import Withheld

    config = recipes[args.preset]
    if args.tokens:
        config = replace(config, tokens=int(args.tokens))
    if args.minutes:
        config = replace(config, minutes=args.minutes)
    if args.start:
        config = replace(config, start=str(Path(args.start).resolve()))
    out, device = Path(args.out), pick_device(args.device)
    say(args, "Preparing the corpus (once) …")
    records, withheld = Path(args.records) if args.records else None, Withheld(Path(args.withhold)) if args.withhold else None
    prepare(Path(args.corpus), records, out / "corpus", config.vocabulary, config.seed, config.start, withheld)
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
    folder = export(out, out / args.preset, hardware(device))
    print(
        json.dumps({"model": str(folder)})
        if args.json
        else f"The model is in {folder}; open it with: python launch.py --backbone {folder}"
    )
    return 0
