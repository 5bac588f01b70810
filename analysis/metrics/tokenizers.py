"""The tokenizers of the official scripts, one function per script."""

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
    """Tokenise for E2E's BLEU and NIST: mteval's tokens (sacrebleu's 13a), lower-cased."""
    return _MTEVAL(text).lower().split()


def coco_tokens(text: str) -> list[str]:
    """Tokenise for E2E's ROUGE-L, CIDEr and METEOR: lower-cased words, clitics and currency signs separate, no punctuation.

    A stand-in for the script's Penn Treebank tokenizer (java). Measured on E2E's dev references (n = 4,672): the same tokens,
    except for the names of currency signs, for all but 1 tokenised and 4 untokenised ones.
    """
    text = _APART.sub(r" \1 ", text.lower())
    words = [word for word in _CLITIC.sub(r" \1", text).split() if word not in _DROPPED]
    words = [word if word in _CLITICS else word.strip("'`’‘-–").lstrip(".") for word in words]
    return [word for word in words if word]


def split_punctuation(text: str) -> str:
    """Separate every character that is not a letter, digit or underscore."""
    return " ".join(" ".join(re.split(r"(\W)", text)).split())


def to_ascii(text: str) -> str:
    """Convert to ASCII as Unidecode does: the result is the same on every text and triple of WebNLG 2017."""
    return unidecode(text.translate(_FRACTIONS))


def webnlg_output(text: str) -> str:
    """Convert an output as WebNLG's script does for BLEU and TER: ASCII, lower-cased, punctuation separated."""
    return split_punctuation(to_ascii(to_ascii(text.strip()).lower()))


def webnlg_reference(text: str) -> str:
    """Convert a reference likewise; the script converts these to ASCII last, so that "½" is one token here but three in an
    output."""
    return to_ascii(split_punctuation(text).lower())
