"""The verb `mix`: loss and coverage along the slider of a mix, as the Mix tab measures them."""

import argparse
import json
from dataclasses import asdict

from app.cli.options import Verbs, add_model_options, add_parser
from core.runs.store import store


def add_verb(verbs: Verbs) -> None:
    """Add the verb and its arguments."""
    about = "mix prefixes of one backbone: loss and coverage at every stop from one to the other, on the bundled examples"
    example = "python launch.py mix --runs e2e-prefix webnlg-prefix --kind average"
    verb = add_parser(verbs, "mix", about, example, mix)
    verb.add_argument(
        "--runs", nargs="+", required=True, metavar="RUN", help="one to three runs with virtual tokens, or text:TEXT"
    )
    kinds = ("fade", "join", "average", "path", "swap", "layers")
    verb.add_argument("--kind", choices=kinds, default="fade", help="how they are mixed (default: a cross-fade)")
    inputs = "what is read: table, webnlg, dart or article (default: as the first run was trained)"
    verb.add_argument("--inputs", default="", metavar="FORMAT", help=inputs)
    add_model_options(verb, default="the first run's own; mini-gpt2 for texts alone")
    verb.epilog = "The examples are at most 20; texts are generated as on the page, the loss is that of their first references."


def mix(args: argparse.Namespace) -> int:
    """Measure every stop of a slider, and print a line for each as soon as it is measured."""
    from analysis.experiments.mix_curve import describe_curve, slider
    from app.mix.mixing import Mixer, bundled_examples
    from app.shared.model_pool import ModelPool
    from core.errors import BadInput
    from core.methods.loading import UNSTORED
    from core.models.locate import DEFAULT

    stored = [store().get(name) for name in args.runs if not name.startswith(UNSTORED)]
    name = args.backbone or (stored[0].backbone_source if stored else DEFAULT)
    models = ModelPool(name, args.device, store())
    backbone = models.backbone(name)
    task = models.load(args.runs[0], backbone).task
    form = args.inputs or task.input_format
    examples = bundled_examples(form, task.name)
    if not examples:
        raise BadInput(f"There are no bundled examples of the format {form!r}. Give --inputs table, webnlg, dart or article.")
    stops = slider(args.kind, args.runs, max(backbone.spec.depths.values()))
    points = []
    for points in Mixer(models).curve(backbone, stops, form, examples, lambda: False):
        point, stop = points[-1], stops[len(points) - 1]
        if not args.json:
            values = (
                f", {point.covered} of {point.values} values covered, {point.unsupported} unsupported" if point.values else ""
            )
            print(f"{stop.label:>22}  loss {point.loss:.3f}{values}", flush=True)
    if args.json:
        rows = [asdict(point) | {"stop": stop.label, "run": stop.run} for point, stop in zip(points, stops, strict=True)]
        print(json.dumps({"examples": len(examples), "format": form, "stops": rows}))
    else:
        print(f"{describe_curve(points, stops)} n={len(examples)} examples, {backbone.device}.")
    return 0
