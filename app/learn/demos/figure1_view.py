"""The drawing of the method: layers by tokens, virtual tokens in front, the MLP that is dropped, and the bytes of many tasks."""

from dataclasses import dataclass

from app.shared.html import count, size, tag, text
from core.backbone_spec import BackboneSpec
from core.runs.run import Run
from core.text.checks import counted, percent

STEPS = ("The model", "Fine-tuning", "A prefix", "While it is trained", "What is stored", "Many tasks")
TASKS = 100  # of the last step
WORDS = ("name", ":", "Eagle", "The", "Eagle", "is")  # tokens to draw: those of an input, then those of its text
MOST_LAYERS, MOST_VIRTUAL = 8, 6  # that are drawn
CELL, HIGH, LEFT, TOP = 58, 26, 180, 24  # px of the picture
GAP = 34  # between virtual tokens and words
WIDTH, BELOW = 1080, 70  # the picture's width, and the room under its layers
TASKS_HEIGHT = 230


@dataclass(frozen=True)
class Numbers:
    """Counts are of parameters. `layers`: the decoder's, which are drawn; `encoder`: those of the encoder, if there is one;
    `copy`: the fine-tuned run of the same task, if there is one; `hidden`: the MLP's size, or 0."""

    run: str
    backbone: str
    layers: int
    length: int
    hidden: int
    model: int
    trained: int
    stored: int
    bytes: int
    model_bytes: int
    per_token: int
    encoder: int = 0
    copy: str = ""
    copy_stored: int = 0
    copy_bytes: int = 0


def numbers_of(run: Run, copy: Run | None, spec: BackboneSpec) -> Numbers:
    """A prefix's numbers beside those of a fine-tuned copy; a copy that was not made is taken to be as large as the model."""
    length = int(str(run.config.get("length", 1)))
    each = run.bytes / max(1, run.stored)  # bytes per number
    return Numbers(
        run=run.id,
        backbone=spec.name,
        layers=spec.layers,
        encoder=spec.encoder_layers,
        length=length,
        hidden=int(str(run.config.get("mlp", 0))),
        model=spec.parameters,
        trained=run.trained,
        stored=run.stored,
        bytes=run.bytes,
        model_bytes=round(spec.parameters * each),
        per_token=run.stored // length,
        copy=copy.id if copy else "",
        copy_stored=copy.stored if copy else spec.parameters,
        copy_bytes=copy.bytes if copy else round(spec.parameters * each),
    )


def drawing(numbers: Numbers, step: int) -> str:
    """The sentence and the picture of a step, from 1."""
    picture = _tasks(numbers) if step == len(STEPS) else _layers(numbers, step)
    sentence = _sentence(numbers, step)
    return tag("p", f"<b>{step} {text(STEPS[step - 1])}.</b> {sentence}", cls="watched", aria_live="polite") + picture


def _sentence(numbers: Numbers, step: int) -> str:
    n = numbers
    whose = f"the run {text(n.copy)}" if n.copy else "a copy (none has been trained here)"
    virtual = f"{counted(n.length, 'virtual token')} × {n.per_token:,} parameters"
    trained = (
        f"An MLP with {n.hidden} hidden units makes those vectors: {n.trained:,} parameters were trained (paper, §4.3)."
        if n.hidden
        else f"This run trained its {n.trained:,} parameters directly, without an MLP. The paper puts an MLP before them (§4.3)."
    )
    dropped = "The MLP is dropped, and only what it gave is stored" if n.hidden else "Just those vectors are stored"
    model, vectors = _model_and_vectors(n)
    return (
        model,
        f"All parameters are trained and a whole copy is stored: {n.copy_stored:,}, {size(n.copy_bytes)}, of {whose}.",
        f"All of the model is frozen. In front of the words stand {vectors}: {virtual} = {n.stored:,}.",
        trained,
        f"{dropped}: {n.stored:,} parameters, {size(n.bytes)}, {percent(n.stored / n.model)} of the model (run {text(n.run)}).",
        f"{TASKS} tasks: {size(TASKS * n.copy_bytes)} as fine-tuned copies; {size(n.model_bytes + TASKS * n.bytes)} as one model "
        f"and {TASKS} prefixes.",
    )[step - 1]


def _model_and_vectors(n: Numbers) -> tuple[str, str]:
    """What the model is, as a sentence, and which vectors a prefix has."""
    if not n.encoder:
        model = f"{n.layers} layers, {n.model:,} parameters. Every word attends to those before it, at every layer."
        return f"{text(n.backbone)}: {model}", "keys and values at every layer"
    model = (
        f"an encoder of {n.encoder} layers and a decoder of {n.layers}, {n.model:,} parameters. In the decoder, which is drawn, "
        "every word attends to those before it and to what the encoder has read, at every layer."
    )
    vectors = (
        f"keys and values at the {n.encoder} layers of the encoder, the {n.layers} of the decoder, and the {n.layers} at which "
        "the decoder looks at what the encoder has read"
    )
    return f"{text(n.backbone)}: {model}", vectors


