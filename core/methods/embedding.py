"""Embedding-only tuning (paper §7.2): free input vectors; the activations above them are the model's own.

In a decoder those activations depend on nothing that follows, so one pass over the P vectors gives keys and values
that serve as an ordinary prefix: in training once a step, for serving once.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from core.config.train import TrainConfig
from core.errors import BadConfig, BadInput, NotSupported, WrongBackbone
from core.methods.base import LoadedMethod
from core.methods.weight_method import HINT, read_weights
from core.models.backbone import Backbone
from core.prefix.attention import Past, PrefixState, attach
from core.prefix.prefix import Prefix, read_past
from core.runs.store import Run


class EmbeddingMethod:
    """P vectors of the model's width, trained directly or through an MLP that `tensors()` folds away."""

    name = "embedding"
    infix = False

    def __init__(self, backbone: Backbone, config: TrainConfig) -> None:
        check_family(backbone)
        torch.manual_seed(config.seed)
        self.backbone, self.model, self.length = backbone, backbone.model, config.length
        width, device = backbone.spec.width, backbone.device
        self.vectors = nn.Parameter(initial_vectors(backbone, config))
        self.mlp: nn.Module = nn.Identity()
        if config.mlp:
            self.mlp = nn.Sequential(nn.Linear(width, config.mlp), nn.Tanh(), nn.Linear(config.mlp, width)).to(device)

    def parameters(self) -> list[nn.Parameter]:
        """The vectors, and the MLP where there is one."""
        return [self.vectors, *self.mlp.parameters()]

    @contextmanager
    def attach(self, rows: int, split: Tensor | None = None) -> Iterator[None]:
        """The keys and values of the vectors as they are now, the same for all rows."""
        with attach(self.model, PrefixState.shared(embedding_key_values(self.backbone, self.mlp(self.vectors)), rows)):
            yield

    @torch.no_grad()
    def tensors(self) -> dict[str, Tensor]:
        """embeddings: (P, width), what the MLP gives, not the MLP."""
        return {"embeddings": self.mlp(self.vectors).detach().clone()}

    @torch.no_grad()
    def prefix(self) -> Prefix:
        """The vectors' keys and values."""
        return fold_embeddings(self.backbone, self.mlp(self.vectors))

    @classmethod
    def load(cls, run: Run, backbone: Backbone) -> LoadedMethod:
        """The shared model, and the vectors folded to a prefix."""
        check_family(backbone)
        stored, spec = read_weights(run), backbone.spec
        if "embeddings" not in stored:
            raise BadInput(f"The weights of {run.id!r} hold no 'embeddings'. {HINT}")
        vectors = stored["embeddings"]
        if vectors.ndim != 2 or vectors.shape[1] != spec.width or not 0 < len(vectors) < spec.positions:
            raise WrongBackbone(
                f"The run {run.id!r} holds vectors of shape {tuple(vectors.shape)}, and {spec.name} has width {spec.width}. "
                f"{HINT}"
            )
        if not vectors.isfinite().all():
            raise BadInput(f"The weights of {run.id!r} hold NaN or infinity. {HINT}")
        return LoadedMethod(backbone.model, fold_embeddings(backbone, vectors.to(backbone.device)))


def check_family(backbone: Backbone) -> None:
    """NotSupported for an encoder-decoder: its encoder looks both ways, so the vectors' activations depend on the input."""
    if backbone.opening is not None:
        raise NotSupported(
            f"Embedding-only tuning does not fit {backbone.spec.name}, an encoder-decoder model. Use prefix-tuning, or GPT-2."
        )


def initial_vectors(backbone: Backbone, config: TrainConfig) -> Tensor:
    """(P, width) fp32: "words" are their embeddings, repeated or cut; "random" has the mean and spread of the vocabulary's."""
    table = backbone.model.get_input_embeddings().weight.detach().float()
    shape = (config.length, backbone.spec.width)
    if config.init == "zeros":
        return torch.zeros(shape, device=table.device)
    if config.init == "random":
        return table.mean(0) + table.std(0) * torch.randn(shape, device=table.device)
    ids = backbone.encode(config.init_words)
    if not ids:
        raise BadConfig(f"init_words must hold at least one word; given: {config.init_words!r}.")
    return table[(ids * (config.length // len(ids) + 1))[: config.length]]


def fold_embeddings(backbone: Backbone, vectors: Tensor) -> Prefix:
    """Input vectors (P, width) as an ordinary prefix."""
    with torch.no_grad():
        past = embedding_key_values(backbone, vectors)
    return Prefix(past, backbone.spec.name, backbone.spec.fingerprint, "embedding")


def embedding_key_values(backbone: Backbone, vectors: Tensor) -> Past:
    """The model's keys and values for input vectors (P, width) at positions 0 to P-1; gradients flow to `vectors`."""
    was = backbone.model.training
    backbone.model.eval()  # a checkpointed layer would be computed again later, with other virtual tokens in force
    try:
        return read_past(backbone, inputs_embeds=vectors.to(backbone.dtype)[None])
    finally:
        backbone.model.train(was)
