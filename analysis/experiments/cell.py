"""Run one cell: train it or resume its run, score it, write its result. Several processes can share one folder."""

import json
import random
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

from analysis.evaluation.evaluate import Evaluation, evaluate
from analysis.evaluation.significance import interval
from analysis.experiments.compare_methods import LAYOUT_ROWS, choose_layout
from analysis.experiments.forgetting import default_name, forgetting, neutral_text
from analysis.experiments.grid import FROZEN, SETS, Cell
from analysis.experiments.learning_rates import TrainingData, train_or_resume, tune_learning_rate
from analysis.experiments.result import LinePlace, Result, read_file
from analysis.metrics.base import Score
from core.config.decoding_defaults import paper_decoding
from core.config.presets import layout_of
from core.config.train import TrainConfig
from core.data.registry import sample_evenly
from core.data.source import DataSource
from core.errors import BadData, BadInput, StoreError
from core.methods.loading import load_run
from core.models.backbone import Backbone
from core.models.inputs import task_for_backbone
from core.runs.layout import JsonObject, RunFiles, disk_errors, with_current_names, write_text
from core.runs.run import Run, ScoreRecord
from core.runs.status import read_status
from core.runs.store import Store
from core.task import Example, Task
from core.training.trainer import Trainer

EACH = ("BLEU", "ROUGE-L", "ROUGE-1", "Coverage", "Unsupported")  # scores that are stored for every text
DEV_SHARE = 0.3  # of a small training set, for its validation set (footnote 11)


