"""Words that a tokenizer has no ids for: read as its unknown token, or with letters left out."""

from collections import Counter
from collections.abc import Iterable, Sequence

from core.models.backbone import Backbone
from core.task import Example
from core.text.checks import counted

MAX_NAMED = 6  # words in a sentence
SAMPLE = 1000  # examples that stand for all


def unknown_words(backbone: Backbone, text: str) -> list[str]:
    """Return the words of a text, each once, that the tokenizer reads as its unknown token or drops letters of."""
    return _unknown_among(backbone, list(dict.fromkeys(text.split())))


def _unknown_among(backbone: Backbone, words: Sequence[str]) -> list[str]:
    """Return the unknown ones of some words. All are read at once first: most tokenizers know every word."""
    ids = _unknown_ids(backbone)
    if not _is_unknown(backbone, " ".join(words), ids):
        return []
    return [word for word in words if _is_unknown(backbone, word, ids)]


def describe_unknown(backbone: Backbone, text: str) -> str:
    """Return a sentence that counts and names the unknown words of an input; empty without any."""
    words = unknown_words(backbone, text)
    if not words:
        return ""
    verb = "is" if len(words) == 1 else "are"
    return f"{counted(len(words), 'word')} of the input {verb} not in the vocabulary of {_effect(backbone)}: {_listed(words)}."


def describe_unknown_in(backbone: Backbone, examples: Sequence[Example]) -> str:
    """Return a sentence on the share of unknown words in examples and their targets; empty without any."""
    some = examples[:: max(1, len(examples) // SAMPLE)]
    counts = Counter(word for example in some for text in (example.source, *example.targets) for word in text.split())
    unknown = _unknown_among(backbone, [word for word, _ in counts.most_common()])
    if not unknown:
        return ""
    share = 100 * sum(counts[word] for word in unknown) / counts.total()
    often = _listed(unknown)
    return (
        f"{share:.2g} % of the words in these rows are not in the vocabulary of {_effect(backbone)}, the most frequent first: "
        f"{often}. A backbone that has them learns more from these rows."
    )


def _unknown_ids(backbone: Backbone) -> set[int]:
    """Return the ids of the unknown token: as transformers names it, and as the tokenizer's own model does."""
    tokenizer = backbone.tokenizer
    model = getattr(getattr(tokenizer, "backend_tokenizer", None), "model", None)
    own = getattr(model, "unk_token", None)
    ids = {tokenizer.unk_token_id, tokenizer.convert_tokens_to_ids(own) if own else None}
    return {token for token in ids if token is not None}


def _is_unknown(backbone: Backbone, text: str, ids: Iterable[int]) -> bool:
    """Whether a word, or any word of a text, is unknown."""
    encoded = backbone.encode(text, literal=True)
    return not set(encoded).isdisjoint(ids) or _letters(backbone.decode(encoded, special=True)) < _letters(text)


def _letters(text: str) -> int:
    return sum(map(str.isalnum, text))


def _effect(backbone: Backbone) -> str:
    """Name the backbone and say what its tokenizer does with such words."""
    ids = sorted(_unknown_ids(backbone))
    name = backbone.spec.name
    return f"{name}, which " + (f"reads them as {backbone.decode(ids[:1], special=True)}" if ids else "drops letters of them")


def _listed(words: Sequence[str]) -> str:
    more = f" and {len(words) - MAX_NAMED:,} more" if len(words) > MAX_NAMED else ""
    return ", ".join(f"“{word[:40]}”" for word in words[:MAX_NAMED]) + more
