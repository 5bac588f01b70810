"""What the Results tab shows, as it stands in the address."""

from dataclasses import dataclass, replace
from typing import Any

from analysis.experiments.desk import AXES, RUN_COLUMNS
from analysis.experiments.tables import METRICS, grid_names
from app.shared.urlstate import State, url_field

GRIDS = grid_names()
VIEWS = (*GRIDS, "evidence", "scatter", "runs")
MOST_TICKED = 6  # runs whose losses are drawn together
ALL = "all"  # every metric, a row for each source


@dataclass(frozen=True)
class ResultsState(State):
    """`data`: the data set, empty for the first; `metric`: one for a column per source, ALL for a row per source.

    `number`: the result whose texts are open; `sort`: a column of the runs, downwards with "-" before it; `ticked`: ids of runs.
    """

    view: str = url_field("table1", lambda value: value in VIEWS, key="results")
    data: str = url_field("", lambda value: value in ("", *METRICS), key="set")
    metric: str = url_field("", lambda value: len(value) <= 30)
    number: str = url_field("", lambda value: len(value) <= 200)
    x: str = url_field("stored", lambda value: value in AXES, key="scatter-x")
    y: str = url_field("BLEU", lambda value: value in AXES, key="scatter-y")
    ticked: str = url_field("", lambda value: len(value) <= 1000)
    sort: str = url_field("", lambda value: value.removeprefix("-") in ("", *RUN_COLUMNS))
    words: str = url_field("", lambda value: len(value) <= 100, key="with")
    by: str = url_field("update", lambda value: value in ("update", "seconds"), key="losses-by")

    @property
    def runs(self) -> list[str]:
        """The ticked runs."""
        return [run for run in self.ticked.split(",") if run][:MOST_TICKED]

    def after(self, name: str, value: object) -> "ResultsState":
        """After a control was used; as it is where the page sent nothing usable."""
        if name == "tick":
            runs = [run for run in self.runs if run != value] if value in self.runs else [*self.runs, str(value)]
            return replace(self.settled(), ticked=",".join(runs[-MOST_TICKED:]))
        if name == "number" and value == self.number:
            return replace(self.settled(), number="")
        field = next((one for one in self.__dataclass_fields__.values() if one.name == name and "key" in one.metadata), None)
        if field is None or not isinstance(value, str) or not (field.metadata["check"] is None or field.metadata["check"](value)):
            return self
        if name == "sort" and value == self.sort:
            value = value[1:] if value.startswith("-") else f"-{value}"
        closed = {"view": ("data", "metric", "number"), "data": ("metric", "number")}.get(name, ())
        changes: dict[str, Any] = dict.fromkeys(closed, "") | {name: value}
        return replace(self.settled(), **changes)
