"""What the Prefix space tab keeps in the page's address. Layers, heads and virtual tokens are counted from 1."""

from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import quote, unquote

from analysis.attention.maps import SITES
from analysis.space.neighbor_analysis import KEYS, SITE, SPACES
from app.shared.urlstate import State, url_field

MAPS = ("pca", "umap")
MOST = 4  # runs on one map


def _positive(value: int) -> bool:
    return 0 <= value < 100_000


def _switch(value: int) -> bool:
    return value in (0, 1)


@dataclass(frozen=True)
class SpaceState(State):
    """`layer` 0: the last one; `head` 0: all; `of`: the run whose token is chosen, empty for the first; `site` of several."""

    runs: str = url_field("", key="among")
    space: str = url_field(KEYS, lambda value: value in SPACES)
    layer: int = url_field(0, _positive, key="space-layer")
    head: int = url_field(0, _positive, key="space-head")
    token: int = url_field(1, lambda value: 1 <= value < 100_000, key="space-token")
    of: str = url_field("", key="space-of")
    map: str = url_field("pca", lambda value: value in MAPS)
    whole: int = url_field(0, _switch)
    paths: int = url_field(0, _switch)
    word: str = url_field("", lambda value: len(value) <= 100)
    site: str = url_field(SITE, lambda value: value in SITES, key="space-site")


def joined(runs: Sequence[str]) -> str:
    """Ids in one value: commas part them, and those inside a text are quoted."""
    return ",".join(quote(run, safe=" :/?!()'", errors="replace") for run in runs)


def parted(value: str) -> list[str]:
    """What `joined` joined."""
    return [unquote(part) for part in value.split(",") if part]
