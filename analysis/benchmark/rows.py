"""What is measured against what, row by row."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass

import torch

from analysis.benchmark.measure import Ratio, Step, alternate, peak_memory, ratio_of
from analysis.benchmark.models import model_of
from analysis.benchmark.training import Work, rows_for, trainer
from core.backbone import Backbone
from core.config import DecodeConfig
from core.errors import BadConfig
from core.generate import Request, generate, room_for
from core.prefix import Prefix

LENGTHS = (1, 10, 50, 100, 200)  # virtual tokens (paper §7.1 says that they cost next to nothing)
TOGETHER = 16  # texts in a mixed batch


@dataclass(frozen=True)
class Settings:
    """How a benchmark is run. `model`: a shape or a backbone; `tokens`: new tokens of a text; `batch`: 0 for the row's own."""

    model: str = "mini"
    device: str = "auto"
    repeats: int = 5
    tokens: int = 40
    batch: int = 0
    memory: bool = True

    def __post_init__(self) -> None:
        for name, lowest in {"repeats": 1, "tokens": 1, "batch": 0}.items():
            if getattr(self, name) < lowest:
                raise BadConfig(f"{name} must be at least {lowest}; given: {getattr(self, name)}.")


def check_rows(names: Sequence[str]) -> list[str]:
    """The rows by these names, all where there are none; BadConfig for one that is not known."""
    for name in names:
        if name not in ROWS:
            raise BadConfig(f"There is no row {name!r}. Known: {', '.join(ROWS)}.")
    return list(dict.fromkeys(names)) or list(ROWS)


def benchmark(names: Sequence[str], settings: Settings) -> Iterator[Ratio]:
    """Each row when it is measured; BadConfig for a row that is not known, and the errors of `model_of`."""
    wanted, backbone = check_rows(names), model_of(settings.model, settings.device)
    for name in wanted:
        yield from ROWS[name](backbone, settings)


def _trained(row: str, sides: Sequence[tuple[str, str]], backbone: Backbone, settings: Settings) -> Ratio:
    """Two sides of training, each given as what `trainer` calls it and what it is called in the table."""
    work, (one, other) = Work.of(backbone, settings.batch), (side for side, _ in sides)
    speeds = alternate(trainer(one, backbone, work), trainer(other, backbone, work), settings.repeats, backbone.device)
    found = ratio_of(row, (sides[0][1], sides[1][1]), "examples", speeds)
    if not settings.memory:
        return found
    job = {"model": settings.model, "device": str(backbone.device), "work": asdict(work)}
    peaks = peak_memory(job | {"side": one}), peak_memory(job | {"side": other})
    return Ratio(**vars(found) | {"peaks": peaks})


def training(backbone: Backbone, settings: Settings) -> Iterator[Ratio]:
    """Prefix-tuning, the MLP included, against fine-tuning (paper §8)."""
    yield _trained("training", [("prefix-mlp", "prefix, MLP"), ("finetune", "fine-tuning")], backbone, settings)


def peft(backbone: Backbone, settings: Settings) -> Iterator[Ratio]:
    """Our prefix-tuning against PEFT's, which has the decoder's own site only: that alone, then all sites."""
    for mlp, told in (("", "direct"), ("-mlp", "MLP")):
        theirs = (f"peft{mlp}", f"PEFT, {told}")
        if len(backbone.spec.sites) > 1:
            yield _trained("peft", [(f"decoder{mlp}", f"decoder only, {told}"), theirs], backbone, settings)
        yield _trained("peft", [(f"prefix{mlp}", f"prefix, {told}"), theirs], backbone, settings)


def decoding(backbone: Backbone, settings: Settings) -> Iterator[Ratio]:
    """Writing with a prefix against the bare model, one text at a time."""
    length = 10 if backbone.opening is None else 200
    pair = _writer(backbone, settings, [_prefix(backbone, length, 0)]), _writer(backbone, settings, [None])
    yield _written("decoding", (f"prefix, P = {length}", "no prefix"), pair, backbone, settings)


def batch(backbone: Backbone, settings: Settings) -> Iterator[Ratio]:
    """A batch of different prefixes against one prefix for all (paper §8.2)."""
    prefixes = [_prefix(backbone, 10, seed) for seed in range(TOGETHER)]
    pair = _writer(backbone, settings, prefixes), _writer(backbone, settings, prefixes[:1] * TOGETHER)
    yield _written("batch", (f"{TOGETHER} prefixes", f"one prefix for {TOGETHER}"), pair, backbone, settings)


def lengths(backbone: Backbone, settings: Settings) -> Iterator[Ratio]:
    """Writing with ever longer prefixes, as far as the model has positions, against the bare model."""
    source = Work.of(backbone).source
    for length in LENGTHS:
        if settings.tokens > room_for(backbone, source, length):
            return
        pair = _writer(backbone, settings, [_prefix(backbone, length, 0)]), _writer(backbone, settings, [None])
        yield _written("lengths", (f"prefix, P = {length}", "no prefix"), pair, backbone, settings)


def _written(row: str, names: tuple[str, str], pair: tuple[Step, Step], backbone: Backbone, settings: Settings) -> Ratio:
    return ratio_of(row, names, "tokens", alternate(*pair, settings.repeats, backbone.device))


def _prefix(backbone: Backbone, length: int, seed: int) -> Prefix:
    """Random keys and values: how fast it goes does not depend on what they say."""
    spec, draw = backbone.spec, torch.Generator().manual_seed(seed)
    return Prefix({site: torch.randn(spec.shape(site, length), generator=draw) for site in spec.sites}, spec.name)


def _writer(backbone: Backbone, settings: Settings, prefixes: Sequence[Prefix | None]) -> Step:
    """Write a text a prefix, together, each of exactly so many tokens."""
    rows = rows_for(backbone, Work.of(backbone), len(prefixes))
    requests = [Request(list(row.prompt), prefix) for row, prefix in zip(rows, prefixes, strict=True)]
    decode = DecodeConfig(max_new=settings.tokens, min_new=settings.tokens)
    return lambda: sum(len(made.ids) for made in generate(backbone.model, backbone, requests, decode))


ROWS: dict[str, Callable[[Backbone, Settings], Iterator[Ratio]]] = {
    "training": training,
    "peft": peft,
    "decoding": decoding,
    "batch": batch,
    "lengths": lengths,
}
