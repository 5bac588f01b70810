"""Runs by the names that the app's addresses have for them, and the texts that they write: for notebooks and scripts."""

from collections.abc import Sequence
from dataclasses import replace

from analysis.metrics.coverage import error_counter
from analysis.space.trajectory import prefix_trajectory
from core.config.decode import DecodeConfig
from core.config.decoding_defaults import default_decoding
from core.errors import BadTable
from core.generation.generate import generate
from core.generation.sequence import decode_text
from core.generation.types import Generation, Request, make_request
from core.methods.loading import TEXT_RUN, LoadedRun, load_run, mix_run, text_run
from core.models.backbone import Backbone
from core.models.inputs import task_for_backbone
from core.prefix.mix import MIX, Mix, parse_mix
from core.runs.store import Store, store
from core.task import SUMMARIZATION, Task


def load_named_run(name: str, backbone: Backbone, runs: Store | None = None) -> LoadedRun:
    """Load a run by its name: the id of a stored run, `text:` and a text as prefix, or a mix such as `mix:fade:0.5,0.5:one,two`.

    `runs`: where stored runs are, by default the user's store with the bundled ones. Raises the errors of the store and of
    `load_run`, and BadInput for a mix that cannot be made.
    """
    if name.startswith(TEXT_RUN):
        return text_run(name.removeprefix(TEXT_RUN), backbone)
    if name.startswith(MIX):
        mix = parse_mix(name)
        return load_mix(mix, [load_named_run(member, backbone, runs) for member in mix.members], backbone)
    return load_run((runs or store()).get(name), backbone)


def load_mix(mix: Mix, members: Sequence[LoadedRun], backbone: Backbone) -> LoadedRun:
    """A mix of loaded runs as a run, with the path through training that the kind "path" needs. Errors of `mix_run`."""
    path = prefix_trajectory(members[0].run, backbone) if mix.kind == "path" else []
    return mix_run(mix, members, backbone, path)


def frozen_task(backbone: Backbone, input_format: str = "") -> Task:
    """How the frozen model reads a source, on a line of its own.

    `input_format`: see Task; by default "article" for an encoder-decoder model and "table" for others.
    """
    article = input_format == "article" if input_format else backbone.is_encoder_decoder
    return task_for_backbone(backbone, SUMMARIZATION if article else "e2e", input_format=input_format)


def task_of(run: LoadedRun | None, frozen: Task) -> Task:
    """How a run reads a source that the frozen model (None) reads as the task `frozen`.

    A run reads it as it was trained to; an article is an article also where the run's own task is on tables, as a text's is.
    """
    if run is None or (frozen.input_format == "article" != run.task.input_format):
        return frozen
    return run.task


def request_of(
    backbone: Backbone,
    source: str,
    run: LoadedRun | None = None,
    task: Task | None = None,
    seed: int = 0,
    form: str = "",
) -> Request:
    """The request for a run's text of a source, or the frozen model's where there is no run.

    `task`: how the frozen model reads the source, by default `frozen_task(backbone)`; see `task_of`. `form`: the input format of
    the source, for counting errors, where it is not that of the task.
    """
    frozen = task or frozen_task(backbone)
    task = task_of(run, frozen)
    # The triples of the paper begin with a blank that runs were trained with and nobody types.
    request = make_request(backbone, task, source if run else source.strip(), run.prefix if run else None, seed)
    try:
        errors = error_counter(form or task.input_format, source)
    except BadTable:  # a run on triples that is given a table
        errors = error_counter(frozen.input_format, source)
    return replace(request, errors=errors)


def write(
    backbone: Backbone,
    source: str,
    run: LoadedRun | None = None,
    decode: DecodeConfig | None = None,
    task: Task | None = None,
    stop: str = "",
    form: str = "",
) -> Generation:
    """A run's text of a source, or the frozen model's where there is no run. `source`: linearized, see `parse_input`.

    `decode`: by default that of a text which a person reads; `task`, `form`: see `request_of`; `stop`: a text that ends
    the generated one, as a blank line does after examples in the prompt.
    """
    decode = decode or default_decoding(task_of(run, task or frozen_task(backbone)).input_format)
    request = request_of(backbone, source, run, task, decode.seed, form)
    generation = generate(run.model if run else backbone.model, backbone, [request], decode)[0]
    return end_at(backbone, generation, stop) if stop else generation


def end_at(backbone: Backbone, generation: Generation, stop: str) -> Generation:
    """A generated text up to the first `stop` in it, with the tokens that it took to generate that."""
    for count in range(1, len(generation.ids) + 1):
        text, matched, _ = decode_text(backbone, generation.ids[:count]).partition(stop)
        if matched:
            return replace(generation, text=text, ids=generation.ids[:count], logprobs=generation.logprobs[:count], finish="eos")
    return generation
