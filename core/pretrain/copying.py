"""A BART that can copy before it has learned anything: a start, not a rule; training changes every number of it.

To mend a text is mostly to copy it, and a small model takes long to find out how: the encoder has to note at each
token which ones came before it, and the decoder to look where its last tokens are noted. Both are set up here in
a few heads, as found in trained models (Olsson et al. 2022, "induction heads"), from the word embeddings alone. The
three tokens before are noted, since one, such as "the", stands in many places.
"""

import math
from itertools import accumulate
from typing import Any

import torch
from torch.nn import functional as F

HEAD = 64  # dimensions of a head, of the places' subspace, and of the notes'
CODES = 32, 16, 16  # how many numbers note the last token, the one before it, and the one before that
POSITION_NORM = 1.2  # of a position's vector; words have about 2.5
LOOK_BACK = 1.3  # sharpness of the heads that look so many tokens back
MATCH = 2.8, 2.2, 2.2  # sharpness of the match of each code: about 30, 10 and 10 logits above the rest
NOTE, COPY = 1.6, 6.0  # how strongly the tokens before are noted, and the token found is copied


@torch.no_grad()
def start_copying(model: Any, layer: int = 1) -> None:
    """Set up the heads of a BART of at least 384 dimensions whose word embeddings are trained; positions are replaced.

    Words vary least in some directions: one such subspace is given to the positions, one to the notes.
    """
    words = F.layer_norm(model.model.shared.weight, model.model.shared.weight.shape[1:])  # (V, W) as the blocks see them
    mean = words.mean(0)
    spread, axes = torch.linalg.eigh(torch.cov((words - mean).T))  # ascending
    place, content = axes[:, :HEAD], axes.flip(1)[:, : 4 * HEAD]
    features = content[:, : max(CODES)].T / spread.flip(0)[: max(CODES), None].sqrt()  # (32, W), of unit variance
    codes = [features[:count] for count in CODES]
    parts = [slice(stop - count, stop) for count, stop in zip(CODES, accumulate(CODES), strict=True)]
    notes = [axes[:, HEAD : 2 * HEAD][:, part] for part in parts]

    rates = torch.cat([torch.linspace(0.3, 3.0, 24), torch.logspace(-2.5, -0.6, 8)])  # turns of a place's 32 pairs a token
    for side in (model.model.encoder, model.model.decoder):
        side.embed_positions.weight.copy_(_places(len(side.embed_positions.weight), rates) @ place.T)
        back = side.layers[0].self_attn
        own = int(side is model.model.decoder)  # its last token stands there itself: only those before it are noted
        for head, (code, note) in enumerate(zip(codes[own:], notes[own:], strict=True)):
            rows, used = (slice(head * HEAD, head * HEAD + size) for size in (HEAD, len(code)))
            back.k_proj.weight[rows] = LOOK_BACK * place.T
            back.q_proj.weight[rows] = LOOK_BACK * _turn(-(head + 1) * rates) @ place.T
            back.v_proj.weight[used], back.v_proj.bias[used] = code, -code @ mean
            back.out_proj.weight[:, used] = NOTE * note

    found = model.model.decoder.layers[layer].encoder_attn
    for head in range(4):  # each copies a quarter of a word's main directions
        rows = slice(head * HEAD, (head + 1) * HEAD)
        for index, (code, note, part, sharp) in enumerate(zip(codes, notes, parts, MATCH, strict=True)):
            here = slice(rows.start + part.start, rows.start + part.stop)
            asked = code if index == 0 else note.T / NOTE
            found.q_proj.weight[here], found.q_proj.bias[here] = sharp * asked, -sharp * asked @ mean
            found.k_proj.weight[here] = sharp * note.T / NOTE
        found.v_proj.weight[rows], found.v_proj.bias[rows] = content[:, rows].T, -content[:, rows].T @ mean
        found.out_proj.weight[:, rows] = COPY * content[:, rows]


def _places(count: int, rates: torch.Tensor) -> torch.Tensor:
    """(count, 64): sines and cosines of each place, in pairs."""
    angles = torch.arange(count)[:, None] * rates
    return torch.stack([angles.cos(), angles.sin()], dim=-1).flatten(1) * POSITION_NORM / math.sqrt(len(rates))


def _turn(rates: torch.Tensor) -> torch.Tensor:
    """(64, 64): the rotation that takes a place's vector to that of the place one step on."""
    return torch.block_diag(*(torch.tensor([[rate.cos(), -rate.sin()], [rate.sin(), rate.cos()]]) for rate in rates))
