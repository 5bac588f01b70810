"""The verb `pretrain`: train a small backbone from plain text."""

import argparse
import json
import math
import os
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING

from app.cli.common import answer, refuse_unread, say, update_bar
from app.cli.options import Verbs, add_parser
from core.errors import BadInput
from core.pretraining.config import PRESETS, PretrainConfig

if TYPE_CHECKING:
    import torch


NUMBERS = ("batch_tokens", "pass_tokens", "muon_rate", "adam_rate", "minutes")  # options that are fields of PretrainConfig
OF_MINI_BART = ("summary_every", "gap_share")


def add_verb(verbs: Verbs) -> None:
    """Add the verb and its arguments."""
    example = "python launch.py pretrain --preset mini-gpt2 --corpus text_folder --records records_folder --out my-backbone"
    about = "train a small backbone from plain text; resumes where it was stopped"
    verb = add_parser(verbs, "pretrain", about, example, pretrain)
    verb.add_argument("--preset", default="mini-gpt2", choices=list(PRESETS))
    verb.add_argument(
        "--corpus",
        help="folder of .txt or .txt.gz files; documents end with a line <|endoftext|>; --out keeps what is made of it",
    )
    verb.add_argument("--records", help="folder of structured records (see the model card)")
    verb.add_argument(
        "--withhold", help="folder of summarization sets whose validation and test rows, and news openings, are excluded"
    )
    verb.add_argument("--out", required=True, help="folder for the checkpoint and, at the end, the model")
    verb.add_argument("--tokens", type=float, help="number of training tokens (default: the preset's)")
    verb.add_argument("--minutes", type=float, help="training time, instead of a number of tokens")
    verb.add_argument("--start", help="mini-bart: a folder of a small GPT-2 to take the tokenizer and word embeddings from")
    verb.add_argument("--continue-from", metavar="FOLDER", help="a model of the preset's shape: start from all its weights")
    verb.add_argument(
        "--summary-every", type=int, metavar="N", help="mini-bart: one update in N is of pseudo-summaries (default 5)"
    )
    verb.add_argument(
        "--gap-share",
        type=float,
        metavar="SHARE",
        help="mini-bart: share of gap sentences among the pseudo-summaries, 0 to 1; the others are opening sentences (default 0)",
    )
    verb.add_argument("--device", default="auto", help="auto, cpu, cuda or mps")
    verb.add_argument("--speed", action="store_true", help="only measure tokens per second, beside plain autocast, and stop")
    far = verb.add_argument_group("on another machine")
    far.add_argument("--pack", metavar="FILE", help="only write the prepared corpus to one small file, and stop")
    far.add_argument("--without", nargs="+", default=[], metavar="STREAM", help="texts to leave out of --pack")
    far.add_argument("--packed", metavar="FILE", help="train on a file of --pack, instead of --corpus")
    far.add_argument("--workers", type=int, default=0, help="processes that draw batches ahead (for a GPU: its cores less two)")
    far.add_argument("--batch-tokens", type=int, help="tokens of an update (default: the preset's)")
    far.add_argument("--pass-tokens", type=int, help="tokens of one forward pass (default 6144)")
    far.add_argument("--muon-rate", type=float, help="learning rate of the matrices (default: the preset's)")
    far.add_argument("--adam-rate", type=float, help="learning rate of the rest (default: the preset's)")
    far.add_argument("--compiled", action="store_true", help="use torch.compile, on CUDA")
    far.add_argument("--pieces", metavar="FOLDER", help="at each checkpoint, write the model here in files under 16 MB")
    far.add_argument("--join", metavar="FOLDER", help="only join such files to a model in --out, and stop")


