"""The rows of the benchmark, each a comparison."""

import gc
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import torch

from analysis.benchmark.measure import Failure, Measurement, Ratio, Step, alternate, peak_memory, summarize_speeds
from analysis.benchmark.models import benchmark_model
from analysis.benchmark.scoring import scoring
from analysis.benchmark.training import Workload, random_rows, training_step
from core.config.decode import DecodeConfig
from core.errors import BadConfig, PrefixLabError
from core.generation.generate import generate
from core.generation.limits import max_new_tokens
from core.generation.types import Request
from core.models.backbone import Backbone
from core.prefix.prefix import Prefix
from core.training.paging import page_out

# Of prefix-tuning to fine-tuning: speed at least, memory at most.
TARGETS = {"gpt2-medium": (1.5, 0.48), "bart-large": (1.2, 0.55)}
LENGTHS = (1, 10, 50, 100, 200)  # virtual tokens (paper §7.1 says that they cost next to nothing)
BATCH_SIZE = 16  # texts in a mixed batch


@dataclass(frozen=True)
class Settings:
    """Benchmark settings. `model`: a size or a backbone; `tokens`: new tokens per text; `batch`: 0 for the row's default."""

    model: str = "mini"
    device: str = "auto"
    repeats: int = 5
    tokens: int = 40
    batch: int = 0
    memory: bool = True

    def __post_init__(self) -> None:
        for name, lowest in {"repeats": 1, "tokens": 1, "batch": 0}.items():
            if getattr(self, name) < lowest:
                raise BadConfig(f"{name} must be at least {lowest}; given: {getattr(self, name)}.", name)


def select_rows(names: Sequence[str], known: "Mapping[str, Row]") -> list[str]:
    """Return the rows by name, by default all known ones. Raises BadConfig for an unknown name."""
    for name in names:
        if name not in known:
            raise BadConfig(f"There is no row {name!r}. Choose one of: {', '.join(known)}.")
    return list(dict.fromkeys(names)) or list(known)


def benchmark(names: Sequence[str], settings: Settings, known: "Mapping[str, Row] | None") -> Iterator[Measurement]:
    """Yield each row of `known` (default: ROWS) once measured; one that fails becomes a Failure, and the others continue.

    Raises BadConfig for a row that is not known, and the errors of `model_of`.
    """
    known = ROWS if known is None else known
    selected = select_rows(names, known)
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:  # Windows keeps what is still mapped
        backbone = benchmark_model(settings.model, settings.device, Path(folder))
        for name in selected:
            try:
                yield from known[name](backbone, settings)
            except PrefixLabError as error:
                yield Failure(name, str(error))
            except Exception as error:  # such as memory that runs out: what else can be measured still is
                yield Failure(name, f"{type(error).__name__}: {error}")
            gc.collect()  # a fine-tuned model must be gone before the next row


def _compare_training(
    row: str,
    sides: Sequence[tuple[str, str]],
    backbone: Backbone,
    settings: Settings,
    least: float | None = 1.0,
    most: float | None = 1.0,
) -> Iterator[Ratio]:
    """Compare two sides of training, each given as (name for `training_step`, title).

    `least`: the target for the ratio of speeds, `most`: for that of memory. Memory is measured first, while no other large
    model is loaded; if it cannot be measured, the speeds still are.
    """
    work, (one, other) = Workload.of(backbone, settings.batch), (side for side, _ in sides)
    peaks: tuple[int, int] | None = None
    problem: PrefixLabError | None = None
    if settings.memory:
        page_out(backbone.model.parameters())  # pages that two processes have in memory count in both
        job = {"model": backbone.spec.source, "device": str(backbone.device), "work": asdict(work)}
        try:
            peaks = peak_memory(job | {"side": one}), peak_memory(job | {"side": other})
        except PrefixLabError as error:
            problem = error
    speeds = alternate(
        training_step(one, backbone, work), training_step(other, backbone, work), settings.repeats, backbone.device
    )
    ratio = summarize_speeds(row, (sides[0][1], sides[1][1]), "examples", speeds)
    yield replace(ratio, peaks=peaks, target=least, memory_target=most)
    if problem is not None:
        raise problem


