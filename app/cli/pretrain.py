"""The verb `pretrain`: train a small backbone from plain text."""

import argparse
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

from app.cli.common import say
from app.cli.options import add_parser
from core.pretraining.config import PRESETS, PretrainConfig


def add_verb(verbs: Any) -> None:
    """Add the verb and its arguments."""
    example = "python launch.py pretrain --preset mini-gpt2 --corpus text_folder --records records_folder --out my-backbone"
    about = "train a small backbone from plain text; resumes where it was stopped"
    verb = add_parser(verbs, "pretrain", about, example, pretrain)
    verb.add_argument("--preset", default="mini-gpt2", choices=list(PRESETS))
    verb.add_argument("--corpus", required=True, help="folder of .txt or .txt.gz files; documents end with a line <|endoftext|>")
    verb.add_argument("--records", help="folder of structured records (see the model card)")
    verb.add_argument(
        "--withhold", help="folder of summarization sets whose validation and test rows, and news openings, are excluded"
    )
    verb.add_argument("--out", required=True, help="folder for the checkpoint and, at the end, the model")
    verb.add_argument("--tokens", type=float, help="number of training tokens (default: the preset's)")
    verb.add_argument("--minutes", type=float, help="training time, instead of a number of tokens")
    verb.add_argument("--start", help="folder of a small GPT-2: start from its tokenizer and word embeddings, with copying heads")
    verb.add_argument("--device", default="auto", help="auto, cpu, cuda or mps")


def pretrain(args: argparse.Namespace) -> int:
    """Prepare the corpus once, then train and export."""
    from tqdm import tqdm

    from core.models.backbone import pick_device
    from core.pretraining.corpus import prepare
    from core.pretraining.export import export
    from core.pretraining.loop import pretrain as steps
    from core.pretraining.model_card import hardware
    from core.pretraining.withheld import Withheld

    config, out, device = _config(args), Path(args.out), pick_device(args.device)
    say(args, "Preparing the corpus (once) …")
    records = Path(args.records) if args.records else None
    withheld = Withheld(Path(args.withhold)) if args.withhold else None
    prepare(Path(args.corpus), records, out / "corpus", config.vocabulary, config.seed, config.start, withheld)
    with tqdm(disable=args.json, unit="update", smoothing=0.05) as bar:
        for step in steps(config, out / "corpus", out, device):
            bar.total, bar.n = step.total, step.index
            losses = {"loss": f"{step.loss:.3f}"} | {name: f"{loss:.3f}" for name, loss in step.valid.items()}
            bar.set_postfix(losses, refresh=False)
            bar.update(0)
            if args.json and step.valid:
                record = {"update": step.index, "tokens": step.tokens, "loss": step.loss, "valid": step.valid}
                print(json.dumps(record), flush=True)
    folder = export(out, out / args.preset, hardware(device))
    sentence = f"The model is in {folder}; open it with: python launch.py --backbone {folder}"
    print(json.dumps({"model": str(folder)}) if args.json else sentence)
    return 0


def _config(args: argparse.Namespace) -> PretrainConfig:
    config = PRESETS[args.preset]
    if args.tokens:
        config = replace(config, tokens=int(args.tokens))
    if args.minutes:
        config = replace(config, minutes=args.minutes)
    return replace(config, start=str(Path(args.start).resolve())) if args.start else config
