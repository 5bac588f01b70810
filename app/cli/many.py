"""The verb `many`: one model, many prefixes in one batch."""

import argparse
from dataclasses import asdict

from app.cli.common import answer
from app.cli.options import Verbs, add_model_options, add_parser


def add_verb(verbs: Verbs) -> None:
    """Add the verb and its arguments."""
    about = "time one model with many prefixes: texts with a prefix each, generated in one batch and one by one"
    verb = add_parser(verbs, "many", about, "python launch.py many --users 16", many)
    verb.add_argument("--users", type=int, default=16, help="number of prefixes, each with one text (default 16)")
    verb.add_argument("--length", type=int, default=30, help="virtual tokens of each prefix (default 30)")
    verb.add_argument("--tokens", type=int, default=40, help="new tokens of each text (default 40)")
    verb.add_argument("--seed", type=int, default=0, help="seed of the random prefixes")
    add_model_options(verb, "mini-gpt2")


def many(args: argparse.Namespace) -> int:
    """Generate texts with a prefix each, in one batch and one by one, and print both times."""
    from analysis.benchmark.multi_prefix import measure_multi_prefix
    from core.models.loading import load_backbone

    timing = measure_multi_prefix(load_backbone(args.backbone, args.device), args.users, args.length, args.tokens, args.seed)
    texts = f"{timing.users} texts of {timing.tokens} tokens, each with its own prefix of {timing.length}"
    times = f"one by one {timing.one_by_one:.1f} s, together {timing.together:.1f} s, {timing.ratio:.1f} times faster."
    same = f"{timing.same} of {timing.users} texts are the same both ways."
    return answer(args, asdict(timing) | {"ratio": round(timing.ratio, 2)}, f"{texts}: {times}\n{same}")
