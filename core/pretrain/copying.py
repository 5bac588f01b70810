"""A BART that can copy before it has learned anything: a start, not a rule; training changes every number of it.

To mend a text is mostly to copy it, and a small model takes long to find out how: the encoder has to note at each
token which one came before it, and the decoder to look where its last token is noted. Both are set up here in
single heads, as found in trained models (Olsson et al. 2022, "induction heads"), from the word embeddings alone.
"""

import math
from typing import Any

import torch
from torch.nn import functional as F

HEAD = 64  # dimensions of a head, and of each subspace
POSITION_NORM = 1.2  # of a position's vector; words have about 2.5
SHARPNESS = 1.3, 1.8  # of the encoder's head and of the decoder's: a match is 15 to 25 logits above the rest
NOTE, COPY = 0.75, 3.0  # how strongly the token before is noted, and the token found is copied


@torch.no_grad()
def start_copying(model: Any, layer: int = 1) -> None:
    """Set up the two heads of a BART of at least 384 dimensions whose word embeddings are trained; positions are replaced.

    Words vary least in some directions: one such subspace is given to the positions, one to the notes.
    """
    words = F.layer_norm(model.model.shared.weight, model.model.shared.weight.shape[1:])  # (V, W) as the blocks see them
    mean = words.mean(0)
    spread, axes = torch.linalg.eigh(torch.cov((words - mean).T))  # ascending
    place, note, content = axes[:, :HEAD], axes[:, HEAD : 2 * HEAD], axes.flip(1)[:, : 4 * HEAD]
    whiten = content[:, :HEAD].T / spread.flip(0)[:HEAD, None].sqrt()  # (64, W): a word's main features, of unit variance

    rates = torch.cat([torch.linspace(0.3, 3.0, 24), torch.logspace(-2.5, -0.6, 8)])  # turns of a place's 32 pairs a token
    for side in (model.model.encoder, model.model.decoder):
        side.embed_positions.weight.copy_(_places(len(side.embed_positions.weight), rates) @ place.T)

    before = model.model.encoder.layers[0].self_attn
    before.k_proj.weight[:HEAD] = SHARPNESS[0] * place.T
    before.q_proj.weight[:HEAD] = SHARPNESS[0] * _turn(-rates) @ place.T
    before.v_proj.weight[:HEAD], before.v_proj.bias[:HEAD] = whiten, -whiten @ mean
    before.out_proj.weight[:, :HEAD] = NOTE * note

    found = model.model.decoder.layers[layer].encoder_attn
    for head in range(4):  # each copies a quarter of a word's main directions
        rows = slice(head * HEAD, (head + 1) * HEAD)
        found.q_proj.weight[rows], found.q_proj.bias[rows] = SHARPNESS[1] * whiten, -SHARPNESS[1] * whiten @ mean
        found.k_proj.weight[rows] = SHARPNESS[1] / NOTE * note.T
        found.v_proj.weight[rows] = content[:, rows].T
        found.out_proj.weight[:, rows] = COPY * content[:, rows]


def _places(count: int, rates: torch.Tensor) -> torch.Tensor:
    """(count, 64): sines and cosines of each place, in pairs."""
    angles = torch.arange(count)[:, None] * rates
    return torch.stack([angles.cos(), angles.sin()], dim=-1).flatten(1) * POSITION_NORM / math.sqrt(len(rates))


def _turn(rates: torch.Tensor) -> torch.Tensor:
    """(64, 64): the rotation that takes a place's vector to that of the place one step on."""
    return torch.block_diag(*(torch.tensor([[rate.cos(), -rate.sin()], [rate.sin(), rate.cos()]]) for rate in rates))