@dataclass
class Workplace:
    """Everything that the cells of one backbone need: data, folder, and progress reports.

    `sources`: the data sets by name (see grid.SETS). `command(cell)`: the command line that runs the cell; `places(cell)`: see
    Result. `neutral`: the texts on which forgetting is measured. `examples`: those of (data, topics, split), read when first
    needed unless given. `first_runs`: the run that chose a line's learning rate, by its id, if it is on another machine; None
    if every rate diverged. `keep_weights`: whether a finished cell's run keeps its weights.
    """

    backbone: Backbone
    root: Path
    sources: dict[str, DataSource]
    command: Callable[[Cell], str] = lambda cell: ""
    places: Callable[[Cell], dict[str, LinePlace]] = lambda cell: {}
    neutral: Path | None = None
    cancel: Callable[[], bool] | None = None
    progress: Callable[[str, int, int], None] | None = None
    examples: dict[tuple[str, str, str], list[Example]] = field(default_factory=dict)
    first_runs: dict[str, Run | None] = field(default_factory=dict)
    keep_weights: bool = True

    @property
    def folder(self) -> Path:
        """The folder of this backbone's results, by its fingerprint."""
        return self.root / f"{self.backbone.spec.name}-{self.backbone.spec.fingerprint}"

    @property
    def store(self) -> Store:
        """The store of the cells' runs."""
        return Store(self.folder / "runs")

    @cached_property
    def _neutral_texts(self) -> list[str]:
        return neutral_text(self.neutral)

    def result_file(self, cell: Cell) -> Path:
        """Return the file of a cell's result."""
        return self.folder / "cells" / f"{cell.id}.json"

    def texts_file(self, cell: Cell) -> Path:
        """Return the file of the texts behind a result, one JSON object per line; they stay on this machine."""
        return self.folder / "texts" / f"{cell.id}.jsonl"

    def result(self, cell: Cell) -> Result | None:
        """Return the result of a cell on this backbone; None if there is none, or if it is damaged or belongs to other
        weights."""
        try:
            results = read_file(self.result_file(cell))
        except BadData:
            return None
        return next((one for one in results if one.id == cell.id and one.fingerprint == self.backbone.spec.fingerprint), None)

    @property
    def cancelled(self) -> bool:
        """Whether the work was cancelled."""
        return self.cancel is not None and self.cancel()

    # ---- one cell

    def try_run(self, cell: Cell) -> Result | None:
        """Return the cell's result, running it if needed; None if another process is running it, or the work was cancelled.

        An interrupted cell resumes from its last checkpoint. Raises StoreError on a full disk, BadInput and BadData for
        unusable data.
        """
        if result := self.result(cell):
            return result
        first = cell.first
        needed = [cell] if first == cell or not cell.rates or self.is_trained(first) else [cell, first]
        with ExitStack() as stack:
            if not all(stack.enter_context(self.lock(one)) for one in needed):
                return None
            return self.result(cell) or self._run(cell)

    def drop_weights(self, cell: Cell) -> None:
        """Delete the weights of a finished cell's run. Its record, losses, texts and result stay."""
        files = RunFiles(self.store.folder / cell.id)
        for file in (files.weights, files.history):
            file.unlink(missing_ok=True)

    def _run(self, cell: Cell) -> Result | None:
        files = RunFiles(self.store.folder / cell.id)
        if files.run_json.exists() and not files.weights.exists():  # dropped, and the result has gone: it is trained again
            shutil.rmtree(files.folder)
        run = None if cell.method == FROZEN else self._train(cell)
        if self.cancelled or (run is not None and run.status == "cancelled"):
            return None
        result = (
            self._failed(cell) if cell.method != FROZEN and (run is None or run.status == "failed") else self._score(cell, run)
        )
        result.save(self.result_file(cell))
        if not self.keep_weights:
            self.drop_weights(cell)
        return result

    def _train(self, cell: Cell) -> Run | None:
        """Train or resume a cell's run; None if it was cancelled or diverged at every rate."""
        rows, task = self.rows(cell), self.task(cell)
        source = self._source(cell).to_dict()
        plan = Trainer(self.backbone, task, cell.config(), self.store, cell.id, self.command(cell), half=True, source=source)
        if not cell.rates:
            return train_or_resume(plan, rows)
        if cell == cell.first:
            return tune_learning_rate(plan, cell.rates, rows)
        first = self._first_run(cell)
        if first is None or first.status != "done":
            return None
        return train_or_resume(replace(plan, config=cell.config(TrainConfig.from_dict(first.config).rate)), rows)

    def _first_run(self, cell: Cell) -> Run | None:
        """Return the run that chooses the learning rate of a cell's line."""
        name = cell.first.id
        return self.first_runs[name] if name in self.first_runs else self._train(cell.first)

    def is_trained(self, cell: Cell) -> bool:
        """Whether the cell's run is finished, on this machine or another."""
        return cell.id in self.first_runs or read_status(self.store.folder / cell.id).state == "done"

    @contextmanager
    def lock(self, cell: Cell) -> Iterator[bool]:
        """Try to reserve a cell for this process; yields whether that worked. The system releases the lock of a killed
        process."""
        from filelock import FileLock, Timeout

        folder = self.folder / "locks"
        with disk_errors(f"write {folder}"), suppress(Timeout):
            for place in (folder, self.folder / "cells", self.folder / "texts"):
                place.mkdir(parents=True, exist_ok=True)
            lock = FileLock(folder / f"{cell.id}.lock")
            lock.acquire(timeout=0)
        try:
            yield lock.is_locked
        finally:
            lock.release()

    # ---- its data

    def _source(self, cell: Cell) -> DataSource:
        source = self.sources.get(cell.data)
        if source is None:
            raise BadInput(f"The data set {cell.data} is not given: add --data {cell.data}=FOLDER.")
        return replace(source, topics=cell.topics) if cell.topics else source

    def task(self, cell: Cell) -> Task:
        """Return the layout of a cell's texts."""
        source = self._source(cell)
        return task_for_backbone(self.backbone, SETS[cell.data], layout_of(cell.preset), source.task_form)

    def split(self, cell: Cell, split: str) -> list[Example]:
        """Return the examples of a split, read once per process."""
        key = (cell.data, cell.topics, split)
        if key not in self.examples:
            self.examples[key] = self._source(cell).load_split(split, [])
        return self.examples[key]

    def rows(self, cell: Cell) -> TrainingData:
        """Return a cell's training and validation examples."""
        examples, valid = self.split(cell, "train"), self.split(cell, "dev")
        if cell.rows:
            valid_rows = cell.valid or max(1, round(DEV_SHARE * cell.rows))
            examples, valid = draw(examples, cell.rows, cell.sample), draw(valid, valid_rows, cell.sample)
        return TrainingData(examples, valid, self.cancel, self.progress)

    def test_examples(self, cell: Cell) -> list[Example]:
        """Return a cell's test examples."""
        examples = self.split(cell, "test")
        return sample_evenly(examples, cell.tables) if cell.tables else examples

    # ---- its scores

    def _score(self, cell: Cell, run: Run | None) -> Result:
        loaded = load_run(run, self.backbone) if run else None
        model, prefix = (loaded.model, loaded.prefix) if loaded else (self.backbone.model, None)
        task, source, name = loaded.task if loaded else self.task(cell), self._source(cell), SETS[cell.data]

        def progress(done: int, total: int) -> None:
            if self.progress is not None:
                self.progress("scoring", done, total)

        examples, decode, layout = self.test_examples(cell), paper_decoding(name), ""
        if loaded is None and not cell.is_article:  # it would lose by a layout that only training makes sense of
            layout, task = choose_layout(self.backbone, task, sample_evenly(self.split(cell, "dev"), LAYOUT_ROWS), decode)
        form = source.task_form
        evaluation = evaluate(model, self.backbone, task, prefix, examples, decode, 32, progress, name, form)
        self._write_texts(cell, evaluation, examples)
        result = self._result(cell, run, evaluation, forgetting(self.backbone, loaded, self._neutral_texts))
        return replace(result, notes=f"It reads its input {layout}.") if layout else result

    def _result(self, cell: Cell, run: Run | None, evaluation: Evaluation, forgot: JsonObject) -> Result:
        decoding: JsonObject = next((record["decoding"] for record in evaluation.records().values() if "decoding" in record), {})
        of_run: JsonObject = {}
        if run is not None:
            fields = ("valid_loss", "updates", "rows", "trained", "stored", "notes")
            of_run = {name: getattr(run, name) for name in fields} | {"versions": run.versions, "rate": run.config.get("rate")}
            of_run["share"] = run.stored / self.backbone.spec.parameters
        return replace(
            self._bare(cell, "done"),
            scores={name: _score_record(score) for name, score in evaluation.scores.items()},
            n=len(evaluation.sources),
            rates=self._rate_losses(cell) if cell.rates else {},
            seconds={"training": run.seconds if run else 0.0, "scoring": round(evaluation.seconds, 1)},
            decoding=decoding,
            forgetting=forgot | {"text": default_name(self.neutral)} if forgot else {},
            not_computed=evaluation.not_computed,
            **of_run,
        )

    def _bare(self, cell: Cell, status: str) -> Result:
        spec = self.backbone.spec
        return Result(
            cell.id,
            cell,
            spec.name,
            spec.fingerprint,
            status,
            self.places(cell),
            seeds=(cell.seed,),
            device=str(self.backbone.device),
            command=self.command(cell),
            created=time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        )

    def _failed(self, cell: Cell) -> Result:
        """Return the result of a training that diverged at every learning rate."""
        return replace(self._bare(cell, "failed"), notes="The loss was not a number at any of the learning rates.")

    def _rate_losses(self, cell: Cell) -> dict[str, float | None]:
        """Return the validation loss of each rate tried for the line (see `describe_search`); None if it diverged."""
        first = self.first_runs.get(cell.first.id) or self.store.get(cell.first.id)
        notes = first.notes.partition(". ")[2]
        pairs = [part.split(": ") for part in notes.rstrip(".").split(", ") if ": " in part]
        return {rate: None if loss == "diverged" else float(loss) for rate, loss in pairs}

    def _write_texts(self, cell: Cell, evaluation: Evaluation, examples: Sequence[Example]) -> None:
        """Write one line per text, with its references and its own scores."""
        references: dict[str, list[str]] = {}
        is_seen: dict[str, bool] = {}
        for example in examples:
            references.setdefault(example.source, []).extend(example.targets)
            is_seen[example.source] = example.seen
        scores = {name: score.per_example for name, score in evaluation.scores.items() if name in EACH}
        lines = [
            json.dumps(
                {
                    "source": source,
                    "text": output,
                    "references": list(dict.fromkeys(references[source])),
                    "seen": is_seen[source],
                    "scores": {name: round(each[place], 3) for name, each in scores.items()},
                },
                ensure_ascii=False,
            )
            for place, (source, output) in enumerate(zip(evaluation.sources, evaluation.outputs, strict=True))
        ]
        write_text(self.texts_file(cell), "\n".join(lines) + "\n")


def draw(examples: Sequence[Example], count: int, sample: int) -> list[Example]:
    """Return a random sample of the examples in their order; all of them if there are no more than `count`."""
    places = sorted(random.Random(sample).sample(range(len(examples)), min(count, len(examples))))
    return [examples[place] for place in places]


def _score_record(score: Score) -> ScoreRecord:
    record: ScoreRecord = {
        "value": round(score.value, 4),
        "n": score.n,
        "signature": score.signature,
        "higher_is_better": score.higher_is_better,
    }
    if score.sums is not None and score.n > 1:
        record["low"], record["high"] = (round(end, 4) for end in interval(score))
    return record


def read_texts(path: Path) -> list[JsonObject]:
    """Read the texts behind a result. Raises StoreError if they are not on this machine."""
    try:
        lines = path.read_text(encoding="utf-8").removesuffix("\n").split("\n")  # `splitlines` ends one at U+2028, too
        rows = [json.loads(line) for line in lines]
        return [row | {"scores": with_current_names(row["scores"])} for row in rows]
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise StoreError(f"The texts of {path.stem} are not on this machine: run its command to have them.") from error
