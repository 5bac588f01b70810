"""The verb `names`: how many made-up names of restaurants a run copies."""

import argparse
import json

from app.cli.common import load_backbone_and_run, table_bar
from app.cli.options import Verbs, add_model_options, add_parser

EXAMPLES = 5  # names that were not copied are printed with their texts, so many


def add_verb(verbs: Verbs) -> None:
    """Add the verb and its arguments."""
    about = "count how many made-up names a run copies from tables of restaurants in the form of E2E"
    verb = add_parser(verbs, "names", about, "python launch.py names --run e2e-prefix", names)
    verb.add_argument("--run", required=True, help="a run on tables")
    verb.add_argument("--tables", type=int, default=200, help="number of tables, each with a name of its own (default 200)")
    verb.add_argument("--seed", type=int, default=0, help="seed of the names and tables")
    add_model_options(verb, split=True)
    verb.epilog = "Beam search with the app's settings. A name counts in upper or lower case."


def names(args: argparse.Namespace) -> int:
    """Generate a text of each table, and print how many hold the table's name."""
    from analysis.evaluation.made_up_names import copy_names, restaurants
    from core.config.decoding_defaults import default_decoding
    from core.errors import BadInput
    from core.task import INPUTS

    if args.tables < 1:
        raise BadInput(f"--tables {args.tables}: give 1 or more.")
    backbone, run = load_backbone_and_run(args, "table")
    assert run is not None  # --run is required
    if run.task.input_format != "table":
        raise BadInput(f"{args.run} was trained on {INPUTS[run.task.input_format]}, not on tables. Give a run on tables.")
    with table_bar(args.json) as progress:
        result = copy_names(run, backbone, restaurants(args.tables, args.seed), default_decoding("table"), progress)
    copied, total = sum(result.copied), len(result.tables)
    rows = list(zip(result.tables, result.texts, result.copied, strict=True))
    if args.json:
        texts = [{"name": table.name, "text": text, "copied": is_copied} for table, text, is_copied in rows]
        print(json.dumps({"run": args.run, "copied": copied, "tables": total, "seed": args.seed, "texts": texts}))
        return 0
    print(f"{args.run}: {copied} of {total} names are in the text as they are in the table.")
    for table, text, _ in [row for row in rows if not row[2]][:EXAMPLES]:
        print(f"  {table.name}: {text}")
    return 0
