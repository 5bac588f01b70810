"""What all tabs and pages of one app share. It is never copied into a page's state."""

from app.shared.catalog import RunCatalog
from app.shared.last_comparison import LastComparisons
from app.shared.model_pool import ModelPool
from app.shared.status import StatusLine
from app.shared.tickets import Tickets
from core.models.locate import DEFAULT
from core.runs.store import Store, store


class AppContext:
    """The shared state of an app. `default` names the first backbone, `device` is where models run."""

    def __init__(self, default: str = DEFAULT, device: str = "auto", runs: Store | None = None) -> None:
        self.store = runs or store()
        self.models = ModelPool(default, device, self.store)
        self.catalog = RunCatalog(self.store, self.models)
        self.comparisons = LastComparisons()
        self.tickets = Tickets()
        self.status = StatusLine()
