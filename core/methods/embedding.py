"""Embedding-only tuning (paper §7.2): trained input vectors; the frozen model computes the activations above them.

With `near_text` they start from the embeddings of a text and are kept near them (near_text.py).

In a decoder those activations depend on nothing that follows, so one forward pass over the P vectors gives keys and values that
work as an ordinary prefix: one pass per step in training, one in total for generation.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from core.config.train import TrainConfig
from core.errors import BadConfig, BadInput, WrongBackbone
from core.methods.base import LoadedMethod, check_decoder_only
from core.methods.near_text import NearText
from core.methods.weight_method import HINT, read_weights
from core.models.activations import read_key_values
from core.models.architectures import input_embeddings
from core.models.backbone import Backbone
from core.prefix.attention import PrefixState, attach
from core.prefix.prefix import KeyValues, Prefix
from core.runs.run import Run

METHOD = "Embedding-only tuning"


class EmbeddingMethod:
    """P vectors of the model's width, trained directly or through an MLP of which only the output is stored."""

    name = "embedding"
    infix = False

    def __init__(self, backbone: Backbone, config: TrainConfig) -> None:
        check_decoder_only(backbone, METHOD)  # an encoder looks both ways, so the vectors' activations would depend on the input
        torch.manual_seed(config.seed)
        self.backbone, self.model = backbone, backbone.model
        width, device = backbone.spec.width, backbone.device
        self.near_text = NearText(backbone, config.near_text) if config.near_text else None
        self.vectors = nn.Parameter(self.near_text.embeddings.clone() if self.near_text else initial_vectors(backbone, config))
        self.length = len(self.vectors)
        self.mlp: nn.Module = nn.Identity()
        if config.mlp:
            self.mlp = nn.Sequential(nn.Linear(width, config.mlp), nn.Tanh(), nn.Linear(config.mlp, width)).to(device)

    def parameters(self) -> list[nn.Parameter]:
        """Return the vectors, and the MLP's parameters if there is one."""
        return [self.vectors, *self.mlp.parameters()]

    @contextmanager
    def attach(self, rows: int, split: Tensor | None = None) -> Iterator[None]:
        """Attach the vectors' current keys and values in front of every row."""
        with attach(self.model, PrefixState.shared(embedding_key_values(self.backbone, self.mlp(self.vectors)), rows)):
            yield

    def distance(self) -> Tensor | None:
        """Return the distance of the current vectors from `near_text`, (); None without one."""
        return self.near_text.distance(self.mlp(self.vectors)) if self.near_text else None

    @torch.no_grad()
    def tensors(self) -> dict[str, Tensor]:
        """Return `embeddings`: (P, width), the MLP's output if there is one."""
        return {"embeddings": self.mlp(self.vectors).detach().clone()}

    @torch.no_grad()
    def prefix(self) -> Prefix:
        """Return the vectors' keys and values as a prefix."""
        return fold_embeddings(self.backbone, self.mlp(self.vectors))

    @classmethod
    def load(cls, run: Run, backbone: Backbone) -> LoadedMethod:
        """Return the shared model, with the stored vectors as a prefix."""
        check_decoder_only(backbone, METHOD)
        stored, spec = read_weights(run), backbone.spec
        if "embeddings" not in stored:
            raise BadInput(f"The weights of {run.id!r} have no 'embeddings'. {HINT}")
        vectors = stored["embeddings"]
        if vectors.ndim != 2 or vectors.shape[1] != spec.width or not 0 < len(vectors) < spec.positions:
            raise WrongBackbone(
                f"The run {run.id!r} holds vectors of shape {tuple(vectors.shape)}, and {spec.name} has width {spec.width}. "
                f"{HINT}"
            )
        if not vectors.isfinite().all():
            raise BadInput(f"The weights of {run.id!r} contain NaN or infinity. {HINT}")
        return LoadedMethod(backbone.model, fold_embeddings(backbone, vectors.to(backbone.device)))


def initial_vectors(backbone: Backbone, config: TrainConfig) -> Tensor:
    """Return the initial vectors, (P, width) in fp32.

    They are the embeddings of `init_words`, repeated or cut; zeros; or normal with the vocabulary's mean and standard
    deviation.
    """
    table = input_embeddings(backbone.model, range(backbone.spec.vocabulary))
    shape = (config.length, backbone.spec.width)
    if config.init == "zeros":
        return torch.zeros(shape, device=table.device)
    if config.init == "random":
        return table.mean(0) + table.std(0) * torch.randn(shape, device=table.device)
    ids = backbone.encode(config.init_words)
    if not ids:
        raise BadConfig(f"init_words must hold at least one word; given: {config.init_words!r}.", "init_words")
    return table[(ids * (config.length // len(ids) + 1))[: config.length]]


def fold_embeddings(backbone: Backbone, vectors: Tensor) -> Prefix:
    """Turn input vectors (P, width) into an ordinary prefix."""
    with torch.no_grad():
        past = embedding_key_values(backbone, vectors)
    return Prefix(past, backbone.spec.name, backbone.spec.fingerprint)


def embedding_key_values(backbone: Backbone, vectors: Tensor) -> KeyValues:
    """Compute the model's keys and values for input vectors (P, width) at positions 0 to P-1; gradients reach `vectors`."""
    was = backbone.model.training
    backbone.model.eval()  # a checkpointed layer would be computed again later, with other virtual tokens in force
    try:
        return read_key_values(backbone, inputs_embeds=vectors.to(backbone.dtype)[None])
    finally:
        backbone.model.train(was)
