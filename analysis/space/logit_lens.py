"""A logit lens on virtual tokens: the words whose logits a virtual token's value raises and lowers.

A head that attends to a virtual token adds the token's value, times its attention, to the residual stream, through the
layer's output projection. The final norm and the unembedding turn that into one logit per word. Later layers can still
change everything: the lens shows what is written, not what becomes of it.

BART has no final norm, so the lens leaves it out. Its encoder feeds no unembedding, so it has no lens.
"""

from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from analysis.space.spaces import SITE_PHRASES, prefix_vectors, vocabulary_space
from analysis.space.vocabulary import Vocabulary
from analysis.space.vocabulary_kv import SITE, VALUES, VocabularyKV
from core.errors import BadInput, NotSupported
from core.models.architectures import final_norm, output_projection
from core.models.backbone import Backbone
from core.prefix.prefix import Prefix


@dataclass(frozen=True, eq=False)
class LogitLensSpace:
    """The lens at one layer. `mean`, `std`: (d,), of the words' values there, for random controls; d as in `Space`."""

    layer: int
    head: int | None
    mean: Tensor
    std: Tensor
    vocabulary: Vocabulary
    fingerprint: str
    recipe: str
    backbone: Backbone
    kind: str = "writes"
    measure: str = "logit"
    site: str = SITE

    def vectors_of(self, prefix: Prefix) -> Tensor:
        """A prefix's values at the layer: (P, d). Raises WrongBackbone if it belongs to another model."""
        return prefix_vectors(prefix, VALUES, self.layer, self.head, self.fingerprint, self.site)

    @torch.no_grad()
    def scores(self, vectors: Tensor) -> Tensor:
        """Logits of every word, minus their mean: (n, d) -> (n, words) fp32."""
        hidden = self._residual_update(vectors).to(self.backbone.device, self.backbone.dtype)
        unembedding = lens_parts(self.backbone, self.layer, self.site)[2]
        hidden = unembedding(hidden) - unembedding(torch.zeros_like(hidden[:1]))
        logits = hidden[:, : len(self.vocabulary)].float().cpu()
        return logits - logits.mean(-1, keepdim=True)

    @cached_property
    def unit(self) -> Tensor:
        """The words' rows of the unembedding, centered on their mean and of length 1: (words, width) fp32."""
        rows = self.backbone.model.get_output_embeddings().weight[: len(self.vocabulary)].detach().float().cpu()
        return F.normalize(rows - rows.mean(0), dim=-1)

    def normalize(self, vectors: Tensor) -> Tensor:
        """The directions that are written, of length 1: (n, d) -> (n, width). The product with a word's row is its logit."""
        return F.normalize(self._residual_update(vectors), dim=-1)

    @torch.no_grad()
    def _residual_update(self, vectors: Tensor) -> Tensor:
        """Values through the output projection and the final norm, without their biases: (n, d) -> (n, width) fp32."""
        spec = self.backbone.spec
        values = torch.zeros(len(vectors), spec.kv_heads, spec.head_dim)
        head_slice = slice(None) if self.head is None else slice(self.head, self.head + 1)
        values[:, head_slice] = vectors.float().cpu().unflatten(-1, (-1, spec.head_dim))
        heads = values.repeat_interleave(spec.heads // spec.kv_heads, 1)  # (n, heads, head_dim)
        hidden = heads.flatten(1).to(self.backbone.device, self.backbone.dtype)
        for part in lens_parts(self.backbone, self.layer, self.site)[:2]:
            hidden = part(hidden) - part(torch.zeros_like(hidden[:1]))  # minus its output for zeros, which is its bias
        return hidden.float().cpu()


def logit_lens_space(backbone: Backbone, values: VocabularyKV, head: int | None = None) -> LogitLensSpace:
    """The lens at the layer of the vocabulary's values; `head` of keys and values, from 0, or all.

    Raises NotSupported, naming the module, if one that the lens needs is not found.
    """
    if values.kind != VALUES or values.fingerprint != backbone.spec.fingerprint:
        raise BadInput(
            f"The lens needs the table of values of {backbone.spec.name}; given: {values.kind} of {values.fingerprint}."
        )
    _, norm, _ = lens_parts(backbone, values.layer, values.site)  # raises early if the model has no lens
    base = vocabulary_space(values, head)
    spec = backbone.spec
    group = f" (kept once for {spec.heads // spec.kv_heads} heads)" if spec.kv_heads < spec.heads else ""
    which = f"head {head + 1} of {spec.kv_heads}{group} attends" if head is not None else f"all heads{group} attend"
    through = f"{spec.name}'s final norm and its unembedding, all three without their biases"
    if isinstance(norm, nn.Identity):
        through = f"{spec.name}'s unembedding (it has no final norm), both without their biases"
    recipe = (
        f"What a virtual token writes at layer {values.layer + 1}{SITE_PHRASES[values.site]}, as if {which} to it alone: "
        f"its value through the layer's output projection{',' if 'norm and' in through else ' and'} {through}. "
        "Logits, minus their mean over the vocabulary; later layers are left out. A map sets the directions that are written "
        "beside the words' rows of the unembedding, centered on their mean."
    )
    return LogitLensSpace(
        values.layer, head, base.mean, base.std, values.vocabulary, values.fingerprint, recipe, backbone, site=values.site
    )


def lens_parts(backbone: Backbone, layer: int, site: str) -> tuple[nn.Module, nn.Module, nn.Module]:
    """Output projection, final norm (the identity in BART) and unembedding; NotSupported names one that is not found."""
    if site == "encoder":
        raise NotSupported(
            "What an encoder's virtual tokens write feeds no unembedding. Choose the decoder, or the cross-attention."
        )
    unembedding = backbone.model.get_output_embeddings()
    if unembedding is None:
        raise NotSupported(f"{type(backbone.model).__name__} has no output embeddings to read words from.")
    return output_projection(backbone.model, layer, site), final_norm(backbone.model), unembedding
