"""How the official scripts cut texts before they count: one function a script."""

import re

from sacrebleu.tokenizers.tokenizer_13a import Tokenizer13a
from unidecode import unidecode

_MTEVAL = Tokenizer13a()
# What the COCO captions' tokenizer drops; the Penn Treebank's names of brackets and quotes given as the signs they stand for.
_DROPPED = frozenset("' ` \" '' `` ( ) { } . ? ! , : - -- ... ;".split(" "))
_CLITIC = re.compile(r"(?<=\w)(?=(?:'(?:s|re|ve|ll|d|m)|(?<!\wn)(?<=\w)n't)(?!\w))")


def mteval_tokens(text: str) -> list[str]:
    """E2E's BLEU and NIST: mteval's tokens (sacrebleu's 13a), lower-cased."""
    return _MTEVAL(text).lower().split()


def coco_tokens(text: str) -> list[str]:
    """E2E's ROUGE-L, CIDEr and METEOR: the 13a tokens for the Penn Treebank's, lower-cased, clitics apart, punctuation dropped."""
    words = _CLITIC.sub(" ", " ".join(mteval_tokens(text))).split()
    return [word for word in words if word not in _DROPPED]


def split_punctuation(text: str) -> str:
    """Every character that is no letter, digit or underscore stands apart."""
    return " ".join(" ".join(re.split(r"(\W)", text)).split())


def webnlg_output(text: str) -> str:
    """An output as WebNLG's script writes it for BLEU and TER: ASCII, lower-cased, punctuation apart."""
    return split_punctuation(unidecode(unidecode(text.strip()).lower()))


def webnlg_reference(text: str) -> str:
    """A reference likewise; the script turns these into ASCII last, so that "½" becomes one token where an output has three."""
    return unidecode(split_punctuation(text).lower())
