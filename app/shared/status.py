"""The status line. All activities of a page report here, so that it shows what is true now, not the last report."""

import threading
from collections.abc import Sequence
from dataclasses import dataclass

from app.shared.cache import Cache
from app.shared.html import tag, text

DOTS = {"idle": "Ready", "loading": "Loading", "running": "Running", "done": "Done", "cancelled": "Stopped", "error": "Problem"}
UNDER_WAY = ("loading", "running")
PAGES = 256


@dataclass(frozen=True)
class Report:
    """The last report of an activity. `phase` is a key of DOTS; `tab`: the id of the tab that it belongs to, empty for all."""

    phase: str
    sentence: str
    tab: str = ""


class StatusLine:
    """The last report of each activity of each page, in the order in which they began."""

    def __init__(self, pages: int = PAGES) -> None:
        self._reports: Cache[str, dict[str, Report]] = Cache(pages)
        self._lock = threading.Lock()

    def report(self, page: str, activity: str, phase: str, sentence: str, tab: str = "") -> str:
        """Store a report, and return the status line: of what is in progress, or else of everything, the report of the activity
        that began last. A problem comes before what began earlier and is done.

        `activity`: a short name such as "examples"; the names of others in progress are added. `tab`: see `Report`.
        """
        with self._lock:
            reports = self._reports.get_or_compute(page, dict)
            before = reports.get(activity)
            if before is None or before.phase not in UNDER_WAY or phase == "error":
                reports.pop(activity, None)  # it begins, or has a problem: last in the order
            reports[activity] = Report(phase, sentence, tab)
            return self._line(reports)

    def begin(self, page: str, activity: str) -> None:
        """Note that an activity is asked for again, perhaps before it has ended; its next report follows."""
        with self._lock:
            reports = self._reports.get_or_compute(page, dict)
            if activity in reports:
                reports[activity] = reports.pop(activity)

    def clear(self, page: str, activity: str) -> str:
        """Forget an activity, and return the status line."""
        with self._lock:
            reports = self._reports.get_or_compute(page, dict)
            reports.pop(activity, None)
            return self._line(reports)

    @staticmethod
    def _line(reports: dict[str, Report]) -> str:
        if not reports:
            return line("idle", "")
        busy = [activity for activity, report in reports.items() if report.phase in UNDER_WAY]
        newest = busy[-1] if busy else next(reversed(reports))
        report = reports[newest]
        others = f" Also under way: {', '.join(busy[:-1])}." if len(busy) > 1 else ""
        return line(report.phase, report.sentence + others, busy, report.tab)


def line(phase: str, sentence: str, under_way: Sequence[str] = (), tab: str = "") -> str:
    """Return the HTML of the status line: a word for the phase, and a sentence. For the page: `under_way`, the activities in
    progress, and the `tab` that is reported on; the report of a tab that is not open is shown only while its work goes on."""
    return tag(
        "div",
        tag("b", DOTS[phase]) + tag("span", text(sentence), title=sentence or None),
        cls=f"status {phase}",
        role="status",
        data_phase=phase,
        data_under_way=" ".join(under_way) or None,
        data_tab=tab or None,
    )
