"""How the official scripts cut texts before they count: one function a script."""

import re

from sacrebleu.tokenizers.tokenizer_13a import Tokenizer13a
from text_unidecode import unidecode

_MTEVAL = Tokenizer13a()
COCO = "prefixlab-ptb-1"  # change the name with the rules of `coco_tokens`: it stands in the signature of scores
# Toward the Penn Treebank's tokens as the COCO captions' scripts keep them, for English that stands on one line.
_APART = re.compile(r"""([£$€%()\[\]{}"“”!?;]|\.\.\.|--|[.,:](?=\s|$)|(?<!\d)[,:]|,(?!\d))""")
_CLITIC = re.compile(r"(?<=\w)(n't|'(?:s|re|ve|ll|d|m))(?!\w)")
_CLITICS = ("'s", "'re", "'ve", "'ll", "'d", "'m", "n't")
_DROPPED = frozenset('(){}“”"!?;.,:')


# text-unidecode has an older table than the Unidecode that WebNLG's script runs: these came apart since.
_FRACTIONS = str.maketrans({"¼": " 1/4", "½": " 1/2", "¾": " 3/4"})


def mteval_tokens(text: str) -> list[str]:
    """E2E's BLEU and NIST: mteval's tokens (sacrebleu's 13a), lower-cased."""
    return _MTEVAL(text).lower().split()


def coco_tokens(text: str) -> list[str]:
    """E2E's ROUGE-L, CIDEr and METEOR: lower-cased words, clitics and currency signs apart, punctuation dropped.

    A stand-in for the Penn Treebank tokenizer (java) that the script runs. Measured on E2E's dev references (n = 4,672): the same
    tokens, the name of the currency signs aside, for all but 1 tokenised and 4 untokenised ones.
    """
    text = _APART.sub(r" \1 ", text.lower())
    words = [word for word in _CLITIC.sub(r" \1", text).split() if word not in _DROPPED]
    words = [word if word in _CLITICS else word.strip("'`’‘-–").lstrip(".") for word in words]
    return [word for word in words if word]


def split_punctuation(text: str) -> str:
    """Every character that is no letter, digit or underscore stands apart."""
    return " ".join(" ".join(re.split(r"(\W)", text)).split())


def to_ascii(text: str) -> str:
    """Text in ASCII, as Unidecode writes it: the same on every text and triple of WebNLG 2017."""
    return unidecode(text.translate(_FRACTIONS))


def webnlg_output(text: str) -> str:
    """An output as WebNLG's script writes it for BLEU and TER: ASCII, lower-cased, punctuation apart."""
    return split_punctuation(to_ascii(to_ascii(text.strip()).lower()))


def webnlg_reference(text: str) -> str:
    """A reference likewise; the script turns these into ASCII last, so that "½" becomes one token where an output has three."""
    return to_ascii(split_punctuation(text).lower())
