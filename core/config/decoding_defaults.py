"""Default decoding: the paper's for scores, and one for texts that people read."""

from core.config.decode import DecodeConfig

# Table-to-text as the official code decodes it: beam 5, at least 5 tokens, length penalty 1.
PAPER_DECODING = DecodeConfig(mode="beam", beams=5, min_new=5, max_new=100, length_penalty=1.0)
# Summaries: beam 6, 11 to 62 tokens, length penalty 0.8, no three tokens twice (as BART is decoded).
SUMMARY_DECODING = DecodeConfig(mode="beam", beams=6, min_new=11, max_new=62, length_penalty=0.8, no_repeat=3)

# What a person reads. A frozen model that has learned to copy tends to repeat phrases, and a prefix does not cure it of
# that; a name of five tokens may be repeated. A small model's beams end too early: this length penalty, chosen on validation,
# makes its texts about as long as the references. (Texts from triples grow too long with it.) Beams cover more values than
# greedy texts do, with fewer unsupported words, and reranked beams more again: docs/results.md, "Any table".
LENGTH_PENALTY = 1.5
DEFAULT_MODE, RERANKED_BEAMS = "rerank", 10
TRIPLES_DECODING = DecodeConfig(mode="beam", no_repeat=6)
TABLE_DECODING = DecodeConfig(mode="beam", length_penalty=LENGTH_PENALTY, no_repeat=4)
GREEDY_TABLE_DECODING = DecodeConfig(length_penalty=LENGTH_PENALTY, no_repeat=6)
ARTICLE_DECODING = SUMMARY_DECODING.replace(length_penalty=LENGTH_PENALTY)


def paper_decoding(task: str) -> DecodeConfig:
    """Return the paper's decoding for a task."""
    return SUMMARY_DECODING if task == "summarization" else PAPER_DECODING


def default_decoding(input_format: str, mode: str = DEFAULT_MODE) -> DecodeConfig:
    """Return the decoding for texts that people read, by input format; greedy and sampled texts have settings of their own."""
    if input_format == "article":
        return ARTICLE_DECODING.replace(mode=mode)
    if mode in ("greedy", "sample"):
        return GREEDY_TABLE_DECODING.replace(mode=mode)
    decode = (TABLE_DECODING if input_format == "table" else TRIPLES_DECODING).replace(mode=mode)
    return decode.replace(beams=RERANKED_BEAMS) if mode == "rerank" else decode


def batch_decoding(input_format: str) -> DecodeConfig:
    """Return the decoding for pages that generate many texts at once: greedy, but for summaries."""
    return default_decoding(input_format, "beam" if input_format == "article" else "greedy")
