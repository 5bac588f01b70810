"""`evaluate --hyps-in FILE --refs FILE …`: score the outputs of any system."""

import argparse
import json
from pathlib import Path

from analysis.evaluation.score_files import score_files
from analysis.evaluation.suites import Result
from analysis.metrics.base import NotComputed
from app.cli.common import say_skipped, score_bar
from core.errors import BadInput
from core.runs.layout import JsonObject


def score(args: argparse.Namespace) -> int:
    """Print every score of a file of outputs; with --against, also which of two systems is better."""
    if not args.hyps_in or not args.refs:
        raise BadInput("Give both: --hyps-in with the outputs, one per line, and --refs with the references.")
    other = Path(args.against) if args.against else None
    skipped: list[str] | None = [] if args.skip_bad else None
    with score_bar(args.json) as progress:
        references = [Path(file) for file in args.refs]
        suite = args.score or "e2e"
        scored = score_files(Path(args.hyps_in), references, suite, args.split, other, skipped=skipped, progress=progress)
    say_skipped(args, skipped or [])
    if args.json:
        record: JsonObject = {"outputs": args.hyps_in, "n": scored.n, "scores": _records(scored.scores)}
        if other:
            record |= {"against": args.against, "their_scores": _records(scored.other)}
            record["differences"] = [vars(difference) | {"better": difference.better} for difference in scored.differences]
        print(json.dumps(record))
        return 0
    for result in scored.scores:
        print(_line(result))
    if other:
        print(f"\nAgainst {args.against}:")
        for difference in scored.differences:
            print(difference.sentence(Path(args.hyps_in).name, other.name))
    return 0


def _line(result: Result) -> str:
    if isinstance(result, NotComputed):
        return f"{result.name:18} {'–':>9}   {result.reason}"
    arrow = "higher" if result.higher_is_better else "lower"
    return f"{result.name:18} {result.value:9.4f}   {arrow} is better   n={result.n}   {result.signature}"


def _records(results: list[Result]) -> dict[str, JsonObject]:
    return {result.name: _record(result) for result in results}


def _record(result: Result) -> JsonObject:
    if isinstance(result, NotComputed):
        return {"value": None, "reason": result.reason}
    return {
        "value": result.value,
        "higher_is_better": result.higher_is_better,
        "signature": result.signature,
        "n": result.n,
    }
