"""The sizes, family and weight fingerprint of a frozen model, as plain data. A prefix has to match them."""

from dataclasses import dataclass

CAUSAL, SEQ2SEQ = "causal", "seq2seq"


@dataclass(frozen=True)
class BackboneSpec:
    """The properties of a model that a prefix has to match.

    `fingerprint` identifies the weights that a run belongs to; `sites` lists where virtual tokens can be placed. `layers`
    counts the decoder's layers, `encoder_layers` the encoder's (0 in a model without one).
    """

    name: str
    origin: str  # "bundled", "folder" or "hub"
    family: str  # CAUSAL or SEQ2SEQ (core/models/architectures.py)
    layers: int
    heads: int
    kv_heads: int
    head_dim: int
    width: int
    vocabulary: int
    positions: int
    parameters: int
    fingerprint: str
    sites: tuple[str, ...] = ("decoder",)
    where: str = ""  # what `load_backbone` finds it by again
    encoder_layers: int = 0
    revision: str = ""  # the commit of a hub model
    window: int = 0  # how many tokens back its windowed layers see; 0 where every layer sees all

    @property
    def is_encoder_decoder(self) -> bool:
        """Whether an encoder reads the input and a decoder writes the output, as in BART."""
        return self.family == SEQ2SEQ

    @property
    def source(self) -> str:
        """The argument with which `load_backbone` loads the same weights again: a folder, or a hub name with its revision."""
        return self.where + (f"@{self.revision}" if self.revision else "")

    def depth(self, site: str) -> int:
        """Return the number of layers at a site."""
        return self.encoder_layers if site == "encoder" else self.layers

    @property
    def depths(self) -> dict[str, int]:
        """The number of layers at each site."""
        return {site: self.depth(site) for site in self.sites}

    def shape(self, site: str, length: int) -> tuple[int, int, int, int, int]:
        """Return the shape of a prefix of `length` virtual tokens at a site: (layers, 2, kv_heads, length, head_dim)."""
        return self.depth(site), 2, self.kv_heads, length, self.head_dim

    @property
    def window_note(self) -> str:
        """Return the `window_note` of this model."""
        return window_note(self.name, self.window)


def window_note(name: str, window: int) -> str:
    """Return a sentence on what a model's sliding window means for a prefix; "" for a model without one.

    PEFT keeps a prefix in the cache, where the window moves past it as it moves past any text.
    """
    if not window:
        return ""
    return (
        f"Some layers of {name} see {window:,} tokens back; the virtual tokens stay visible from every position there, too "
        "(in PEFT they leave the window as text does)."
    )
