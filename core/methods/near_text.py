"""A penalty that keeps input vectors near the embeddings of a text ("Prompt Waywardness", Khashabi et al. 2022).

The training minimizes the task's loss + near_weight * d(V), where

    d(V) = mean_i |v_i - e(w_i)|² / mean_j |e_j - ē|²

for the virtual tokens v_i and the text's tokens w_i, i = 1 … P, the input embeddings e_j of all tokens of the vocabulary and
their mean ē. Dividing by the vocabulary's variance, which is not in the paper, gives d no unit, so that a weight means the same
on every model: d is 0 at the text itself, and 2 between two words that are drawn at random.

Of the validations, the one with the lowest such sum is stored, and not the one with the lowest loss, which may be far from the
text. The vectors are stored as they are: the paper's projection, to the nearest word of each, is how Prefix space reads them.
"""

from torch import Tensor

from core.config.train import TrainConfig
from core.errors import BadConfig
from core.methods.weight_method import read_weights
from core.models.architectures import input_embeddings
from core.models.backbone import Backbone
from core.runs.run import Run


class NearText:
    """A text's `embeddings`, (P, width) fp32, and the `variance` of the vocabulary's, (), summed over the width."""

    def __init__(self, backbone: Backbone, text: str) -> None:
        self.embeddings = input_embeddings(backbone.model, text_ids(backbone, text))
        words = input_embeddings(backbone.model, range(backbone.spec.vocabulary))
        self.variance = words.var(0, correction=0).sum()

    def distance(self, vectors: Tensor) -> Tensor:
        """d(V) of vectors (P, width), differentiable: ()."""
        return (vectors.float() - self.embeddings).square().sum(1).mean() / self.variance


def text_ids(backbone: Backbone, text: str) -> list[int]:
    """The token ids of a text that virtual tokens stay near: at least 1. BadConfig where the model has no room for it."""
    ids = backbone.encode(text, literal=True)
    if not 0 < len(ids) < backbone.spec.positions:
        raise BadConfig(
            f"near_text is {len(ids):,} tokens long for {backbone.spec.name}, and there is room for 1 to "
            f"{backbone.spec.positions - 1:,}. Give another text.",
            "near_text",
        )
    return ids


def stored_distance(run: Run, backbone: Backbone) -> float | None:
    """d(V) of a run's stored vectors; None where it was kept near no text. BadInput if its file cannot be read."""
    text = str(run.config.get("near_text") or "")
    vectors = read_weights(run).get("embeddings") if text else None
    return None if vectors is None else NearText(backbone, text).distance(vectors.to(backbone.device)).item()


def with_length_of_text(backbone: Backbone, config: TrainConfig) -> TrainConfig:
    """Settings whose `length` is the number of tokens of `near_text`; unchanged where there is none."""
    return config.replace(length=len(text_ids(backbone, config.near_text))) if config.near_text else config
