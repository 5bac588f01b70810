"""One sentence at the top of the Train tab: what to look at, computed from the current run."""

from collections.abc import Sequence

from app.shared.html import tag, text
from core.runs.run import Run
from core.runs.status import RunStatus, TrainingLog
from core.training.sample_log import Sample

SENTENCES = {
    "queued": "{run} waits for its turn.",
    "loading": "{run} begins: its process is loading the model.",
    "failed": "{run} failed; the reason is below.",
    "interrupted": "{run} was interrupted at update {update:,} of {total:,}.",
}


def headline(run_id: str, state: str, status: RunStatus, log: TrainingLog, samples: Sequence[Sample], run: Run | None) -> str:
    """Describe what a run has learned so far: its validation loss, and the attention on its virtual tokens."""
    if state in SENTENCES:
        sentence = SENTENCES[state].format(run=run_id, update=status.update, total=status.total)
    elif run is not None and not run.trained:
        sentence = f"{run_id} trains nothing: the frozen model reads its examples before every input."
    else:
        now = run_id
        if state == "running":
            now = f"After {status.update:,} of {status.total:,} updates, {run_id}"
        elif state == "cancelled":
            now = f"{run_id} was stopped after {status.update:,} of {status.total:,} updates. It"
        sentence = f"{now} {_loss(log, run)}{_attention(samples)}."
    return _paragraph(sentence)


def nothing(own: int, bundled: int) -> str:
    """The headline if no run is chosen."""
    runs = " and ".join(
        f"{count} {whose}" for count, whose in ((own, "of your own"), (bundled, "that came with the app")) if count
    )
    are = "is" if own + bundled == 1 else "are"
    look = f"Choose a run (there {are} {runs}) to see how it learned, or start" if runs else "Start"
    return _paragraph(f"Nothing is being trained. {look} a training.")


def skeleton() -> str:
    """The headline while the tab loads."""
    bars = tag("div", tag("i", "") * 3, cls="pl-skeleton", aria_hidden="true")
    return _paragraph("The runs are being read.") + bars


def _loss(log: TrainingLog, run: Run | None) -> str:
    if len(log.valid) < 2:
        if run is None:
            return "is being trained"
        if run.valid_loss is not None:
            return f"ended at a validation loss of {run.valid_loss:.2f}"
        return "has no validation loss" if run.status == "cancelled" else "is trained"
    first, last = log.valid[0][1], log.valid[-1][1]
    update, lowest = min(log.valid, key=lambda pair: pair[1])
    turn = f", with its lowest, {lowest:.2f}, at update {update:,}" if last > lowest + 0.01 else ""
    return f"has brought the validation loss from {first:.2f} {'down' if last < first else 'up'} to {last:.2f}{turn}"


def _attention(samples: Sequence[Sample]) -> str:
    """Describe how the attention on the virtual tokens changed over the samples."""
    shares = [
        sum(sample["mass"]) / len(sample["mass"]) for sample in samples if isinstance(sample.get("mass"), list) and sample["mass"]
    ]
    if len(shares) < 2:
        return ""
    return f"; its virtual tokens now draw {100 * shares[-1]:.0f} % of the attention, {100 * shares[0]:.0f} % at first"


def _paragraph(sentence: str) -> str:
    return tag("p", text(sentence).replace(" %", "\u00a0%"), cls="pl-sentence", role="status")
