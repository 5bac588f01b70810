"""Every metric against values worked out by hand from its official algorithm."""

import math
import os
import sys
from functools import partial

import numpy as np
import pytest
from sacrebleu.metrics.lib_ter import translation_edit_rate

from analysis.metrics import meteor as meteor_module
from analysis.metrics.base import NotComputed, Score, subset
from analysis.metrics.bleu import dart_bleu, e2e_bleu, webnlg_bleu
from analysis.metrics.coco import cider, lcs, rouge_l
from analysis.metrics.coverage import coverage_scores
from analysis.metrics.meteor import meteor
from analysis.metrics.nist import nist
from analysis.metrics.rouge import rouge, rouge_words
from analysis.metrics.ter import dart_ter, webnlg_ter
from analysis.metrics.ter_edits import edit_count
from analysis.metrics.tokenizers import coco_tokens, mteval_tokens, webnlg_output, webnlg_reference
from core.errors import BadInput

# --- tokens ------------------------------------------------------------------------------------------------------------------


def test_tokens_of_the_official_scripts():
    assert mteval_tokens("It's £20-25, OK &amp; 3.5.") == ["it's", "£20", "-", "25", ",", "ok", "&", "3.5", "."]
    assert coco_tokens("It's £20-25 (a family-friendly 'Inn'), isn't it?") == (
        ["it", "'s", "£", "20-25", "a", "family-friendly", "inn", "is", "n't", "it"]
    )
    assert coco_tokens("it 's £ 20 - 25 , a - b .") == ["it", "'s", "£", "20", "25", "a", "b"]
    assert webnlg_output("Türk's café.") == webnlg_reference("Türk's café.") == "turk ' s cafe ."
    # the script makes outputs ASCII before it parts punctuation, references after
    assert (webnlg_output("1½ m"), webnlg_reference("1½ m")) == ("1 1 / 2 m", "1 1/2 m")


# --- NIST --------------------------------------------------------------------------------------------------------------------


def test_nist_by_hand():
    """Three words, each once: log2(3/1) bits each, longer n-grams 0. 2 of 2 unigrams match; 2 words against 3 halve it."""
    score = nist(["a b"], [["a b c"]])
    assert score.value == pytest.approx(0.5 * math.log2(3)) and score.per_example == pytest.approx((score.value,))
    assert nist(["a b c"], [["a b c"]]).value == pytest.approx(math.log2(3))
    assert (score.name, score.n, score.higher_is_better) == ("NIST", 1, True) and "e2e-metrics:-p" in score.signature


def test_nist_weighs_by_what_goes_before():
    """6 words: a 2, b 3, c 1; "a b" 2, "b c" 1. The output "b c" matches b (log2 6/3), c (log2 6/1), "b c" (log2 3/1)."""
    expected = (math.log2(6 / 3) + math.log2(6 / 1)) / 2 + math.log2(3 / 1) / 1
    assert nist(["b c"], [["a b", "a b", "b c"]]).value == pytest.approx(expected)


def test_nist_length_penalties_of_the_scripts_two_versions():
    """4 words out. Python: mean references 3 + 3 = 6, ratio 2/3, penalty 1/2. Perl: 9 words over at most 2, ratio 4/4.5."""
    hyps, refs = ["a b", "a b"], [["a b c", "a b c"], ["a b c"]]
    assert nist(hyps, refs).value == pytest.approx(0.5 * math.log2(3))
    beta = math.log(0.5) / math.log(1.5) ** 2
    perl = nist(hyps, refs, perl=True)
    assert perl.value == pytest.approx(math.log2(3) * math.exp(beta * math.log(4 / 4.5) ** 2)) and perl.name == "NIST-mteval"


def test_nist_clips_matches_by_the_best_reference():
    """ "a a a" against "a a" and "a b": 2 of 3 words, log2(4/3) each (a is 3 of 4); 1 of 2 bigrams, log2(3/1)."""
    expected = 2 * math.log2(4 / 3) / 3 + math.log2(3) / 2
    assert nist(["a a a"], [["a a", "a b"]]).value == pytest.approx(expected)


# --- ROUGE-L and CIDEr of the COCO captions' scripts -------------------------------------------------------------------------


