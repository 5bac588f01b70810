"""Denoising with a small BART, the recipe of mini-bart.

The source is a text with its sentences shuffled and spans masked; the target is the text. Some steps use pseudo-summaries
instead, generated from the rest of their text: the opening sentence of an encyclopedia article, or the sentence that shares
most with the others (a gap sentence, Zhang et al. 2020, "PEGASUS"). Most early steps use windows of half the positions, the
last ones windows of all positions.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from tokenizers import Tokenizer
from torch.nn import functional as F
from transformers import BartConfig, BartForConditionalGeneration

from core.pretraining.config import PretrainConfig
from core.pretraining.continued import continue_from
from core.pretraining.corpus import END_ID, Documents, usable
from core.pretraining.induction_init import start_bart, trained
from core.pretraining.noise import Sentences, infill, permute
from core.pretraining.withheld import is_news

BEGIN, PAD, MASK = "<s>", "<pad>", "<mask>"  # the ids after the tokenizer's own
# Around an article; half of the sources are the article alone, as a task will give it.
LAYOUTS = (("", ""), ("", ""), ("", ""), ("Article:\n", ""), ("", "\nSummary:"), ("In one sentence:\n", ""))
OPENING_TOKENS = (10, 90)
REST_TOKENS = 64
MIN_COVERAGE = 0.5  # share of an opening's different tokens that its article must hold
EARLY_FULL = 0.25  # share of the early steps that take all positions too, lest the later ones fall behind
TRIES = 10_000
MICRO_TOKENS = 3072  # padded source and target tokens that one forward pass takes


def _encyclopedic(stream: str) -> bool:
    return stream.startswith("wikipedia")


@dataclass(frozen=True)
class Pairs:
    """Padded source and target ids (B, S) and (B, T), each row `<s> … <|endoftext|>`, with the lengths of the rows."""

    source: torch.Tensor
    source_lengths: torch.Tensor
    target: torch.Tensor
    target_lengths: torch.Tensor

    @property
    def targets(self) -> int:
        return int(self.target_lengths.sum())

    @property
    def tokens(self) -> int:
        return int(self.source_lengths.sum()) + self.targets


class Denoising:
    """The denoising recipe: model, batches, loss and validation, called by the training loop."""

    valid_names: tuple[str, ...] = ("mix", "denoising", "summaries", "gaps")

    autocast = True

    def __init__(self, config: PretrainConfig, folder: Path) -> None:
        self.config, self.folder = config, folder
        self.tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        self.begin, self.pad, self.mask = (self.tokenizer.get_vocab_size() + place for place in range(3))
        self.sentences = Sentences(self.tokenizer.get_vocab())
        self.layouts = [tuple(np.array(self.tokenizer.encode(part).ids, dtype=np.int64) for part in pair) for pair in LAYOUTS]

    # ------------------------------------------------------------------------------- the model

    def new_model(self, device: torch.device) -> BartForConditionalGeneration:
        """Create a BART of the configured shape on the CPU, randomly initialised from the seed; it is trained on `device`."""
        config = self.config
        torch.manual_seed(config.seed)
        shape = BartConfig(  # type: ignore[call-arg]
            vocab_size=config.vocabulary,
            max_position_embeddings=config.positions,
            d_model=config.width,
            encoder_layers=config.layers,
            decoder_layers=config.decoder_layers,
            encoder_ffn_dim=config.inner or 4 * config.width,
            decoder_ffn_dim=config.inner or 4 * config.width,
            encoder_attention_heads=config.heads,
            decoder_attention_heads=config.heads,
            dropout=0.0,
            attention_dropout=0.0,
            activation_dropout=0.0,
            bos_token_id=self.begin,
            pad_token_id=self.pad,
            eos_token_id=END_ID,
            decoder_start_token_id=END_ID,  # as in BART: the end, then <s>, then the text
            forced_bos_token_id=None,
            forced_eos_token_id=None,
            tie_word_embeddings=True,
            attn_implementation="sdpa" if device.type == "cuda" else "eager",  # plain products: a quarter faster on a CPU
        )
        return BartForConditionalGeneration(shape)

    def initialise(self, model: BartForConditionalGeneration) -> None:
        """Give a new model the weights that the run starts from, if any. Raises BadInput if they are not available."""
        if self.config.continue_from:
            continue_from(model, Path(self.config.continue_from))
        elif self.config.start:
            start_bart(model, trained(self.config.start, self.config.width))

    def optimise(self, model: BartForConditionalGeneration) -> None:
        """Do nothing: autocast is fast for this model."""

    def loss(self, model: BartForConditionalGeneration, batch: Pairs) -> torch.Tensor:
        """Compute the mean loss in nats per target token; logits are computed only at targets."""
        source, target = batch.source.to(model.device), batch.target.to(model.device)
        decoder_input = torch.roll(target, 1, dims=1)
        decoder_input[:, 0] = END_ID
        places = torch.arange(source.shape[1], device=source.device)
        source_mask = places[None] < batch.source_lengths.to(source.device)[:, None]  # (B, S)
        hidden = model.model(
            input_ids=source, attention_mask=source_mask.long(), decoder_input_ids=decoder_input, use_cache=False
        ).last_hidden_state  # (B, T, W)
        target_mask = torch.arange(target.shape[1], device=target.device)[None] < batch.target_lengths.to(target.device)[:, None]
        return F.cross_entropy(model.lm_head(hidden[target_mask]), target[target_mask])

    # ------------------------------------------------------------------------------- the batches

    def open(self) -> None:
        """Open the training text."""
        self.articles = Documents(self.folder, "train", _encyclopedic)
        self.texts = Documents(self.folder, "train", lambda name: not is_news(name))
        self.news = Documents(self.folder, "train", is_news) if self.config.news_share else self.texts

    def batches(self, step: int, done: float, rng: np.random.Generator) -> list[Pairs]:
        """Draw one update's rows at the fraction `done` (0 to 1) of the run, sorted by length into passes of about
        `MICRO_TOKENS` tokens."""
        full = done >= 1 - self.config.full_length_share or rng.random() < EARLY_FULL
        length = (self.config.positions if full else self.config.positions // 2) - 2
        summaries = step % self.config.summary_every == self.config.summary_every - 1
        rows, tokens = [], 0
        while tokens < self.config.batch_tokens:
            if summaries and rng.random() >= self.config.gap_share:
                rows.append(self.pseudo_summary(self.articles, length, rng))
            else:
                texts = self.news if rng.random() < self.config.news_share else self.texts
                rows.append(self.gap_sentence(texts, length, rng) if summaries else self.noised(texts, length, rng))
            tokens += sum(map(len, rows[-1]))
        return self.passes(rows)

    def passes(self, rows: list[tuple[np.ndarray, np.ndarray]]) -> list[Pairs]:
        """Split (source, target) rows into padded passes of rows of similar length."""
        rows = sorted(rows, key=lambda row: (len(row[0]), len(row[1])))
        padded, start = [], 0
        for stop in range(1, len(rows) + 1):
            here = rows[start : stop + 1]
            widest = max(len(source) for source, _ in here) + max(len(target) for _, target in here)
            if stop == len(rows) or widest * len(here) > MICRO_TOKENS:
                padded.append(self.collate(rows[start:stop]))
                start = stop
        return padded

    def collate(self, rows: list[tuple[np.ndarray, np.ndarray]]) -> Pairs:
        """Add `<s>` and end tokens to rows, and pad them."""
        parts = []
        for side in zip(*rows, strict=True):
            lengths = [len(ids) + 2 for ids in side]
            padded = np.full((len(side), max(lengths)), self.pad, dtype=np.int64)
            for row, ids in enumerate(side):
                padded[row, : lengths[row]] = [self.begin, *ids, END_ID]
            parts += [torch.from_numpy(padded), torch.tensor(lengths)]
        return Pairs(*parts)

    def noised(self, texts: Documents, length: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """Return source and target of one window of complete sentences, at most `length` tokens long."""
        ids = self.window(texts.by_token(rng), length, rng)
        return infill(permute(ids, self.sentences.starts(ids), rng), self.mask, rng), ids

    def window(self, ids: np.ndarray, length: int, rng: np.random.Generator) -> np.ndarray:
        """Return consecutive sentences of a document from a random one on, as many as fit; a longer sentence is cut."""
        if len(ids) <= length:
            return ids
        starts = self.sentences.starts(ids)
        first = int(rng.choice(starts[: max(1, int(np.searchsorted(starts, len(ids) - length, side="right")))]))
        stops = np.append(starts, len(ids))
        stop = int(stops[np.searchsorted(stops, first + length, side="right") - 1])
        return ids[first : stop if stop > first else first + length]

    def pseudo_summary(self, articles: Documents, length: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """Return source and target: what follows an article's opening sentence, in a random layout, and that sentence."""
        title, opening, rest = usable(
            lambda: self.opening_and_rest(articles.by_document(rng)),
            TRIES,
            f"None of {TRIES} encyclopedia articles has an opening sentence that its rest repeats. Give more text.",
        )
        before, after = self.layouts[rng.integers(len(self.layouts))]
        titled = [title] if rng.random() < 0.25 else []
        room = length - len(before) - len(after) - sum(map(len, titled))
        return np.concatenate([before, *titled, rest[:room], after]), opening

    def opening_and_rest(self, ids: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray] | None:
        """Split a document into title line, opening sentence and rest; None if the rest is short or has too few words of the
        opening."""
        starts = self.sentences.starts(ids[:512])
        if len(starts) < 3:
            return None
        breaks = np.flatnonzero(self.sentences.breaks[ids[:64]])
        begin = int(breaks[0]) + 1 if len(breaks) else 0
        after = [int(place) for place in starts if place > begin]
        if not begin or begin >= 32 or not after:
            return None
        opening, rest = ids[begin : after[0]], ids[after[0] :]
        opening = opening[~self.sentences.breaks[opening]]
        coverage = np.isin(np.unique(opening), rest[:512]).mean() if len(opening) else 0.0
        if not OPENING_TOKENS[0] <= len(opening) <= OPENING_TOKENS[1] or len(rest) < REST_TOKENS or coverage < MIN_COVERAGE:
            return None
        return ids[:begin], opening, rest

    def gap_sentence(self, texts: Documents, length: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """Return source and target: a window without its most representative sentence, in a random layout, and that sentence."""
        before, after = self.layouts[rng.integers(len(self.layouts))]
        room = length - len(before) - len(after)
        gap, rest = usable(
            lambda: self.gap_and_rest(self.window(texts.by_token(rng), room, rng)),
            TRIES,
            f"None of {TRIES} texts has a sentence that the others repeat. Give more text.",
        )
        return np.concatenate([before, rest, after]), gap

    def gap_and_rest(self, ids: np.ndarray) -> tuple[np.ndarray, np.ndarray] | None:
        """Split a text into the sentence whose different tokens have the highest F1 with those of the other sentences, and
        these; None if no sentence of a summary's length has enough of its tokens in a rest that is long enough."""
        parts = np.split(ids, self.sentences.starts(ids)[1:])
        best, gap = 0.0, None
        for index, part in enumerate(parts):
            tokens = np.unique(part[~self.sentences.breaks[part]])
            if not OPENING_TOKENS[0] <= len(part) <= OPENING_TOKENS[1] or len(ids) - len(part) < REST_TOKENS:
                continue
            others = np.unique(np.concatenate(parts[:index] + parts[index + 1 :]))
            shared = float(np.isin(tokens, others).sum())
            f1 = 2 * shared / (len(tokens) + len(others))
            if f1 > best and shared >= MIN_COVERAGE * len(tokens):
                best, gap = f1, index
        if gap is None:
            return None
        sentence = self.tokenizer.encode(self.tokenizer.decode(parts[gap].tolist()).strip()).ids  # no space before it
        return np.array(sentence, dtype=np.int64), np.concatenate(parts[:gap] + parts[gap + 1 :])

    # ------------------------------------------------------------------------------- validation

    def validation(self) -> dict[str, list[Pairs]]:
        """Return fixed held-out rows of all positions: denoising, openings as pseudo-summaries and, if the run has them, gap
        sentences."""
        rng, length = np.random.default_rng(1), self.config.positions - 2
        texts = Documents(self.folder, "valid")
        articles = Documents(self.folder, "valid", _encyclopedic)
        sets = {
            "denoising": self.passes([self.noised(texts, length, rng) for _ in range(32)]),
            "summaries": self.passes([self.pseudo_summary(articles, length, rng) for _ in range(32)]),
        }
        if self.config.gap_share:
            sets["gaps"] = self.passes([self.gap_sentence(texts, length, rng) for _ in range(32)])
        return sets

    def mixed(self, losses: dict[str, float]) -> dict[str, float]:
        """Add the loss of the training mix to the validation losses."""
        share, gaps = 1 / self.config.summary_every, self.config.gap_share
        summaries = (1 - gaps) * losses["summaries"] + gaps * losses.get("gaps", 0.0)
        return losses | {"mix": (1 - share) * losses["denoising"] + share * summaries}
