"""What the Attention tab keeps in the address."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace

from analysis.attention.maps import SITE, SITES
from app.compare.comparison import SLOTS
from app.shared.urlstate import State, url_field
from core.prefix.interventions import Intervention, Location
from core.text.checks import listing

ALPHAS = {0.0: "0", 0.25: "¼", 0.5: "½", 1.0: "1", 2.0: "2", 4.0: "4"}
GROUPS = ("prefix", "source", "written")  # as analysis/attention/maps.py numbers them
SAME = "same"  # beside a run that is turned up or down: the same run, untouched
MOST = 1000  # layers or heads that an address may count
_PLACE = re.compile(r"(?:(encoder|decoder|cross)-)?(?=[PL])(?:P(\d{1,4}))?(?:L(\d{1,3}))?")


def places(out: str) -> list[Location]:
    """The knock-outs in "P3.L2.P1L4.cross-P3" as (site, layer, virtual token) from 0, None for all of them.

    Raises ValueError if the text is no such list.
    """
    locations = []
    for part in filter(None, out.split(".")):
        match = _PLACE.fullmatch(part)
        if match is None:
            raise ValueError(part)
        token, layer = (int(number) - 1 if number else None for number in match.groups()[1:])
        if token == -1 or layer == -1:
            raise ValueError(part)
        locations.append((match[1], layer, token))
    return locations


def _readable(out: str) -> bool:
    return len(places(out)) <= 200


@dataclass(frozen=True)
class AttentionState(State):
    """`column`: whose text (empty: the prefix's where there is one); `beside`: who else reads it: a run, a column's kind or SAME.

    `layer` and `head` count from 1, 0 is none; `out` is what `places` reads; `group`: on whose mass the heads are shown.
    Of a model with several sites: `site` is the one shown, empty for the first to look at; `alpha` is that of the decoder's own
    attention, `encoder` and `cross` those of the others. An article is shown by sentences unless `unit` says tokens; `sentence`,
    from 1: whose tokens can be chosen where not all can.
    """

    column: str = url_field("", lambda value: value in SLOTS, key="text")
    beside: str = url_field("", lambda value: len(value) <= 2000)
    layer: int = url_field(0, lambda value: 0 <= value <= MOST)
    head: int = url_field(0, lambda value: 0 <= value <= MOST)
    alpha: float = url_field(1.0, lambda value: value in ALPHAS)
    out: str = url_field("", _readable)
    group: str = url_field("prefix", lambda value: value in GROUPS, key="on")
    weigh: str = url_field("", lambda value: value in ("", "values"))
    site: str = url_field("", lambda value: value in ("", *SITES))
    encoder: float = url_field(1.0, lambda value: value in ALPHAS, key="alpha-encoder")
    cross: float = url_field(1.0, lambda value: value in ALPHAS, key="alpha-cross")
    unit: str = url_field("", lambda value: value in ("", "tokens"))
    sentence: int = url_field(1, lambda value: 1 <= value <= 10_000)

    def level(self, site: str) -> float:
        """The α of a site."""
        return self.alpha if site == SITE else getattr(self, site)

    def turned(self, name: str, value: str, layers: int = MOST, heads: int = MOST) -> "AttentionState":
        """The state after a control was used; unchanged if the value cannot be used. Steps end at the last layer and head."""
        try:
            if name == "out":
                return self._toggled(str(value))
            if name == "reset":
                return replace(self, alpha=1.0, encoder=1.0, cross=1.0, out="")
            if name == "step":
                return replace(self, layer=_stepped(self.layer, int(value), layers), head=self.head or 1)
            if name == "head-step":
                return replace(self, head=_stepped(self.head, int(value), heads), layer=self.layer or 1)
            if name == "everywhere":  # a site's α at every site
                level = self.level(value) if value in SITES else 1.0
                return replace(self, alpha=level, encoder=level, cross=level)
            if name == "unit" and value == "tokens" and not (self.layer and self.head):
                return replace(self, unit=value, layer=1, head=1)  # tokens are shown of one head
            attribute = next(one for one in self.__dataclass_fields__.values() if one.name == name and "key" in one.metadata)
            changed = type(getattr(self, name))(value)
            return replace(self, **{name: changed}) if attribute.metadata["check"](changed) else self
        except (ValueError, TypeError, StopIteration):
            return self

    def _toggled(self, place: str) -> "AttentionState":
        places(place)
        knocked_out = [part for part in self.out.split(".") if part]
        rest = [part for part in knocked_out if part not in (place, place.partition("-")[2])]  # or that of every site
        return replace(self, out=".".join([*knocked_out, place] if rest == knocked_out else rest))

    def intervention(self, length: int, depths: Mapping[str, int]) -> Intervention:
        """The intervention on a prefix of `length` virtual tokens; places that it does not have are left out."""
        site_alphas = {(site, self.level(site)) for site in depths if self.level(site) != self.alpha}
        intervention = Intervention(self.alpha, site_alphas=frozenset(site_alphas))
        for place in places(self.out):
            if _is_there(place, length, depths):
                intervention = intervention.without(place[2], place[1], place[0])
        return intervention

    def knocked_out(self, length: int, depths: Mapping[str, int]) -> list[str]:
        """The places of `out` that the prefix has, in words, those of a site together: "P3 and L4 in the encoder"."""
        missing = self.missing(length, depths)
        by_site: dict[str, list[str]] = {}
        for part in self.out.split("."):
            if part and part not in missing:
                site, _, place = part.rpartition("-")
                by_site.setdefault(site, []).append(place)
        everywhere = by_site.pop("", [])
        return everywhere + [f"{listing(at_site)} in {SITES[site]}" for site, at_site in by_site.items()]

    def missing(self, length: int, depths: Mapping[str, int]) -> list[str]:
        """The places of `out` that the prefix does not have."""
        parts = filter(None, self.out.split("."))
        return [part for part, place in zip(parts, places(self.out), strict=True) if not _is_there(place, length, depths)]


def _stepped(number: int, by: int, last: int) -> int:
    """The layer or head that a step leads to, from 1 to `last`."""
    return min(max(1, min(number, last) + by), last)


def _is_there(place: Location, length: int, depths: Mapping[str, int]) -> bool:
    site, layer, token = place
    layers = max(depths.values()) if site is None else depths.get(site, 0)
    return layers > 0 and (token is None or token < length) and (layer is None or layer < layers)