def _layers(numbers: Numbers, step: int) -> str:
    layers, virtual = min(numbers.layers, MOST_LAYERS), min(numbers.length, MOST_VIRTUAL)
    parts = []
    for layer in range(layers):
        y = TOP + (layers - 1 - layer) * (HIGH + 6)
        parts.append(tag("text", f"layer {layer + 1}", x=LEFT - 12, y=y + 18, cls="end"))
        if step >= 3:
            parts += [_cell(LEFT + place * CELL, y, "trained prefix") for place in range(virtual)]
        shift = LEFT + (virtual * CELL + GAP if step >= 3 else 0)
        parts += [_cell(shift + place * CELL, y, "trained finetuned" if step == 2 else "frozen") for place in range(len(WORDS))]
    bottom = TOP + layers * (HIGH + 6) + 16
    shift = LEFT + (virtual * CELL + GAP if step >= 3 else 0)
    middle = CELL / 2 - 3
    parts += [tag("text", word, x=shift + place * CELL + middle, y=bottom, cls="mid") for place, word in enumerate(WORDS)]
    if step >= 3:
        names = [f"P{place + 1}" for place in range(virtual)]
        names[-1] = f"P{numbers.length}" if virtual == numbers.length else f"… P{numbers.length}"
        parts += [
            tag("text", name, x=LEFT + place * CELL + middle, y=bottom, cls="mid prefix") for place, name in enumerate(names)
        ]
    end = shift + len(WORDS) * CELL + 18
    state = "trained" if step == 2 else "frozen"
    parts.append(tag("text", f"{state}: {count(numbers.model)}", x=end, y=TOP + 18, cls="side"))
    if layers < numbers.layers:
        parts.append(tag("text", f"{numbers.layers} layers in all", x=end, y=TOP + 40, cls="side"))
    if step == 4 or (step == 5 and numbers.hidden):
        parts.append(_mlp(numbers, layers, dropped=step == 5))
    return _svg(
        "".join(parts),
        f"{STEPS[step - 1]}: {state} layers, {'with' if step >= 3 else 'without'} virtual tokens in front",
        TOP + layers * (HIGH + 6) + BELOW,
    )


def _mlp(numbers: Numbers, layers: int, dropped: bool) -> str:
    high = layers * (HIGH + 6) - 6
    box = tag("rect", x=8, y=TOP, width=86, height=high, rx=8, cls="trained prefix" if numbers.hidden else "absent")
    name = tag("text", "MLP", x=51, y=TOP + high / 2, cls="mid")
    if not numbers.hidden:
        return box + name + tag("text", "not in this run", x=8, y=TOP + high + 22, cls="side")
    name += tag("text", str(numbers.hidden), x=51, y=TOP + high / 2 + 18, cls="mid")
    cross = tag("path", d=f"M8 {TOP}L94 {TOP + high}M94 {TOP}L8 {TOP + high}", cls="cross") if dropped else ""
    note = tag("text", "dropped" if dropped else "trained too", x=51, y=TOP + high + 22, cls="mid")
    return tag("g", box + name, cls="gone" if dropped else None) + cross + note


def _tasks(numbers: Numbers) -> str:
    """Two bars, to scale: copies for all tasks, and one model with a prefix for each."""
    copies, prefixes = TASKS * numbers.copy_bytes, numbers.model_bytes + TASKS * numbers.bytes
    left = LEFT + 50
    widest = WIDTH - left - 120
    parts = []
    for place, (name, parts_of_bar) in enumerate(
        (
            (f"{TASKS} fine-tuned copies", [(copies, "trained finetuned")]),
            (f"one model, {TASKS} prefixes", [(numbers.model_bytes, "frozen"), (TASKS * numbers.bytes, "trained prefix")]),
        )
    ):
        x, y = float(left), TOP + 30 + place * 90
        parts.append(tag("text", name, x=left - 12, y=y + 32, cls="end"))
        for amount, kind in parts_of_bar:
            width = max(2.0, widest * amount / copies)
            parts.append(tag("rect", x=f"{x:.1f}", y=y, width=f"{width:.1f}", height=50, cls=kind))
            x += width
        parts.append(tag("text", size(copies if place == 0 else prefixes), x=f"{x + 10:.1f}", y=y + 32, cls="side"))
    return _svg("".join(parts), f"{TASKS} tasks: {size(copies)} as copies, {size(prefixes)} as prefixes", TASKS_HEIGHT)


def _cell(x: float, y: float, kind: str) -> str:
    return tag("rect", x=x, y=y, width=CELL - 6, height=HIGH, rx=5, cls=kind)


def _svg(content: str, name: str, height: int) -> str:
    return tag("svg", content, viewBox=f"0 0 {WIDTH} {height}", cls="pl-figure1", role="img", aria_label=name)
