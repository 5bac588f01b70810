"""Everything that the attention figures need, from a run's name and an input: for notebooks and scripts."""

from collections.abc import Iterator
from dataclasses import dataclass

from transformers import PreTrainedModel

from analysis.attention.ablation import AblationEffect, ablation_effect, iter_ablations
from analysis.attention.maps import AttentionMap, AttentionMass, attention_map, attention_mass
from core.config.decode import DecodeConfig
from core.config.decoding_defaults import default_decoding
from core.generation.generate import generate
from core.generation.types import Generation, Request, make_request
from core.methods.loading import LoadedRun, load_run
from core.models.backbone import Backbone
from core.models.loading import load_backbone
from core.runs.store import store


@dataclass(frozen=True, eq=False)
class RunInspection:
    """A generated text with the attention while it is re-read. `name` is the run's."""

    name: str
    backbone: Backbone
    model: PreTrainedModel
    request: Request
    generation: Generation
    mass: AttentionMass

    def map(self, *layers: int) -> AttentionMap:
        """All attention weights of these layers (from 0), or of every layer if none is given."""
        return attention_map(self.model, self.backbone, self.request, self.generation.ids, layers or None)

    def ablation_effect(self) -> AblationEffect:
        """The effect of knocking out each virtual token in each layer."""
        return ablation_effect(self.model, self.backbone, self.request, self.generation.ids)

    def iter_ablations(self) -> Iterator[tuple[AblationEffect, int, int]]:
        """Yield the ablation effects as they are computed; see `analysis.attention.ablation.iter_ablations`."""
        return iter_ablations(self.model, self.backbone, self.request, self.generation.ids)


def inspect_run(
    run: str, source: str, decode: DecodeConfig | None = None, device: str = "auto", backbone_name: str = ""
) -> RunInspection:
    """Load a run with its backbone, generate a text, and record the attention while the model re-reads it.

    `backbone_name`: a folder or hub name to load in place of the backbone that the run remembers.
    """
    stored = store().get(run)
    backbone = load_backbone(backbone_name or stored.backbone_source, device)
    loaded: LoadedRun = load_run(stored, backbone)
    request = make_request(backbone, loaded.task, source, loaded.prefix)
    generation = generate(loaded.model, backbone, [request], decode or default_decoding(loaded.task.input_format))[0]
    return RunInspection(
        run, backbone, loaded.model, request, generation, attention_mass(loaded.model, backbone, request, generation.ids)
    )
