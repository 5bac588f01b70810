"""Samples during training: the text generated for one fixed example, and the attention that the virtual tokens draw."""

from analysis.attention.maps import PREFIX, attention_mass
from analysis.attention.shares import by_layer
from core.config.decode import DecodeConfig
from core.config.decoding_defaults import default_decoding
from core.generation.generate import generate
from core.generation.limits import max_new_tokens
from core.generation.types import make_request
from core.methods.base import Method
from core.models.backbone import Backbone
from core.task import Example, Task
from core.training.sample_log import Sample, Sampler

MAX_NEW = 60


def make_sampler(backbone: Backbone, task: Task, example: Example) -> Sampler:
    """Return a function that samples an example: {"source", "reference", "frozen", "text"}, and "mass" for a prefix.

    "frozen" is the frozen model's text, generated once; "mass" is the mean attention on the virtual tokens by layer. For a
    model with several sites, "mass" has the layers of all, and "layers" names them.
    """
    frozen: list[str] = []
    spec = backbone.spec
    layers = [f"{site} {layer + 1}" for site in spec.sites for layer in range(spec.depth(site))]

    def sample(method: Method) -> Sample:
        prefix = method.prefix()
        request = make_request(backbone, task, example.source, prefix)
        room = max_new_tokens(backbone, len(request.prompt_ids), prefix.length if prefix else 0)
        values: Sample = {"source": example.source, "reference": example.targets[0], "text": ""}
        if room < 1:
            return values
        decode = DecodeConfig(max_new=min(MAX_NEW, room), no_repeat=default_decoding(task.input_format).no_repeat)
        if not frozen:
            alone = make_request(backbone, task, example.source)
            frozen.append(generate(backbone.model, backbone, [alone], decode)[0].text)
        generation = generate(method.model, backbone, [request], decode)[0]
        values |= {"frozen": frozen[0], "text": generation.text}
        if prefix is not None:
            masses = [attention_mass(method.model, backbone, request, generation.ids, site) for site in spec.sites]
            values["mass"] = [round(share, 4) for mass in masses for share in by_layer(mass)[:, PREFIX].tolist()]
            values |= {"layers": layers} if len(spec.sites) > 1 else {}
        return values

    return sample
