"""The verb `experiments`: the paper's tables and figures again. Interrupted cells resume; processes can share the work."""

import argparse
import json
import os
import shlex
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from analysis.experiments.grid import SETS, Cell, Grid, Line, places_of, unique_cells
from analysis.experiments.papers import NAMES, SCALES, named_grids, paper_grids, scale
from app.cli.common import answer, refuse_unread, say, stop_on_ctrl_c, update_bar
from app.cli.options import Verbs, add_model_options, add_parser, data_path
from core import paths
from core.config.train import check_values
from core.data.source import DataSource
from core.errors import BadInput
from core.runs.layout import JsonObject
from core.text.checks import counted, duration

if TYPE_CHECKING:
    from analysis.experiments.cell import Workplace
    from analysis.experiments.result import Result
    from analysis.experiments.run_grid import Estimate

EPILOG = f"""Names: {", ".join(NAMES)}, all.

Data sets (docs/data-formats.md); figures 3 to 5 and Table 4 are of E2E, else of WebNLG or the bundled tables:
  --data e2e=FOLDER --data webnlg=FOLDER --data dart=FOLDER     Table 1, figures 3 to 5, Table 4
  --data news=FOLDER                                            Table 2: articles with summaries
  --data topics=FOLDER                                          Table 3: articles with topics

Many machines (docs/clusters.md):
  python launch.py experiments all --cluster tcp://host:8786       over a Dask cluster; no folder is shared
  python launch.py experiments all --list | parallel -j 4          over GNU parallel
  sbatch --array=1-80 --wrap 'eval "$(python launch.py experiments all --list | sed -n "$SLURM_ARRAY_TASK_ID"p)"'"""
OPTIONS = ("updates", "tables", "seeds", "rates", "lengths")  # that change what a cell is


def add_verb(verbs: Verbs) -> None:
    """Add the verb and its arguments."""
    about = "run the paper's tables and figures again: train, score and summarize; an interrupted run continues"
    verb = add_parser(verbs, "experiments", about, "python launch.py experiments figure4 --jobs 2", experiments)
    verb.add_argument("name", metavar="NAME", help="a table or figure of the paper, or all; see below")
    verb.add_argument("--data", action="append", default=[], metavar="NAME=PATH", help=f"a data set: {', '.join(SETS)}")
    verb.add_argument("--scale", default="small", help=f"{' or '.join(SCALES)}: sizes for two cores, or the paper's settings")
    verb.add_argument("--jobs", type=int, default=1, help="processes that share the work on this machine (default 1)")
    verb.add_argument("--cluster", metavar="ADDRESS", help="run the cells on a Dask cluster, such as tcp://host:8786")
    verb.add_argument("--list", action="store_true", help="print each cell as the command line that makes it, and run nothing")
    verb.add_argument("--cell", metavar="ID", help="run this cell only, as --list names it")
    verb.add_argument(
        "--only", action="append", metavar="TEXT", help="run the cells whose id contains this text; may be repeated"
    )
    verb.add_argument("--updates", type=int, help="updates of every training (default: the scale's)")
    verb.add_argument("--tables", type=int, help="test inputs that are scored, evenly spaced; 0 for all (default: the scale's)")
    verb.add_argument("--seeds", type=int, help="seeds of every training (default: the scale's)")
    verb.add_argument(
        "--rates",
        nargs="+",
        type=float,
        metavar="RATE",
        help="learning rates that validation loss chooses from; those far from the best are not tried",
    )
    verb.add_argument("--lengths", nargs="+", type=int, metavar="P", help="lengths of Figure 4")
    verb.add_argument("--neutral", type=Path, metavar="FILE", help="text that forgetting is measured on, a paragraph per line")
    drop = "delete the weights of each cell's run once it is scored; results, texts and losses stay"
    verb.add_argument("--drop-weights", action="store_true", help=drop)
    verb.add_argument("--export", type=Path, metavar="FILE", help="write the finished results, without texts, into one file")
    verb.add_argument("--article-backbone", default="mini-bart", help="the backbone of tables 2 and 3 (default: mini-bart)")
    verb.add_argument("--worker", action="store_true", help=argparse.SUPPRESS)
    add_model_options(verb, "mini-gpt2")
    verb.epilog = EPILOG


