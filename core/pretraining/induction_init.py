"""Initialise models so that they can copy before training, which can change every parameter.

Describing a table and restoring a text are mostly copying, which a small model takes long to learn: each token has to record
the tokens before it, and to attend to where the last tokens are recorded. Both steps are set up here in a few heads, as they
occur in trained models (Olsson et al. 2022, "induction heads"), from the word embeddings alone. Three preceding tokens are
recorded, since a single one, such as "the", occurs in many places.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import cast

import torch
from torch.nn import functional as F
from transformers import AutoModelForCausalLM, BartForConditionalGeneration, GPT2LMHeadModel
from transformers.models.bart.modeling_bart import BartAttention

from core import paths
from core.errors import BadInput

HEAD = 64  # dimensions of a head, of the places' subspace, and of the notes'
CODES = 32, 16, 16  # how many numbers note the last token, the one before it, and the one before that
POSITION_NORM = 1.2  # of a position's vector; words have about 2.5
LOOK_BACK = 1.3  # sharpness of the heads that look so many tokens back
MATCH = 2.8, 2.2, 2.2  # sharpness of the match of each code: about 30, 10 and 10 logits above the rest
NOTE, COPY = 1.6, 6.0  # how strongly the tokens before are noted, and the matching token is copied
UNSURE = 0.3  # of the final norm's gain: an untrained model should not be confident


def trained(start: str, width: int) -> GPT2LMHeadModel:
    """Load the GPT-2 that a run starts from: a bundled one by its name, or one in a folder by its absolute path."""
    folder = paths.MODELS / start
    try:
        model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, local_files_only=True)
    except (OSError, ValueError) as error:
        raise BadInput(f"No model could be opened in {folder}: {error}") from error
    shape = model.config
    if shape.model_type != "gpt2" or shape.n_embd != width:
        what = f"a {shape.model_type} of width {getattr(shape, 'hidden_size', 'unknown')}"
        raise BadInput(f"A run of width {width} begins with the words of a GPT-2 of that width; {folder.name} is {what}.")
    return cast(GPT2LMHeadModel, model)


@torch.no_grad()
def start_bart(model: BartForConditionalGeneration, donor: GPT2LMHeadModel) -> None:
    """Initialise a BART of at least 384 dimensions with the word embeddings of a trained GPT-2, and copying heads.

    The GPT-2's final norm scales hidden states for these embeddings as the unembedding. New tokens get random embeddings of the
    same standard deviation.
    """
    words, encoder, decoder = donor.transformer.wte.weight, model.model.encoder, model.model.decoder
    model.model.shared.weight.normal_(std=float(words.std()))
    model.model.shared.weight[: len(words)] = words
    decoder.layers[-1].final_layer_norm.load_state_dict(donor.transformer.ln_f.state_dict())
    decoder.layers[-1].final_layer_norm.weight.mul_(UNSURE)
    axes = _Axes.of(model.model.shared.weight)
    for side in (encoder, decoder):
        side.embed_positions.weight.copy_(axes.places(len(side.embed_positions.weight)))
    _note_heads(encoder.layers[0].self_attn, axes, axes.notes, CODES)
    _note_heads(decoder.layers[0].self_attn, axes, axes.notes[1:], CODES[1:])  # its last token stands there itself
    queries = axes.code(CODES[0]), axes.notes[1].T / NOTE, axes.notes[2].T / NOTE
    _copy_heads(decoder.layers[1].encoder_attn, axes, queries)


@dataclass(frozen=True)
class _Axes:
    """Splits the embedding space along directions of low variance: a subspace for positions, one for records of tokens."""

    mean: torch.Tensor  # (W,) of the words as the blocks see them, normalised
    spread: torch.Tensor  # (W,) their variance along each axis, ascending
    axes: torch.Tensor  # (W, W)

    @classmethod
    def of(cls, embeddings: torch.Tensor) -> "_Axes":
        words = F.layer_norm(embeddings, embeddings.shape[1:])  # (V, W)
        return cls(words.mean(0), *torch.linalg.eigh(torch.cov((words - words.mean(0)).T)))

    @property
    def place(self) -> torch.Tensor:
        return self.axes[:, :HEAD]

    @property
    def notes(self) -> list[torch.Tensor]:
        return list(self.axes[:, HEAD : 2 * HEAD].split(CODES, dim=1))

    @property
    def content(self) -> torch.Tensor:
        return self.axes.flip(1)[:, : 4 * HEAD]

    def code(self, count: int) -> torch.Tensor:
        """Return (count, W): the code that identifies each token, with unit variance."""
        return self.content[:, :count].T / self.spread.flip(0)[:count, None].sqrt()

    @property
    def rates(self) -> torch.Tensor:
        """Return the rotations per token of a position's 32 pairs."""
        return torch.cat([torch.linspace(0.3, 3.0, 24), torch.logspace(-2.5, -0.6, 8)])

    def places(self, count: int) -> torch.Tensor:
        """Return (count, W): sines and cosines of each position, in pairs."""
        angles = torch.arange(count)[:, None] * self.rates
        pairs = torch.stack([angles.cos(), angles.sin()], dim=-1).flatten(1)
        return pairs * POSITION_NORM / math.sqrt(HEAD / 2) @ self.place.T


def _note_heads(attention: BartAttention, axes: _Axes, notes: Sequence[torch.Tensor], counts: Sequence[int]) -> None:
    """Make head h attend h + 1 tokens back, and record the code of the token there."""
    for head, (note, count) in enumerate(zip(notes, counts, strict=True)):
        rows, used = (slice(head * HEAD, head * HEAD + size) for size in (HEAD, count))
        code = axes.code(count)
        attention.k_proj.weight[rows] = LOOK_BACK * axes.place.T
        attention.q_proj.weight[rows] = LOOK_BACK * _turn(-(head + 1) * axes.rates) @ axes.place.T
        attention.v_proj.weight[used], attention.v_proj.bias[used] = code, -code @ axes.mean
        attention.out_proj.weight[:, used] = NOTE * note


def _copy_heads(attention: BartAttention, axes: _Axes, queries: Sequence[torch.Tensor]) -> None:
    """Make four heads attend to where the last tokens are recorded; each copies a quarter of the main directions of the token
    there."""
    parts = [slice(stop - count, stop) for count, stop in zip(CODES, accumulate(CODES), strict=True)]
    for head in range(4):
        rows = slice(head * HEAD, (head + 1) * HEAD)
        for index, (query, note, part, sharp) in enumerate(zip(queries, axes.notes, parts, MATCH, strict=True)):
            here = slice(rows.start + part.start, rows.start + part.stop)
            attention.q_proj.weight[here] = sharp * query
            attention.q_proj.bias[here] = -sharp * query @ axes.mean if index == 0 else 0.0
            attention.k_proj.weight[here] = sharp * note.T / NOTE
        quarter = axes.content[:, rows]
        attention.v_proj.weight[rows], attention.v_proj.bias[rows] = quarter.T, -quarter.T @ axes.mean
        attention.out_proj.weight[:, rows] = COPY * quarter


def _turn(rates: torch.Tensor) -> torch.Tensor:
    """Return the rotation (64, 64) from a position's vector to that of the next position."""
    return torch.block_diag(*(torch.tensor([[rate.cos(), -rate.sin()], [rate.sin(), rate.cos()]]) for rate in rates))
