"""The verbs `import` and `export`: read the arguments, one call below, print."""

import argparse
import json
from pathlib import Path

from app.cli.common import command_of, summary
from core.errors import BadInput
from core.exchange.archive import export_zip, import_zip
from core.exchange.export_peft import export_peft, keep_foreign
from core.exchange.import_checkpoint import read_foreign
from core.models.backbone import load_backbone
from core.runs.store import store
from core.task import task


def bring_in(args: argparse.Namespace) -> int:
    """A checkpoint of PEFT or of the authors' code, or a zip, becomes a run."""
    if args.zip:
        return _unzipped(args)
    if not args.run:
        raise BadInput("The new run needs a name. Give one with --run.")
    store().check_free(args.run)
    backbone = load_backbone(args.backbone, args.device)
    found = read_foreign(Path(args.folder), backbone.spec)
    form = found.task.but(name=args.task, form=task(args.task).form) if args.task else found.task
    form = task(form.name, args.form, form.form) if args.form else form
    run = keep_foreign(found, args.run, backbone, store(), form, command_of(args))
    if args.json:
        print(json.dumps(summary(run)))
        return 0
    length = found.prefix.length
    print(f"{run.id}: {length} virtual tokens, {run.stored:,} numbers ({run.bytes / 1e6:.2f} MB) in {run.folder}. {run.notes}")
    return 0


def _unzipped(args: argparse.Namespace) -> int:
    run = import_zip(Path(args.zip), store(), args.run or "")
    print(json.dumps(summary(run)) if args.json else f"{run.id}: a {run.method} run of {run.backbone}, in {run.folder}.")
    return 0


def take_out(args: argparse.Namespace) -> int:
    """A prefix run becomes a PEFT folder, or any run a zip."""
    if args.zip:
        file = export_zip(store().get(args.run), Path(args.zip))
        print(json.dumps({"run": args.run, "file": str(file)}) if args.json else f"{args.run} is in {file}.")
        return 0
    folder = export_peft(store().get(args.run), Path(args.to), args.base)
    if args.json:
        print(json.dumps({"run": args.run, "folder": str(folder), "files": sorted(path.name for path in folder.iterdir())}))
    else:
        print(f'{args.run} is in {folder}; load it with: PeftModel.from_pretrained(model, "{folder}")')
    return 0
