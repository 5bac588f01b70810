"""The values of the Prefix space tab's controls, and their limits on a backbone."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from analysis.space.neighbor_analysis import EMBEDDINGS, LOGIT_LENS, SITE
from analysis.space.spaces import SITE_PHRASES
from app.compare.comparison import RUN_SLOTS
from app.compare.run_picker import select_runs
from app.compare.state import CompareState
from app.shared import urlstate
from app.shared.catalog import RunCatalog
from app.space import view
from app.space.analyses import AnalysisCache, SpaceQuery
from app.space.state import MOST, SpaceState, joined
from core.backbone_spec import BackboneSpec
from core.config.methods import method_info
from core.methods.loading import TEXT_RUN, UNSTORED
from core.models.backbone import Backbone
from core.runs.run import Run


@dataclass(frozen=True)
class SpaceRequest:
    """The values of the controls. `layer` and `head` count from 1; 0 is the last layer, and all heads.

    `token`: [run, number from 0], empty for the first; `site`: the site, in a model with several.
    """

    runs: tuple[str, ...]
    space: str
    layer: int
    head: int
    map: str
    whole: bool
    paths: bool
    word: str
    token: tuple[str | int, ...]
    site: str = SITE

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> "SpaceRequest":
        """Read the values of the page's controls by name (`SpacePage.request_inputs`)."""
        return cls(
            runs=tuple(dict.fromkeys(values["runs"] or ())),
            space=values["space"],
            layer=_number(values["layer"]),
            head=_number(values["head"]),
            map=values["map"],
            whole=bool(values["whole"]),
            paths=bool(values["paths"]),
            word=(values["word"] or "").strip(),
            token=tuple(values["token"] or ()),
            site=values["site"] or SITE,
        )

    def state(self, run: str, number: int) -> SpaceState:
        """Return the state for the address, with the chosen virtual token."""
        of = run if self.runs and run != self.runs[0] else ""
        word = "" if self.word.startswith("#") else self.word
        where = (joined(self.runs), self.space, self.layer, self.head, number + 1, of, self.map)
        return SpaceState(*where, int(self.whole), int(self.paths), word, self.site)


@dataclass(frozen=True)
class ResolvedRequest:
    """A request limited to what the backbone has. `on_map`: runs with vectors in the space; `available`: all of the backbone.

    `notes`: sentences on what is left out; `reason`: HTML, why there is nothing to show.
    """

    request: SpaceRequest
    on_map: tuple[str, ...]
    available: Sequence[Run]
    notes: Sequence[str]
    reason: str = ""

    @property
    def query(self) -> SpaceQuery:
        """What has to be computed for it."""
        request = self.request
        return SpaceQuery(
            request.space, request.layer - 1, request.head - 1 if request.head else None, self.on_map, request.whole, request.site
        )


def compared_run(catalog: RunCatalog, backbone: Backbone, search: str) -> str:
    """Return the run of Compare's prefix column, from the page's address; "" if there is none."""
    state = urlstate.read(search, CompareState)
    return select_runs(catalog, backbone, state.task, {slot: getattr(state, slot) for slot in RUN_SLOTS}).run_ids["prefix"]


def resolve(analyses: AnalysisCache, backbone: Backbone, request: SpaceRequest, default: str = "") -> ResolvedRequest:
    """Limit a request to existing layers, heads and runs; without a run, use `default` if it has virtual tokens, else the first
    that has."""
    spec, available = backbone.spec, analyses.runs(backbone)
    known = {run.id: run for run in available}
    runs = [run for run in request.runs if run in known or run.startswith(UNSTORED)]
    unknown, surplus = [run for run in request.runs if run not in runs], runs[MOST:]
    notes = [f"Left out, as there is no such run on {spec.name}: {', '.join(unknown)}."] if unknown else []
    notes += [f"Left out, as a map shows {MOST} runs at most: {', '.join(surplus)}."] if surplus else []
    runs = runs[:MOST]
    usable = [run.id for run in available if method_info(run.method).virtual_tokens]
    runs = runs or ([default] if default in usable or default.startswith(UNSTORED) else usable[:1])
    site = request.site if request.site in spec.sites else SITE
    depth = spec.depth(site)
    notes += _absent(request, site, spec)
    request = replace(
        request,
        runs=tuple(runs),
        site=site,
        layer=request.layer if 1 <= request.layer <= depth else depth,
        head=request.head if request.head <= spec.kv_heads else 0,
    )
    on_map = tuple(run for run in runs if run.startswith(UNSTORED) or method_info(known[run].method).virtual_tokens)
    tuned = [known[run] for run in runs if run not in on_map]
    notes += [f"{run.id} has no virtual tokens (its method is {run.method}), so it is not on the map." for run in tuned]
    if not on_map:
        return ResolvedRequest(request, (), available, (), view.no_tokens(tuned) if tuned else view.no_runs(backbone))
    if request.space == LOGIT_LENS and site == "encoder":
        return ResolvedRequest(request, (), available, notes, view.no_lens(spec.name))
    if request.space == EMBEDDINGS:
        embedded = tuple(
            run for run in on_map if run.startswith(TEXT_RUN) or (run in known and method_info(known[run].method).at_input)
        )
        notes += [f"{run} has no input embeddings, so it is not on the map." for run in on_map if run not in embedded]
        return ResolvedRequest(request, embedded, available, notes if embedded else (), "" if embedded else view.no_embeddings())
    return ResolvedRequest(request, on_map, available, notes)


def _number(value: object) -> int:
    """Return the value of a drop-down, which may be typed, as a number; 0, the default, if it is none."""
    return int(str(value)) if str(value).isdecimal() else 0


def _absent(request: SpaceRequest, site: str, spec: BackboneSpec) -> list[str]:
    """Sentences that name a requested site, layer or head that the backbone does not have, and what is shown instead."""
    sentences, depth, where = [], spec.depth(site), SITE_PHRASES[site]
    if site != request.site:
        sentences.append(f"There is no site {request.site!r}: {spec.name} has {', '.join(spec.sites)}; {site} is shown instead.")
    if request.layer > depth:
        sentences.append(f"There is no layer {request.layer}{where}: {spec.name} has {depth}. Layer {depth} is shown instead.")
    if request.head > spec.kv_heads:
        sentences.append(
            f"There is no head {request.head}: {spec.name} has {spec.kv_heads}. All heads together are shown instead."
        )
    return sentences
