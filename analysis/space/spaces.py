"""Spaces in which virtual tokens are compared with words, each with a description of how it was computed.

Keys, values (vocabulary_kv.py) and embeddings are centered on the vocabulary's mean, since without that any two words look
alike (cosines of 0.7 to 0.97). What a virtual token adds to the residual stream is in logit_lens.py.
"""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from analysis.space.vocabulary import Vocabulary, vocabulary
from analysis.space.vocabulary_kv import KINDS, SITE, VocabularyKV
from core.errors import BadInput, WrongBackbone
from core.models.architectures import input_embeddings
from core.models.backbone import Backbone
from core.prefix.prefix import Prefix

EMBEDDINGS = "embeddings"
SITE_PHRASES = {"decoder": "", "encoder": " of the encoder", "cross": " of the cross-attention"}


@dataclass(frozen=True, eq=False)
class Space:
    """Words as centered unit vectors. `unit`: (words, d) fp32; `mean`, `std`: (d,), of the words before centering.

    `head`: of keys and values, from 0; None if all heads are concatenated, and for embeddings.
    """

    kind: str
    layer: int | None
    head: int | None
    unit: Tensor
    mean: Tensor
    std: Tensor
    vocabulary: Vocabulary
    fingerprint: str
    recipe: str
    measure: str = "cosine"
    site: str = SITE

    def normalize(self, vectors: Tensor) -> Tensor:
        """Center vectors (n, d) on the vocabulary's mean and scale them to length 1, as the words are."""
        return F.normalize(vectors.float().cpu() - self.mean, dim=-1)

    def scores(self, vectors: Tensor) -> Tensor:
        """Cosine with every word: (n, d) -> (n, words)."""
        return self.normalize(vectors) @ self.unit.T

    def vectors_of(self, prefix: Prefix) -> Tensor:
        """A prefix's vectors in this space: (P, d). Raises WrongBackbone if it belongs to another model."""
        if self.layer is None:
            raise BadInput("A prefix holds keys and values, no embeddings. Choose the space of keys or of values at a layer.")
        return prefix_vectors(prefix, self.kind, self.layer, self.head, self.fingerprint, self.site)


def prefix_vectors(prefix: Prefix, kind: str, layer: int, head: int | None, fingerprint: str, site: str = SITE) -> Tensor:
    """Keys or values of a prefix at a layer of a site: (P, kv_heads * head_dim), or (P, head_dim) of one head."""
    if prefix.fingerprint and prefix.fingerprint != fingerprint:
        raise WrongBackbone(
            f"This prefix belongs to {prefix.backbone} ({prefix.fingerprint}); the words are those of a model with fingerprint "
            f"{fingerprint}. Choose a run that was trained on the model that is loaded."
        )
    vectors = prefix.past[site][layer, KINDS.index(kind)].float().cpu()  # (kv_heads, P, head_dim)
    return vectors.transpose(0, 1).flatten(1) if head is None else vectors[head]


def vocabulary_space(words: VocabularyKV, head: int | None = None) -> Space:
    """The space of a vocabulary's keys or values: of all heads concatenated, or of one head, from 0."""
    _, heads, dim = words.vectors.shape
    if head is not None and not 0 <= head < heads:
        raise BadInput(f"There is no head {head} of keys and values: give 0 to {heads - 1}, counted from 0.")
    vectors = words.vectors.flatten(1) if head is None else words.vectors[:, head]
    which = f"all {heads} heads, {heads * dim} numbers" if head is None else f"head {head + 1} of {heads}, {dim} numbers"
    recipe = (
        f"{words.kind.capitalize()} of layer {words.layer + 1}{SITE_PHRASES[words.site]} ({which}): each virtual token's against "
        f"{words.context} Both are centered on the mean of the vocabulary; nearness is the cosine."
    )
    return Space(
        words.kind,
        words.layer,
        head,
        *_center(vectors),
        words.vocabulary,
        words.fingerprint,
        recipe,
        site=words.site,
    )


def embedding_space(backbone: Backbone) -> Space:
    """The space of input embeddings, for embedding-only prompts: vectors (P, width)."""
    words = vocabulary(backbone)
    weight = input_embeddings(backbone.model, range(len(words))).cpu()
    recipe = (
        f"Input embeddings ({weight.shape[1]} numbers, no position added): each vector of the prompt against the embedding of "
        f"each of {words.owner}'s {len(words):,} tokens. Both are centered on the mean of the vocabulary; nearness is the cosine."
    )
    return Space(EMBEDDINGS, None, None, *_center(weight), words, backbone.spec.fingerprint, recipe)


def _center(vectors: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """(words, d) -> unit vectors (words, d), mean (d,) and standard deviation (d,)."""
    vectors = vectors.float()
    std, mean = torch.std_mean(vectors, 0)
    return F.normalize(vectors - mean, dim=-1), mean, std