def training(backbone: Backbone, settings: Settings) -> Iterator[Ratio]:
    """Prefix-tuning with the MLP against fine-tuning (paper §8); the published sizes have targets."""
    least, most = TARGETS.get(settings.model, (None, None))
    yield from _compare_training(
        "training", [("prefix-mlp", "prefix, MLP"), ("finetune", "fine-tuning")], backbone, settings, least, most
    )


def peft(backbone: Backbone, settings: Settings) -> Iterator[Ratio]:
    """Our prefix-tuning against PEFT's: with the decoder's own site only, as PEFT, then with all sites, which is more work."""
    for mlp, label in (("", "direct"), ("-mlp", "MLP")):
        theirs = (f"peft{mlp}", f"PEFT, {label}")
        ours = f"prefix{mlp}", f"prefix, {label}"
        if len(backbone.spec.sites) == 1:
            yield from _compare_training("peft", [ours, theirs], backbone, settings)
        else:
            yield from _compare_training("peft", [(f"decoder{mlp}", f"decoder only, {label}"), theirs], backbone, settings)
            yield from _compare_training("peft", [ours, theirs], backbone, settings, None, None)


def decoding(backbone: Backbone, settings: Settings) -> Iterator[Ratio]:
    """Generation with a prefix against the bare model, one text at a time."""
    length, cpu, cuda = (200, 0.85, 0.95) if backbone.is_encoder_decoder else (10, 0.9, 0.97)
    least = cuda if backbone.device.type == "cuda" else cpu
    yield replace(_with_and_without("decoding", length, backbone, settings), target=least)


def batch(backbone: Backbone, settings: Settings) -> Iterator[Ratio]:
    """A batch of different prefixes against one prefix for all (paper §8.2)."""
    prefixes = [_random_prefix(backbone, 10, seed) for seed in range(BATCH_SIZE)]
    pair = _generation_step(backbone, settings, prefixes), _generation_step(backbone, settings, prefixes[:1] * BATCH_SIZE)
    names = f"{BATCH_SIZE} prefixes", f"one prefix for {BATCH_SIZE}"
    yield replace(_compare_generation("batch", names, pair, backbone, settings), target=0.95)


def lengths(backbone: Backbone, settings: Settings) -> Iterator[Ratio]:
    """Generation with longer and longer prefixes, as far as the model has positions, against the bare model."""
    source = Workload.of(backbone).source
    for length in LENGTHS:
        if settings.tokens > max_new_tokens(backbone, source, length):
            return
        yield _with_and_without("lengths", length, backbone, settings)


def _with_and_without(row: str, length: int, backbone: Backbone, settings: Settings) -> Ratio:
    """Generation with a prefix of `length` virtual tokens against the bare model."""
    sides = [_generation_step(backbone, settings, [prefix]) for prefix in (_random_prefix(backbone, length, 0), None)]
    return _compare_generation(row, (f"prefix, P = {length}", "no prefix"), (sides[0], sides[1]), backbone, settings)


def _compare_generation(
    row: str, names: tuple[str, str], pair: tuple[Step, Step], backbone: Backbone, settings: Settings
) -> Ratio:
    return summarize_speeds(row, names, "tokens", alternate(*pair, settings.repeats, backbone.device))


def _random_prefix(backbone: Backbone, length: int, seed: int) -> Prefix:
    """Random keys and values: speed does not depend on their values."""
    spec, draw = backbone.spec, torch.Generator().manual_seed(seed)
    return Prefix({site: torch.randn(spec.shape(site, length), generator=draw) for site in spec.sites}, spec.name)


def _generation_step(backbone: Backbone, settings: Settings, prefixes: Sequence[Prefix | None]) -> Step:
    """Generate one text per prefix in one batch, each with exactly `settings.tokens` tokens."""
    rows = random_rows(backbone, Workload.of(backbone), len(prefixes))
    requests = [Request(list(row.prompt), prefix) for row, prefix in zip(rows, prefixes, strict=True)]
    decode = DecodeConfig(max_new=settings.tokens, min_new=settings.tokens)
    return lambda: sum(len(generation.ids) for generation in generate(backbone.model, backbone, requests, decode))


Row = Callable[[Backbone, Settings], Iterator[Measurement]]
ROWS: dict[str, Row] = {
    "training": training,
    "peft": peft,
    "decoding": decoding,
    "batch": batch,
    "lengths": lengths,
    "scoring": lambda backbone, settings: scoring(settings.repeats),
}
