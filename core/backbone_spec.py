"""What a prefix must fit of a frozen model: its sizes, its family and the fingerprint of its weights. Pure data."""

from dataclasses import dataclass

CAUSAL, SEQ2SEQ = "causal", "seq2seq"


@dataclass(frozen=True)
class BackboneSpec:
    """What a prefix must fit. `fingerprint` ties runs to the weights; `sites` are where virtual tokens can stand.

    `layers`: of the decoder; `encoder_layers`: of the encoder, 0 where there is none.
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

    def depth(self, site: str) -> int:
        """Number of layers that have virtual tokens at a site."""
        return self.encoder_layers if site == "encoder" else self.layers

    def shape(self, site: str, length: int) -> tuple[int, int, int, int, int]:
        """Shape of a prefix of `length` virtual tokens at a site: (layers, 2, kv_heads, length, head_dim)."""
        return self.depth(site), 2, self.kv_heads, length, self.head_dim

    @property
    def window_note(self) -> str:
        """See `window_note`."""
        return window_note(self.name, self.window)


def window_note(name: str, window: int) -> str:
    """What a sliding window means for a prefix, as a sentence; "" without a window. PEFT puts a prefix into the cache, where the
    window passes over it as over any text."""
    if not window:
        return ""
    return (
        f"Some layers of {name} see {window:,} tokens back; the virtual tokens stay visible from every position there, too "
        "(in PEFT they leave the window as text does)."
    )