def experiments(args: argparse.Namespace) -> int:
    """List, run or export the cells of the named grids."""
    _check(args)
    sources = data_sources(args.data)
    size = scale(args.scale, **_changes(args))
    grids = named_grids(args.name, size, sources)
    cells = _select_cells(args, unique_cells(grids))
    if args.list:
        for cell in cells:
            command = cell_command(args, cell, grids)
            answer(args, {"cell": cell.id, "command": command}, command)
        return 0
    work = _Work(args, sources, paper_grids(size, sources))
    if args.export:
        return _export(args, cells, work)
    if not args.worker:
        _announce_missing(args, grids, sources)
    if args.drop_weights:
        for cell in cells:
            if work(cell).result(cell) is not None:
                work(cell).drop_weights(cell)
    return _share(args, cells, work) if args.jobs > 1 else _run(args, grids, cells, work)


def _check(args: argparse.Namespace) -> None:
    for name, least in (("jobs", 1), ("seeds", 1), ("updates", 1), ("tables", 0)):
        value = getattr(args, name)
        if value is not None and value < least:
            raise BadInput(f"--{name} is {value}: give {least} or more.")
    check_values("rate", args.rates or (), "rates")
    check_values("length", args.lengths or (), "lengths")
    if args.cluster and args.jobs > 1:
        raise BadInput("--jobs and --cluster are two ways to share the work: give one of them.")
    if args.list:
        refuse_unread(args, ["export", "cluster"], "without --list, which only prints commands")
    if args.export:
        refuse_unread(args, ["cluster"], "without --export, which runs nothing")
    if args.neutral and not args.neutral.is_file():
        raise BadInput(f"There is no file {args.neutral}: give --neutral a text file, or leave it out.")


def data_sources(options: Sequence[str]) -> dict[str, DataSource]:
    """Return the data sets of `--data NAME=PATH`, with the bundled tables. Raises BadInput."""
    sources = {"records": DataSource(set="records")}
    for one in options:
        name, equals, path = one.partition("=")
        if not equals or name not in SETS or name == "records":
            names = ", ".join(known for known in SETS if known != "records")  # the bundled tables need no path
            raise BadInput(f"--data {one} is not NAME=PATH, where NAME is one of {names}.")
        if not Path(path).expanduser().exists():
            raise BadInput(f"The data set {name} is missing: there is no file or folder {path}.")
        sources[name] = DataSource(set=SETS[name], data=data_path(path))
    return sources


def _changes(args: argparse.Namespace) -> JsonObject:
    """Return the changes to the scale from the options."""
    rates, lengths = (tuple(values) if values else None for values in (args.rates, args.lengths))
    return {"only_updates": args.updates, "tables": args.tables, "seeds": args.seeds, "rates": rates, "lengths": lengths}


def _select_cells(args: argparse.Namespace, cells: list[Cell]) -> list[Cell]:
    if args.cell is not None:
        selected = [cell for cell in cells if cell.id == args.cell]
    else:
        selected = [cell for cell in cells if not args.only or any(text in cell.id for text in args.only)]
    if not selected:
        what = f"the id {args.cell!r}" if args.cell is not None else f"{' or '.join(map(repr, args.only or []))} in its id"
        raise BadInput(f"No cell of {args.name} has {what}: --list prints those that there are, with these options.")
    return selected


def cell_command(args: argparse.Namespace, cell: Cell, grids: Sequence[Grid], full_paths: bool = True) -> str:
    """Return the command line that runs a cell; without `full_paths`, for results that leave this machine."""
    name = next((name for name, _ in places_of(cell, grids)), args.name)
    words = ["python", "launch.py", "experiments", name, "--cell", cell.id]
    words += ["--scale", args.scale] if args.scale != "small" else []
    for option in OPTIONS:
        value = getattr(args, option)
        if value is not None:
            words += [f"--{option}", *map(_number, value if isinstance(value, list) else [value])]
    backbone = ("--article-backbone", args.article_backbone) if cell.is_article else ("--backbone", args.backbone)
    words += backbone if backbone[1] not in ("mini-gpt2", "mini-bart") else ()
    if args.neutral:
        words += ["--neutral", str(args.neutral) if full_paths else f"path/to/{args.neutral.name}"]
    words += ["--device", args.device] if args.device != "auto" and full_paths else []
    words += ["--drop-weights"] if args.drop_weights and full_paths else []
    data_paths = dict(one.split("=", 1) for one in args.data)
    words += [
        part for set_, path in data_paths.items() for part in ("--data", f"{set_}={path if full_paths else f'path/to/{set_}'}")
    ]
    return shlex.join(words)


