"""What the controls of the Mix tab say, and which of it a backbone has."""

from dataclasses import replace

from app.mix.mixing import MixInput, input_of, sample_input
from app.mix.state import COUNTS, THREE, MixState
from app.shared import examples
from app.shared.catalog import PREFIX_METHODS, RunCatalog
from app.shared.last_comparison import ComparisonRecord
from app.space.state import joined
from core.errors import BadInput
from core.methods.loading import TEXT_RUN, LoadedRun
from core.models.backbone import Backbone

DEFAULT_TEXT = f"{TEXT_RUN}In one short sentence:"  # beside the only prefix of a backbone


def settle(state: MixState, catalog: RunCatalog, backbone: Backbone) -> tuple[MixState, list[str], list[str]]:
    """The state as far as it can be met on a backbone, the prefixes that can be chosen, and what was left out."""
    listed = [run.id for run in catalog.usable(PREFIX_METHODS, backbone)]
    kind = state.kind or ("fade" if len(listed) > 1 else "path")
    members = [run for run in state.members if run in listed or run.startswith(TEXT_RUN)]
    unavailable = tuple(run for run in (*state.unavailable, *state.members) if run not in (*members, *listed))
    notes = [f"Left out, as {backbone.spec.name} has no such prefix: {', '.join(unavailable)}."] if unavailable else []
    notes += state.problems
    if not (members or listed):
        raise BadInput(
            f"No run on {backbone.spec.name} has virtual tokens yet. Train a prefix on the Train tab, or choose another backbone."
        )
    members += [run for run in listed if run not in members][: max(0, COUNTS[kind] - len(members))]
    members += [DEFAULT_TEXT] * (COUNTS[kind] - len(members))
    members = members[: COUNTS[kind] + (kind in THREE)]
    return replace(state, kind=kind, runs=joined(members), unavailable=unavailable), listed, notes


def tasks_of(loaded: list[LoadedRun], backbone: Backbone) -> dict[str, str]:
    """Form of input -> name of a task, of the members that were trained; the backbone's own where none was."""
    trained = [run.run.task for run in loaded if not run.run.id.startswith(TEXT_RUN)]
    usual = {"article": ""} if backbone.is_encoder_decoder else {"table": ""}
    names: dict[str, str] = {}
    for task in trained:
        names.setdefault(task.input_format, task.name)
    return names or usual


def input_for(state: MixState, tasks: dict[str, str], record: ComparisonRecord | None) -> MixInput:
    """The example that is chosen, else what stands on Compare, else the example that the page opens with."""
    for form in tasks:
        sample = next((each for each in examples.samples(form) if each.id == state.example), None)
        if sample:
            return sample_input(form, sample)
    if record is not None and record.form in tasks:
        mix_input = input_of(record.form, record.source)
        sample = examples.matching(list(mix_input.fields), record.form, record.source)
        return sample_input(record.form, sample) if sample else mix_input
    form = next((form for form in tasks if examples.samples(form)), "")
    if not form:
        raise BadInput("These runs have no bundled example. Enter an input on Compare, generate, and open this tab again.")
    return sample_input(form, examples.opening(form))
