"""A mix measured on its own, without an app."""

from dataclasses import replace

from analysis.experiments.mix_curve import MixPoint, measure_point, total_loss
from core.data.registry import table_of_source
from core.generation.generate import generate
from core.generation.types import make_request
from core.models.inputs import encode_answer
from core.prefix.mix import mix_prefixes


def mix_point(backbone, task, mix, prefixes, examples, decode) -> MixPoint:
    """Generate and measure with a mix of `prefixes` on the frozen backbone."""
    prefix, intervention = mix_prefixes(mix, prefixes)
    plain = [make_request(backbone, task, one.source, prefix, decode.seed) for one in examples]
    requests = [replace(request, intervention=intervention) for request in plain]
    answers = [encode_answer(backbone, task, one.targets[0]) for one in examples]
    texts = [generation.text for generation in generate(backbone.model, backbone, requests, decode)]
    tables = [] if task.input_format == "article" else [table_of_source(task.input_format, one.source) for one in examples]
    return measure_point(total_loss, backbone.model, backbone, requests, answers, texts, tables)