def _number(value: float) -> str:
    """Return the shortest text that is read back as this number: 3e-4 is 0.0003, and a million of updates 1000000."""
    short = f"{value:g}"
    return short if isinstance(value, float) and float(short) == value else str(value)


class _Work:
    """The workplaces of tables and of articles; their backbones are loaded for the first cell that needs them."""

    def __init__(self, args: argparse.Namespace, sources: dict[str, DataSource], grids: list[Grid]) -> None:
        self.args, self.sources, self.grids = args, sources, grids
        self.stop = threading.Event()
        self.progress: Callable[[str, int, int], None] | None = None
        self._places: dict[bool, Workplace] = {}

    def __call__(self, cell: Cell) -> "Workplace":
        if cell.is_article not in self._places:
            self._places[cell.is_article] = self._open(cell.is_article)
        return self._places[cell.is_article]

    def _open(self, articles: bool) -> "Workplace":
        from analysis.experiments.cell import Workplace
        from analysis.experiments.result import home
        from core.models.loading import load_backbone

        backbone = load_backbone(self.args.article_backbone if articles else self.args.backbone, self.args.device)
        if backbone.is_encoder_decoder != articles:
            kind = "an encoder-decoder" if articles else "a decoder-only"
            raise BadInput(f"{backbone.spec.name} is not {kind} model, as these cells need. Name another backbone.")

        def report(what: str, done: int, total: int) -> None:
            if self.progress is not None:
                self.progress(what, done, total)

        return Workplace(
            backbone,
            home(),
            self.sources,
            lambda cell: cell_command(self.args, cell, self.grids, full_paths=False),
            lambda cell: {name: {"label": line.label, "x": line.x} for name, line in places_of(cell, self.grids)},
            self.args.neutral,
            self.stop.is_set,
            report,
            keep_weights=not self.args.drop_weights,
        )


def _announce_missing(args: argparse.Namespace, grids: Sequence[Grid], sources: dict[str, DataSource]) -> None:
    """Print which parts of the grids are left out because their data set is missing."""
    missing = sorted({need for grid in grids for need in grid.needs} - set(sources))
    if args.name == "all":
        missing = sorted(set(SETS) - set(sources))
    if missing:
        say(args, f"Left out, as no --data gives them: {', '.join(missing)}.")


def _run(args: argparse.Namespace, grids: Sequence[Grid], cells: list[Cell], work: _Work) -> int:
    """Run cells in this process, one after the other, or on a cluster."""
    from analysis.experiments.run_grid import Estimate, estimate_cells, run_cells, unfinished

    stop_on_ctrl_c(work.stop, args)
    remaining = unfinished(cells, work)
    results = _on_cluster(args, remaining, work) if args.cluster else run_cells(remaining, work)
    estimate = Estimate({}) if args.worker else _say_estimate(args, cells, remaining, estimate_cells(remaining, work, args.jobs))
    done = len(cells) - len(remaining)
    with update_bar(args.json or args.worker, leave=False) as work.progress:
        for result in results:
            done += 1
            if not args.worker:
                _say_result(args, result, done, len(cells), estimate.remaining(result.cell))
    if work.stop.is_set():
        say(args, f"Stopped: {done} of {len(cells)} cells are done. Run the same command again to continue.")
        return 130
    if not args.worker and args.cell is None:
        _say_tables(args, grids, work)
    return 0


def _on_cluster(args: argparse.Namespace, cells: list[Cell], work: _Work) -> Iterator["Result"]:
    """Connect to a cluster, print how many workers it has, and return the results as they arrive."""
    from analysis.experiments.cluster import connect, run_on_cluster

    client = connect(args.cluster)
    args.jobs = max(1, len(client.nthreads()))
    if not client.nthreads():
        say(args, f"{args.cluster} has no workers yet: start some with `dask worker {args.cluster} --nthreads 1`.")

    def results() -> Iterator["Result"]:
        with client:
            yield from run_on_cluster(cells, work, client, args.device)

    return results()