def test_rouge_l_takes_the_best_precision_and_the_best_recall():
    """ "a c d" of 4 and 5 words, "b d" of 4 and 2: P = 3/4, R = 2/2, F with beta 1.2 = 2.44 · 0.75 / (1 + 1.44 · 0.75)."""
    assert rouge_l(["a b c d"], [["a c d e f", "b d"]]).value == pytest.approx(100 * 2.44 * 0.75 / (1 + 1.44 * 0.75))
    assert rouge_l(["", "x", "same"], [["a"], ["a"], ["same"]]).per_example == pytest.approx((0, 0, 100))


def test_longest_common_subsequence_is_the_plain_tables():
    draws = np.random.default_rng(0)
    for _ in range(50):
        one, other = ([str(word) for word in draws.integers(0, 4, draws.integers(0, 12))] for _ in range(2))
        table = np.zeros((len(one) + 1, len(other) + 1), dtype=int)
        for i, word in enumerate(one):
            for j, their in enumerate(other):
                table[i + 1, j + 1] = table[i, j] + 1 if word == their else max(table[i, j + 1], table[i + 1, j])
        assert lcs(one, other) == table[-1, -1]


def test_cider_by_hand():
    """Two examples: every n-gram of one of them weighs ln 2, which cancels. Same text: cosines 1, 1, 0, 0, mean times 10."""
    assert cider(["a b", "x"], [["a b"], ["c d"]]).per_example == pytest.approx((5, 0))
    # "a b" against "a b c": unigrams 2/√(2·3), bigrams 1/√(1·2), one bigram fewer: e^(-1/72)
    expected = 10 * (2 / math.sqrt(6) + 1 / math.sqrt(2)) / 4 * math.exp(-1 / 72)
    assert cider(["a b", "z"], [["a b c"], ["x y"]]).per_example == pytest.approx((expected, 0))
    # two references: the mean of both; what every example's references hold weighs nothing
    assert cider(["a b", "z"], [["a b", "q r"], ["x y"]]).per_example == pytest.approx((2.5, 0))
    assert cider(["a", "a"], [["a"], ["a"]]).value == 0 and cider(["a b"], [["a b"]]).value == 0


# --- ROUGE of summaries ------------------------------------------------------------------------------------------------------


def test_rouge_stems_words_of_more_than_three_letters():
    assert rouge_words("Running dogs' owners, was 3.5!") == ["run", "dog", "owner", "was", "3", "5"]
    one, two, longest = rouge(["running dogs"], [["The dog runs."]])
    # {run, dog} against {the, dog, run}: 2 · 2 / 5; no bigram; one word in order: 2 · 1 / 5
    assert (one.value, two.value, longest.value) == pytest.approx((80, 0, 40))
    assert [score.name for score in (one, two, longest)] == ["ROUGE-1", "ROUGE-2", "ROUGE-L"]
    assert rouge(["a b", ""], [["x", "a b"], ["x"]])[0].per_example == pytest.approx((100, 0))  # the best reference


# --- WebNLG and DART ---------------------------------------------------------------------------------------------------------


def test_webnlg_bleu_by_hand():
    """9 tokens, "the cafe is in izmir , turkey now .", against the 8 without "now": 8/9, 6/8, 5/7, 4/6 match."""
    score = webnlg_bleu(["The café is in Izmir, Turkey now."], [["The cafe is in İzmir, Turkey."]])
    assert score.value == pytest.approx(100 * (8 / 9 * 6 / 8 * 5 / 7 * 4 / 6) ** 0.25)
    assert "text:webnlg" in score.signature


def test_a_missing_reference_counts_as_an_empty_line():
    """multi-bleu's files have an empty line there, closer in length to 4 words than 10 words are: no brevity penalty."""
    ten, hyps = "a b c d e f g h i j", ["a b c d", "k l m n"]
    score = dart_bleu(hyps, [[ten], ["k l m n", "x", "y"]], tokenised=True)
    assert score.value == pytest.approx(100)
    assert dart_bleu(hyps, [[ten], ["k l m n"]], tokenised=True).value == pytest.approx(100 * math.exp(1 - 14 / 8))
    assert dart_bleu(["k l m n"], [["x", "y", "z", "k l m n"]], tokenised=True).value == 0  # the fourth does not count


def test_dart_bleu_is_cased_and_parts_punctuation():
    hyp, ref = "The inn (Ivy) costs 3.5.", "The inn ( Ivy ) costs 3 . 5 ."
    assert dart_bleu([hyp], [[ref]]).value == pytest.approx(100)
    assert dart_bleu([hyp], [[ref.lower()]]).value < 60 and dart_bleu([hyp], [[ref]], tokenised=True).value < 20


