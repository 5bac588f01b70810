"""What the controls of the Mix tab say, and which of it a backbone has."""

from dataclasses import replace

from app.compare.as_python import request_on_page
from app.mix.mixing import MixInput, input_of, sample_input
from app.mix.state import COUNTS, THREE, MixState
from app.shared import examples
from app.shared.catalog import PREFIX_METHODS, RunCatalog
from app.shared.context import AppContext
from app.space.state import joined, parted
from core.errors import BadInput, PrefixLabError
from core.methods.loading import TEXT_RUN, LoadedRun
from core.models.backbone import Backbone
from core.prefix.mix import PAIRED
from core.runs.run import Run

DEFAULT_TEXT = f"{TEXT_RUN}In one short sentence:"  # beside the only prefix of a backbone
Compared = tuple[str, str] | None  # form and source of the input on Compare


def settle(state: MixState, catalog: RunCatalog, backbone: Backbone) -> tuple[MixState, list[str], list[str]]:
    """The state as far as it can be met on a backbone, the prefixes that can be chosen, and what was left out."""
    usable = catalog.usable(PREFIX_METHODS, backbone)
    listed = [run.id for run in usable]
    kind, requested = state.kind or ("fade" if len(listed) > 1 else "path"), parted(state.runs)
    if kind == "path" and any(run.startswith(TEXT_RUN) for run in requested):
        state = state.remarked("A text prefix was not trained, so there is nothing to go along. A run is mixed instead.")
        requested = [run for run in requested if not run.startswith(TEXT_RUN)]
    members = [run for run in requested if run in listed or run.startswith(TEXT_RUN)]
    unavailable = tuple(run for run in (*state.unavailable, *requested) if run not in (*members, *listed))
    most = COUNTS[kind] + (kind in THREE)
    if surplus := members[most:]:
        state = state.remarked(f"Left out, as this kind of mix takes no more than {most}: {', '.join(surplus)}.")
    notes = [f"Left out, as {backbone.spec.name} has no such prefix: {', '.join(unavailable)}."] if unavailable else []
    notes += state.problems
    if not (members or listed):
        raise BadInput(
            f"No run on {backbone.spec.name} has virtual tokens yet. Train a prefix on the Train tab, or choose another backbone."
        )
    fitting = sorted(usable, key=lambda run: _fit(kind, run, next((one for one in usable if one.id in members), usable[0])))
    members += [run.id for run in fitting if run.id not in members][: max(0, COUNTS[kind] - len(members))]
    members += [DEFAULT_TEXT] * (COUNTS[kind] - len(members))
    return replace(state, kind=kind, runs=joined(members[:most]), unavailable=unavailable), listed, notes


def _fit(kind: str, run: Run, first: Run) -> tuple[bool, bool, bool]:
    """How well a run goes beside the first one, least for the best: that one itself, one that can be paired with it token by
    token where the kind asks for it, one of another task."""
    paired = kind in PAIRED and run.config.get("length") != first.config.get("length")
    return run is not first, paired, run.task.name == first.task.name


def input_on_compare(context: AppContext, search: str, page: str) -> Compared:
    """The input on Compare, also while its texts are still being written; None if it cannot be read."""
    try:
        request, _ = request_on_page(context, search, page)
    except PrefixLabError:
        return None
    return request.form, request.source


def tasks_of(loaded: list[LoadedRun], backbone: Backbone) -> dict[str, str]:
    """Form of input -> name of a task, of the members that were trained; the backbone's own where none was."""
    trained = [run.run.task for run in loaded if not run.run.id.startswith(TEXT_RUN)]
    usual = {"article": ""} if backbone.is_encoder_decoder else {"table": ""}
    names: dict[str, str] = {}
    for task in trained:
        names.setdefault(task.input_format, task.name)
    return names or usual


def input_for(state: MixState, tasks: dict[str, str], compared: Compared) -> MixInput:
    """The example that is chosen, else the input on Compare (its form and source), else an example of the first task."""
    for form in tasks:
        sample = next((each for each in examples.samples(form) if each.id == state.example), None)
        if sample:
            return sample_input(form, sample)
    if compared is not None and compared[0] in tasks:
        mix_input = input_of(*compared)
        sample = examples.matching(list(mix_input.fields), *compared)
        return sample_input(compared[0], sample) if sample else mix_input
    form = next((form for form in tasks if examples.samples(form)), "")
    if not form:
        raise BadInput("These runs have no bundled example. Enter an input on Compare, generate, and open this tab again.")
    return sample_input(form, examples.opening(form))