def _share(args: argparse.Namespace, cells: list[Cell], work: _Work) -> int:
    """Run cells in several processes, and report what they finish."""
    from analysis.experiments.run_grid import estimate_cells, unfinished

    remaining = unfinished(cells, work)
    estimate = _say_estimate(args, cells, remaining, estimate_cells(remaining, work, args.jobs))
    workers = [
        subprocess.Popen(_worker_command(args), env=_worker_environment(args.jobs)) for _ in range(min(args.jobs, len(remaining)))
    ]
    done = len(cells) - len(remaining)
    try:
        while remaining:
            running = any(worker.poll() is None for worker in workers)
            for cell in list(remaining):
                if (result := work(cell).result(cell)) is not None:
                    remaining.remove(cell)
                    done += 1
                    _say_result(args, result, done, len(cells), estimate.remaining(cell))
            if not running:
                break
            time.sleep(1)
    finally:
        for worker in workers:  # Ctrl-C has reached them too: they save what they have
            worker.wait()
    if remaining:
        say(args, f"{len(remaining)} of {len(cells)} cells are not done. Run the same command again to continue.")
        return 1
    _say_tables(args, named_grids(args.name, scale(args.scale, **_changes(args)), work.sources), work)
    return 0


def _worker_command(args: argparse.Namespace) -> list[str]:
    words = [word for word in args.argv if word != "--json"]
    return [sys.executable, "-m", "app.cli", *words, "--jobs", "1", "--worker"]


def _worker_environment(jobs: int) -> dict[str, str]:
    """Divide the cores among the processes."""
    threads = str(max(1, (os.cpu_count() or 1) // jobs))
    return {"OMP_NUM_THREADS": threads} | dict(os.environ) | {"PYTHONPATH": str(paths.ASSETS.parent)}


def _export(args: argparse.Namespace, cells: list[Cell], work: _Work) -> int:
    """Write the finished results into one file, without any text of a data set."""
    from core.runs.layout import json_text, write_text

    results = [result for cell in cells if (result := work(cell).result(cell)) is not None]
    write_text(args.export, json_text([result.to_json() for result in results]), "Give a file in a folder that can be written.")
    record = {"file": str(args.export), "results": len(results), "cells": len(cells)}
    return answer(args, record, f"{len(results)} of {len(cells)} results are in {args.export}.")


def _say_estimate(args: argparse.Namespace, cells: Sequence[Cell], remaining: Sequence[Cell], estimate: "Estimate") -> "Estimate":
    finished = len(cells) - len(remaining)
    done = f" {finished} {'is' if finished == 1 else 'are'} done already." if finished else ""
    if remaining:
        what = "workers" if args.cluster else "processes"
        shared = f" in {args.jobs} {what}" if args.jobs > 1 else ""
        time = f"about {duration(estimate.total)}{shared}, going by a few measured updates and texts."
        text = f"{counted(len(remaining), 'cell')} to run: {time}"
    else:
        text = "Nothing to run."
    say(args, text + done)
    return estimate


def _say_result(args: argparse.Namespace, result: "Result", done: int, total: int, seconds: float) -> None:
    if args.json:
        print(json.dumps(result.to_json()), flush=True)
        return
    score = next(
        (f"{name} {result.scores[name]['value']:.1f}" for name in ("BLEU", "ROUGE-L") if name in result.scores), result.status
    )
    rest = f" About {duration(seconds)} left." if done < total else ""
    say(args, f"[{done}/{total}] {result.id}: {score}.{rest}")


def _say_tables(args: argparse.Namespace, grids: Sequence[Grid], work: _Work) -> None:
    """Print the grids as Markdown tables, and the comparisons on the same rows."""
    from analysis.experiments.summary import comparisons, grid_frame

    if args.json:
        return
    for grid in grids:
        place = work(grid.cells[0])
        how = f"{place.backbone.spec.name}; mean ± standard error over seeds; ↓ ↑ an end of the rates"
        print(f"\n{grid.name}: {grid.title} ({how})\n")
        print(grid_frame(grid, place).to_markdown(index=False, disable_numparse=True))
        for first, second, difference in comparisons(grid, place):
            print(f"- {difference.sentence(_name(first), _name(second))}")


def _name(line: Line) -> str:
    return line.label if line.x in (None, line.label) else f"{line.label} ({line.x})"
