"""The words' keys or values at once, where the app follows their progress."""

from analysis.space.vocabulary_kv import SITE, VocabularyKV, iter_vocabulary_kv


def vocabulary_kv(backbone, kind, layer, cache, site=SITE) -> VocabularyKV:
    """The keys or values of every word at a layer of a site."""
    *_, (table, _, _) = iter_vocabulary_kv(backbone, kind, layer, cache, site)
    return table
