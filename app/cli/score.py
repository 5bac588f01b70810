"""`evaluate --hyps-in FILE --refs FILE …`: the scores of outputs that any system wrote."""

import argparse
import json
from pathlib import Path
from typing import Any

from analysis.evaluation.score_files import score_files
from analysis.evaluation.suites import Result
from analysis.metrics.base import NotComputed
from core.errors import BadInput


def score(args: argparse.Namespace) -> int:
    """Print every score of a file of outputs; with --against, which of two systems is better."""
    if not args.hyps_in or not args.refs:
        raise BadInput("Give both: --hyps-in with the outputs, one a line, and --refs with the references.")
    other = Path(args.against) if args.against else None
    found = score_files(Path(args.hyps_in), [Path(file) for file in args.refs], args.score, args.split, other)
    if args.json:
        record: dict[str, Any] = {"outputs": args.hyps_in, "n": found.n, "scores": _records(found.scores)}
        if other:
            record |= {"against": args.against, "their_scores": _records(found.other)}
            record["differences"] = [vars(one) | {"better": one.better} for one in found.differences]
        print(json.dumps(record))
        return 0
    for one in found.scores:
        print(_line(one))
    if other:
        print(f"\nAgainst {args.against}:")
        for difference in found.differences:
            print(difference.sentence(Path(args.hyps_in).name, other.name))
    return 0


def _line(one: Result) -> str:
    if isinstance(one, NotComputed):
        return f"{one.name:14} {'–':>9}   {one.reason}"
    arrow = "higher" if one.higher_is_better else "lower"
    return f"{one.name:14} {one.value:9.4f}   {arrow} is better   n={one.n}   {one.signature}"


def _records(results: list[Result]) -> dict[str, dict[str, Any]]:
    return {one.name: _record(one) for one in results}


def _record(one: Result) -> dict[str, Any]:
    if isinstance(one, NotComputed):
        return {"value": None, "reason": one.reason}
    return {"value": one.value, "higher_is_better": one.higher_is_better, "signature": one.signature, "n": one.n}