def test_ter_by_hand():
    """One shift makes "c a b" "a b c": 1 of 3 words. Over several references: the fewest edits over their mean length."""
    assert dart_ter(["c a b"], [["a b c"]]).value == pytest.approx(100 / 3)
    assert dart_ter(["c a b"], [["a b c", "x", "", "c a b"]]).value == pytest.approx(100 / 2)  # the first three that are there
    score = webnlg_ter(["The cat!"], [["A dog sat down here", "the cat !", "", "exactly this is the fourth"]])
    assert score.value == 0 and not score.higher_is_better
    score = webnlg_ter(["The cat", "b"], [["The cat sat.", "The cat sat down"], ["c"]])
    assert score.value == pytest.approx(100 * (2 + 1) / (4 + 1)) and score.per_example == pytest.approx((50, 100))


# --- METEOR ------------------------------------------------------------------------------------------------------------------

# What the jar counts for "a cat is sitting on the mat" against "the cat sat on a mat today"; it scores these 0.3268655287497979.
COUNTS = "7.0 7.0 4.0 3.0 2.0 2.0 3.0 3.0 0.0 0.0 0.0 0.0 1.0 1.0 0.0 0.0 0.0 0.0 0.0 0.0 5.0 6.0 6.0"
WHOLE = "2.0 2.0 0.0 0.0 2.0 2.0 0.0 0.0 " + "0.0 " * 12 + "1.0 2.0 2.0"


def fake_jar(tmp_path, monkeypatch, answer: str) -> None:
    """A "java" that answers each line with the same counts."""
    java = tmp_path / "java"
    java.write_text(f"#!{sys.executable}\nimport sys\n{answer}\n", encoding="utf-8")
    java.chmod(0o755)
    (tmp_path / "meteor-1.5.jar").write_text("", encoding="utf-8")
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    monkeypatch.setenv(meteor_module.JAR, str(tmp_path / "meteor-1.5.jar"))


@pytest.mark.skipif(os.name != "posix", reason="a script stands in for java")
def test_meteor_is_what_the_jar_makes_of_its_counts(tmp_path, monkeypatch):
    fake_jar(tmp_path, monkeypatch, f'for line in sys.stdin: print("{WHOLE}" if "same" in line else "{COUNTS}", flush=True)')
    score = meteor(["A cat's", "same"], [["the ||| cat", "x"], ["same"]])
    assert isinstance(score, Score)
    assert score.per_example == pytest.approx((32.68655287497979, 100)) and "METEOR-1.5" in score.signature


def test_meteor_of_exact_matches_as_computed_by_hand():
    """Denkowski and Lavie (2014), equations 1-4, with METEOR 1.5's English parameters; exact matches alone.

    Output "the cat sat on mat", reference "the cat sat on the mat"; "the" and "on" are function words. Of 5 words (2 of them
    function words) and of 6 (3), matched are 3 content words and 2 function words, in 2 chunks: "the cat sat on", "mat".
    """
    content, function, delta = 3, 2, 0.75
    matched = delta * content + (1 - delta) * function  # 2.75
    precision = matched / (delta * (5 - 2) + (1 - delta) * 2)  # 2.75 / 2.75 = 1
    recall = matched / (delta * (6 - 3) + (1 - delta) * 3)  # 2.75 / 3 = 0.9167
    mean = precision * recall / (0.85 * precision + (1 - 0.85) * recall)  # 0.9167 / 0.9875 = 0.9283
    penalty = 0.6 * (2 / 5) ** 0.2  # 0.6 * 0.8326 = 0.4995
    assert 100 * mean * (1 - penalty) == pytest.approx(46.457, abs=1e-3)
    line = "5 6 2 3  3 3 2 2  0 0 0 0  0 0 0 0  0 0 0 0  2  5 5"
    assert meteor_module.value_of(meteor_module._counts(line)) == pytest.approx(100 * mean * (1 - penalty))


@pytest.mark.skipif(os.name != "posix", reason="a script stands in for java")
@pytest.mark.parametrize("answer", ["sys.exit(1)", 'print("Error: no paraphrases", flush=True); sys.stdin.read()'])
def test_meteor_that_fails_is_not_computed(tmp_path, monkeypatch, answer):
    fake_jar(tmp_path, monkeypatch, answer)
    score = meteor(["a"], [["a"]])
    assert isinstance(score, NotComputed) and score.reason.startswith("not computed, java could not run")


