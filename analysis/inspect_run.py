"""Everything that the attention figures need, from a run's name and an input: for notebooks and scripts."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from torch import Tensor

from analysis.attention.ablation import AblationEffect, ablation_effect, iter_ablations
from analysis.attention.content_attention import content_differences
from analysis.attention.layer_lens import LayerLens, layer_lens
from analysis.attention.maps import SITE, AttentionMap, AttentionMass, attention_map, attention_mass
from analysis.attention.sentences import SentenceMap, sentence_map, split_article
from analysis.named_runs import frozen_task, load_named_run, request_of, task_of, write
from core.config.decode import DecodeConfig
from core.config.decoding_defaults import default_decoding
from core.generation.generate import generate
from core.generation.types import Generation, Request
from core.methods.loading import UNSTORED, LoadedRun
from core.models.backbone import Backbone
from core.models.inputs import encode_input
from core.models.loading import load_backbone
from core.models.locate import DEFAULT
from core.prefix.interventions import NO_INTERVENTION, Intervention
from core.runs.store import store
from core.task import Task

if TYPE_CHECKING:
    from transformers import PreTrainedModel


@dataclass(frozen=True, eq=False)
class RunInspection:
    """A generated text with the attention while it is re-read. `name` is the run's, empty for the frozen model."""

    name: str
    backbone: Backbone
    model: "PreTrainedModel"
    request: Request
    generation: Generation
    mass: AttentionMass
    decode: DecodeConfig
    source: str
    task: Task

    def read(
        self, intervention: Intervention = NO_INTERVENTION, site: str = SITE, run: LoadedRun | None = None, frozen: bool = False
    ) -> AttentionMass:
        """The attention masses while the text is read under an intervention, at a site, or by another model.

        `run`: another run that reads the text; `frozen`: the frozen model reads it.
        """
        model, request = self.model, replace(self.request, intervention=intervention)
        if run is not None or frozen:
            prefix = run.prefix if run else None
            split = self.request.split if prefix and prefix.infix else 0
            model, request = run.model if run else self.backbone.model, replace(request, prefix=prefix, split=split)
        return attention_mass(model, self.backbone, request, self.generation.ids, site)

    def write(self, intervention: Intervention) -> Generation:
        """The text generated again under an intervention, with the same seed and decoding."""
        request = replace(self.request, intervention=intervention)
        return generate(self.model, self.backbone, [request], self.decode)[0]

    def map(self, *layers: int, site: str = SITE, intervention: Intervention = NO_INTERVENTION) -> AttentionMap:
        """All attention weights of these layers (from 0), or of every layer if none is given."""
        request = replace(self.request, intervention=intervention)
        return attention_map(self.model, self.backbone, request, self.generation.ids, layers or None, site)

    def by_sentence(self, site: str = "cross", intervention: Intervention = NO_INTERVENTION) -> SentenceMap:
        """The attention at the encoder or the cross-attention, by the sentences of the article that is read."""
        request = replace(self.request, intervention=intervention)
        encoded = encode_input(self.backbone, self.task, self.source)
        article = self.source[: encoded.end]
        sentences = split_article(self.backbone, article, request.prompt_ids, encoded.lead)
        return sentence_map(self.model, self.backbone, request, self.generation.ids, sentences, article, site)

    def lens(self, intervention: Intervention = NO_INTERVENTION) -> LayerLens:
        """What the run and the frozen model would generate if they stopped after each layer, for each token of the text."""
        request = replace(self.request, intervention=intervention)
        return layer_lens(self.model, self.backbone, request, self.generation.ids)

    def content_differences(self, intervention: Intervention = NO_INTERVENTION, site: str = SITE) -> Tensor:
        """How far the prefix moves attention among content tokens, (layers,). BadInput for a run without a prefix."""
        request = replace(self.request, intervention=intervention)
        return content_differences(self.model, self.backbone, request, self.generation.ids, site)

    def ablation_effect(self) -> AblationEffect:
        """The effect of knocking out each virtual token in each layer."""
        return ablation_effect(self.model, self.backbone, self.request, self.generation.ids)

    def iter_ablations(self) -> Iterator[tuple[AblationEffect, int, int]]:
        """Yield the ablation effects as they are computed; see `analysis.attention.ablation.iter_ablations`."""
        return iter_ablations(self.model, self.backbone, self.request, self.generation.ids)


def inspect_run(
    run: str,
    source: str,
    decode: DecodeConfig | None = None,
    device: str = "auto",
    backbone_name: str = "",
    task: Task | None = None,
    stop: str = "",
    backbone: Backbone | None = None,
    form: str = "",
) -> RunInspection:
    """Load a run with its backbone, generate a text, and record the attention while the model re-reads it.

    `run`: a name that `load_named_run` takes, or empty for the frozen model. `backbone_name`: a folder or hub name to load in
    place of the backbone that a stored run remembers; for a text, a mix and the frozen model the bundled one by default.
    `backbone`: one that is loaded already. `task`, `stop`, `form`: see `analysis.named_runs.write`.
    """
    if backbone is None:
        stored = bool(run) and not run.startswith(UNSTORED)
        backbone = load_backbone(backbone_name or (store().get(run).backbone_source if stored else DEFAULT), device)
    loaded = load_named_run(run, backbone) if run else None
    model = loaded.model if loaded else backbone.model
    layout = task_of(loaded, task or frozen_task(backbone))
    decode = decode or default_decoding(layout.input_format)
    request = request_of(backbone, source, loaded, task, decode.seed, form)
    generation = write(backbone, source, loaded, decode, task, stop, form)
    mass = attention_mass(model, backbone, request, generation.ids)
    return RunInspection(run, backbone, model, request, generation, mass, decode, source, layout)
