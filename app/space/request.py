"""What is asked of the Prefix space tab, and as much of it as can be met on a backbone."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from analysis.space.neighbor_analysis import EMBEDDINGS, LOGIT_LENS, SITE
from app.space import view
from app.space.analyses import AnalysisCache, SpaceQuery
from app.space.state import MOST, SpaceState, joined
from core.config.methods import method_info
from core.methods.loading import TEXT_RUN, UNSTORED
from core.models.backbone import Backbone
from core.runs.run import Run


@dataclass(frozen=True)
class SpaceRequest:
    """The controls as they stand. `layer` and `head` as they are shown: from 1, 0 for the last and for all.

    `token`: [run, number from 0], empty for the first; `site`: whose virtual tokens, of a model with several.
    """

    runs: tuple[str, ...]
    space: str
    layer: int
    head: int
    map: str
    whole: bool
    paths: bool
    word: str
    token: tuple[Any, ...]
    site: str = SITE

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> "SpaceRequest":
        """From the values of the page's controls by name (`SpacePage.request_inputs`)."""
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
        """For the address, with the virtual token that is looked at."""
        of = run if self.runs and run != self.runs[0] else ""
        word = "" if self.word.startswith("#") else self.word
        where = (joined(self.runs), self.space, self.layer, self.head, number + 1, of, self.map)
        return SpaceState(*where, int(self.whole), int(self.paths), word, self.site)


@dataclass(frozen=True)
class ResolvedRequest:
    """A request as it can be met. `drawn`: the runs that have a place in the space; `reason`: HTML, why there is nothing to show.

    `listed`: the runs of the backbone; `said`: what was left out, in sentences.
    """

    request: SpaceRequest
    drawn: tuple[str, ...]
    listed: Sequence[Run]
    said: Sequence[str]
    reason: str = ""

    @property
    def view(self) -> SpaceQuery:
        """What is computed for it."""
        request = self.request
        return SpaceQuery(
            request.space, request.layer - 1, request.head - 1 if request.head else None, self.drawn, request.whole, request.site
        )


def resolve(analyses: AnalysisCache, backbone: Backbone, request: SpaceRequest) -> ResolvedRequest:
    """Layer, head and runs that are there; the first run with virtual tokens where none is asked for."""
    spec, listed = backbone.spec, analyses.runs(backbone)
    known = {run.id: run for run in listed}
    asked = [run for run in request.runs if run in known or run.startswith(UNSTORED)][:MOST]
    said = [_lost(spec.name, [run for run in request.runs if run not in asked])] if len(asked) < len(request.runs) else []
    asked = asked or [run.id for run in listed if method_info(run.method).virtual_tokens][:1]
    site = request.site if request.site in spec.sites else SITE
    depth = spec.depth(site)
    request = replace(
        request,
        runs=tuple(asked),
        site=site,
        layer=request.layer if 1 <= request.layer <= depth else depth,
        head=request.head if request.head <= spec.kv_heads else 0,
    )
    drawn = tuple(run for run in asked if run.startswith(UNSTORED) or method_info(known[run].method).virtual_tokens)
    tuned = [known[run] for run in asked if run not in drawn]
    said += [f"{run.id} has no virtual tokens (its method is {run.method}), so it is not on the map." for run in tuned]
    if not drawn:
        return ResolvedRequest(request, (), listed, (), view.no_tokens(tuned) if tuned else view.no_runs(backbone))
    if request.space == LOGIT_LENS and site == "encoder":
        return ResolvedRequest(request, (), listed, said, view.no_lens(spec.name))
    if request.space == EMBEDDINGS:
        embedded = tuple(
            run for run in drawn if run.startswith(TEXT_RUN) or (run in known and method_info(known[run].method).at_input)
        )
        said += [f"{run} has no input embeddings, so it is not on the map." for run in drawn if run not in embedded]
        return ResolvedRequest(request, embedded, listed, said if embedded else (), "" if embedded else view.no_embeddings())
    return ResolvedRequest(request, drawn, listed, said)


def _number(value: object) -> int:
    """What was chosen, or typed, as a number; 0, which stands for the usual, where it is none."""
    return int(str(value)) if str(value).isdecimal() else 0


def _lost(name: str, runs: Sequence[str]) -> str:
    return f"Left out, as there is no such run on {name}, or more than {MOST} were asked for: {', '.join(runs)}."
