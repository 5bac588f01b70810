"""The verbs `import` and `export`: PEFT adapters, the paper's authors' checkpoints, and runs as zips."""

import argparse
from pathlib import Path

from app.cli.common import answer, command_of, refuse_unread, run_record
from app.cli.options import LAYOUTS, Verbs, add_model_options, add_parser, hidden_alias
from core.backbone_spec import window_note
from core.config.methods import method_info
from core.errors import BadInput
from core.runs.store import store
from core.task import check_task_name, task


def add_import(verbs: Verbs) -> None:
    """Add `import` and its arguments."""
    example = "python launch.py import --from peft_folder --run theirs --backbone gpt2"
    about = "make a run from a prefix trained by PEFT or by the paper's authors' code, or from a zip"
    verb = add_parser(verbs, "import", about, example, import_run)
    which = verb.add_mutually_exclusive_group(required=True)
    which.add_argument("--from", dest="folder", metavar="FOLDER", help="the checkpoint's folder")
    which.add_argument("--zip", metavar="FILE", help="a run that `export --zip` wrote")
    verb.add_argument("--run", help="name of the new run (default with --zip: the run's own)")
    verb.add_argument("--task", help="name of the task it was trained for (default: the checkpoint's, or e2e)")
    verb.add_argument(
        "--layout", choices=LAYOUTS, help="the separator between table and text (default: paper for the authors' code)"
    )
    hidden_alias(verb, "--form", "layout", LAYOUTS)
    add_model_options(verb, default="mini-gpt2")
    verb.epilog = "Only tensors are unpickled; an MLP is folded into the prefix; a prefix of another model is refused."


def add_export(verbs: Verbs) -> None:
    """Add `export` and its arguments."""
    example = "python launch.py export --run e2e-prefix --to peft_folder"
    verb = add_parser(verbs, "export", "write a prefix or a LoRA run as a PEFT adapter, or any run as a zip", example, export_run)
    verb.add_argument("--run", required=True, help="the run to write")
    where = verb.add_mutually_exclusive_group(required=True)
    where.add_argument("--to", metavar="FOLDER", help="a new folder")
    where.add_argument("--zip", metavar="FILE", help="a new file: any run, whole, for `import --zip`")
    verb.add_argument("--base", default="", help="the model's name in the PEFT configuration (default: the run's backbone)")


def import_run(args: argparse.Namespace) -> int:
    """Import a checkpoint of PEFT or of the authors' code, or a zip, as a run."""
    if args.zip:
        refuse_unread(args, ("task", "layout", "backbone"), "with --from: a zip holds a run with its task and its backbone")
        return _import_zip(args)
    if not args.run:
        raise BadInput("The new run needs a name. Give one with --run.")
    from core.exchange.import_checkpoint import read_checkpoint, store_imported
    from core.models.inputs import task_for_backbone
    from core.models.loading import load_backbone
    from core.models.locate import DEFAULT

    store().check_free(args.run)
    backbone = load_backbone(args.backbone or DEFAULT, args.device)
    checkpoint = read_checkpoint(Path(args.folder), backbone.spec)
    learned = checkpoint.task or task_for_backbone(backbone, args.task or "e2e")
    if args.task:
        learned = learned.replace(name=check_task_name(args.task), input_format=task(args.task).input_format)
    if args.layout:
        own = task_for_backbone(backbone, learned.name, args.layout, learned.input_format, learned.cut)
        learned = own.replace(bos=learned.bos)
    run = store_imported(checkpoint, args.run, backbone, store(), learned, command_of(args))
    size = f"{checkpoint.prefix.length} virtual tokens, {run.stored:,} parameters ({run.bytes / 1e6:.2f} MB)"
    return answer(args, run_record(run), f"{run.id}: {size} in {run.folder}. {run.notes}")


def _import_zip(args: argparse.Namespace) -> int:
    from core.exchange.archive import import_zip

    run = import_zip(Path(args.zip), store(), args.run or "")
    return answer(args, run_record(run), f"{run.id}: a {run.method} run of {run.backbone}, in {run.folder}.")


def export_run(args: argparse.Namespace) -> int:
    """Write a run as a PEFT folder, or as a zip."""
    from core.exchange.archive import export_zip
    from core.exchange.export_peft import export_peft
    from core.models.loading import window_of

    if args.zip:
        refuse_unread(args, ("base",), "with --to: a zip keeps the run as it is")
        file = export_zip(store().get(args.run), Path(args.zip))
        return answer(args, {"run": args.run, "file": str(file)}, f"{args.run} is in {file}.")
    run = store().get(args.run)
    folder = export_peft(run, Path(args.to), args.base)
    note = window_note(run.backbone, window_of(run.backbone_source)) if method_info(run.method).virtual_tokens else ""
    record = {"run": args.run, "folder": str(folder), "files": sorted(path.name for path in folder.iterdir())}
    sentence = f'{args.run} is in {folder}; load it with: PeftModel.from_pretrained(model, "{folder}") {note}'.rstrip()
    return answer(args, record | ({"note": note} if note else {}), sentence)