def pretrain(args: argparse.Namespace) -> int:
    """Prepare the corpus once, then train and export; or do only one of these steps."""
    from core.models.loading import pick_device
    from core.pretraining.pack import join_pieces, pack_corpus
    from core.pretraining.speed import compare_speed

    out = Path(args.out)
    if args.join:
        join_pieces(Path(args.join), out)
        return answer(args, {"model": str(out)}, f"The model is in {out}.")
    if args.packed:
        refuse_unread(args, ("corpus", "records", "withhold"), "without --packed, which is a prepared corpus")
    if args.workers < 0:
        raise BadInput(f"--workers is {args.workers}: give 0 or more.")
    config, device = _config(args), pick_device(args.device)
    _prepare(args, config, out)
    if args.pack:
        size = pack_corpus(out / "corpus", Path(args.pack), args.without)
        return answer(args, {"file": args.pack, "bytes": size}, f"{args.pack} has {size / 1e6:.1f} MB.")
    if args.speed:
        speed = compare_speed(config, out / "corpus")
        sentence = (
            f"Tokens per second: {speed.plain:,.0f} with plain autocast, {speed.fast:,.0f} as trained ({speed.ratio:.2f} times)."
        )
        return answer(args, asdict(speed) | {"ratio": round(speed.ratio, 2)}, sentence)
    return _train(args, config, out, device)


def _prepare(args: argparse.Namespace, config: PretrainConfig, out: Path) -> None:
    from core.pretraining.corpus import prepare
    from core.pretraining.pack import unpack_corpus
    from core.pretraining.withheld import Withheld

    say(args, "Preparing the corpus (once) …")
    words = config.start or config.continue_from
    if args.packed:
        unpack_corpus(Path(args.packed), out / "corpus", config.vocabulary, words)
        return
    corpus, records = [Path(folder) if folder else None for folder in (args.corpus, args.records)]
    withheld = Withheld(Path(args.withhold)) if args.withhold else None
    prepare(corpus, records, out / "corpus", config.vocabulary, config.seed, words, withheld)


def _train(args: argparse.Namespace, config: PretrainConfig, out: Path, device: "torch.device") -> int:
    from core.pretraining.export import export
    from core.pretraining.loop import pretrain as steps
    from core.pretraining.model_card import hardware
    from core.pretraining.pack import write_pieces

    with update_bar(args.json) as progress:
        for step in steps(config, out / "corpus", out, device, args.workers):
            losses = {"loss": f"{step.loss:.3f}"} | {name: f"{loss:.3f}" for name, loss in step.valid.items()}
            progress("", step.index, step.total, **losses)
            if args.json and step.valid:
                record = {"update": step.index, "tokens": step.tokens, "loss": step.loss, "valid": step.valid}
                print(json.dumps(record), flush=True)
            if args.pieces and step.saved:
                write_pieces(export(out, out / args.preset, hardware(device)), Path(args.pieces))
    folder = export(out, out / args.preset, hardware(device))
    return answer(args, {"model": str(folder)}, f"The model is in {folder}; open it with: python launch.py --backbone {folder}")


def _config(args: argparse.Namespace) -> PretrainConfig:
    config = PRESETS[args.preset]
    if args.start and config.objective != "denoising":
        raise BadInput("--start is for mini-bart. To continue from a GPT-2, give its folder with --continue-from.")
    if config.objective != "denoising":
        refuse_unread(args, OF_MINI_BART, "with --preset mini-bart: mini-gpt2 reads no pseudo-summaries")
    if args.gap_share is not None and not 0 <= args.gap_share <= 1:
        raise BadInput(f"--gap-share is {args.gap_share:g}: give a share from 0 to 1.")
    for name in (*NUMBERS, "summary_every", "tokens"):
        value = getattr(args, name)
        if value is not None and not 0 < value < math.inf:
            raise BadInput(f"--{name.replace('_', '-')} is {value:g}: give a number above 0.")
    options = {name: getattr(args, name) for name in (*NUMBERS, *OF_MINI_BART, "compiled")}
    options |= {"tokens": int(args.tokens) if args.tokens else None}
    options |= {name: os.path.realpath(getattr(args, name)) for name in ("start", "continue_from") if getattr(args, name)}
    return replace(config, **{name: value for name, value in options.items() if value})