def test_meteor_without_java_or_jar_says_so(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert meteor(["a"], [["a"]]) == NotComputed("METEOR", "not computed, needs java")
    monkeypatch.setattr(meteor_module.shutil, "which", lambda name: "java")
    monkeypatch.setenv(meteor_module.JAR, str(tmp_path / "nowhere.jar"))
    score = meteor(["a"], [["a"]])
    assert isinstance(score, NotComputed) and "needs meteor-1.5.jar" in score.reason


# --- what is told ------------------------------------------------------------------------------------------------------------


def test_coverage_over_all_tables():
    elm = [("name", "Elm"), ("area", "riverside"), ("price", "cheap"), ("food", "fish")]
    tables = [[("name", "Ivy House"), ("food", "Thai")], elm]
    coverage, unsupported = coverage_scores(tables, ["Ivy House serves Thai food in Leeds.", "Elm is cheap."])
    assert coverage.value == pytest.approx(100 * 4 / 6) and coverage.per_example == pytest.approx((100, 50))
    assert unsupported.value == pytest.approx(0.5) and unsupported.per_example == (1, 0) and not unsupported.higher_is_better
    with pytest.raises(BadInput):
        coverage_scores(tables, ["one"])


# --- what all have in common -------------------------------------------------------------------------------------------------

HYPS = ["the old inn serves thai food .", "a tea room", "It costs £ 20 - 25 and is near here ."]
REFS = [
    ["the old inn by the river serves Thai food .", "an old inn ."],
    ["a small tea room"],
    ["It costs £ 20 - 25 , near here ."],
]
ROUGES = [lambda hyps, refs, k=k: rouge(hyps, refs)[k] for k in range(3)]
METRICS = [e2e_bleu, nist, partial(nist, perl=True), rouge_l, cider, *ROUGES, webnlg_bleu, webnlg_ter, dart_bleu, dart_ter]


@pytest.mark.parametrize("metric", METRICS)
def test_the_sums_of_the_examples_give_the_value(metric):
    score = metric(HYPS, REFS)
    assert score.n == len(score.per_example) == len(score.sums) == 3 and score.signature
    assert score.value_of(score.sums.sum(axis=0)) == pytest.approx(score.value)
    some = subset(score, [0, 2], "some")
    assert (some.name, some.n, some.per_example) == ("some", 2, (score.per_example[0], score.per_example[2]))
    if metric in (e2e_bleu, rouge_l, webnlg_ter, dart_ter):
        assert some.value == pytest.approx(metric([HYPS[0], HYPS[2]], [REFS[0], REFS[2]]).value)


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize(("hyps", "refs"), [([], []), (["a"], []), (["a", "b"], [["a"], []])])
def test_lists_that_do_not_match_are_refused(metric, hyps, refs):
    with pytest.raises(BadInput):
        metric(hyps, refs)


@pytest.mark.slow
def test_ter_counts_the_edits_that_sacrebleu_counts():
    """Written sentences and drawn ones: shifts, repeated words, unlike lengths, more words than the band is wide."""
    old = "the inn by the river serves thai food and the pub by the mill serves tea to the people of the town"
    words = [
        old.split(),
        ["thai", "food", "the", "inn", "serves", "by", "the", "river"],
        ["tea"],
        (old + " " + old).split()[::-1],
    ]
    draws = np.random.default_rng(0)
    for _ in range(60):
        text = [str(word) for word in draws.integers(0, draws.choice([3, 8, 30]), draws.integers(1, 45))]
        start = draws.integers(0, len(text))
        moved = text[:start] + text[start + 3 :]
        place = draws.integers(0, len(moved) + 1)
        words += [text, moved[:place] + text[start : start + 3] + moved[place:]]
    pairs = list(zip(words, words[1:] + words[:1], strict=True))
    assert [edit_count(*pair) for pair in pairs] == [translation_edit_rate(*pair)[0] for pair in pairs]
    assert edit_count([], ["a"]) == edit_count(["a"], []) == 1 and edit_count([], []) == 0


def test_slow_scores_say_how_far_they_are():
    calls = []
    dart_ter(["a", "b"], [["a"], ["c"]], progress=lambda *step: calls.append(step))
    assert calls == [("TER", 1, 2), ("TER", 2, 2)]
