"""The vocabulary of a backbone: the text of every token, and which tokens are whole words."""

from dataclasses import dataclass
from weakref import WeakKeyDictionary

import torch
from torch import Tensor

from core.errors import BadInput
from core.models.backbone import Backbone

_known: "WeakKeyDictionary[Backbone, Vocabulary]" = WeakKeyDictionary()


@dataclass(frozen=True, eq=False)
class Vocabulary:
    """Tokens as text.

    `texts`: each token id's text as it appears inside a text (most words begin with a space); `owner`: the model's name.
    """

    texts: tuple[str, ...]
    owner: str = ""

    def __len__(self) -> int:
        return len(self.texts)

    def whole(self, token: int) -> bool:
        """Whether a token is a whole word: a space, then letters only. The others are word pieces, digits or punctuation."""
        text = self.texts[token]
        return text[:1] == " " and text[1:].isalpha()

    @property
    def whole_ids(self) -> Tensor:
        """Ids of the whole words, ascending: (n,)."""
        return torch.tensor([token for token in range(len(self)) if self.whole(token)], dtype=torch.long)

    def ids_of(self, word: str) -> list[int]:
        """Ids of the tokens that equal a word up to a leading space and case; none for many words, which are several tokens."""
        target = word.strip().casefold()
        return [token for token, text in enumerate(self.texts) if text.strip().casefold() == target] if target else []

    def find(self, word: str) -> list[int]:
        """Return `ids_of` a word, whole words first. Raises BadInput if there is none."""
        if not word.strip():
            raise BadInput("No word to search for. Type one, such as: pub.")
        ids = self.ids_of(word)
        if not ids:
            raise BadInput(
                f"{word.strip()!r} is not a single token of {self.owner or 'this model'}: it is read in pieces. "
                "Search for a shorter or more frequent word."
            )
        return sorted(ids, key=lambda token: (not self.whole(token), token))


def vocabulary(backbone: Backbone) -> Vocabulary:
    """The vocabulary of a backbone, without rows of its embedding that its tokenizer never produces (padding)."""
    if backbone not in _known:
        tokenizer = backbone.tokenizer
        count = min(backbone.spec.vocabulary, max(tokenizer.get_vocab().values()) + 1)
        before = backbone.encode("a")[-1:]  # decoded alone, some tokens lose their leading space
        context = backbone.decode(before, special=True)
        texts = tokenizer.batch_decode([before + [token] for token in range(count)], clean_up_tokenization_spaces=False)
        _known[backbone] = Vocabulary(tuple(text.removeprefix(context) for text in texts), backbone.spec.name)
    return _known[backbone]
