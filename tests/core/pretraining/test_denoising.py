"""How mini-bart is pre-trained: the noise, the pseudo-summaries, what is withheld, the loss, the model folder."""

import json
import random
from dataclasses import replace

import numpy as np
import pytest
import torch
from transformers import AutoModelForSeq2SeqLM, AutoTokenizer

from core.errors import BadData, BadInput
from core.models.loading import load_backbone
from core.pretraining import denoising
from core.pretraining.config import PretrainConfig
from core.pretraining.continued import continue_from
from core.pretraining.corpus import END, END_ID, Documents, prepare, tokenizer_of
from core.pretraining.denoising import Denoising
from core.pretraining.export import export
from core.pretraining.loop import done_share, pretrain
from core.pretraining.next_token import NextToken
from core.pretraining.noise import Sentences, infill, permute
from core.pretraining.withheld import Withheld

CONFIG = PretrainConfig(
    tokens=3000,
    objective="denoising",
    layers=1,
    decoder_layers=1,
    width=32,
    inner=48,
    heads=2,
    positions=128,
    vocabulary=408,
    batch_tokens=512,
    record_share=0.0,
    news_share=0.5,
    validate_every=4,
    save_every=2,
)
PLACES = ("Arle", "Bute", "Corm", "Dunn", "Esk", "Firth", "Garve", "Hoy")
CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def bundled():
    return tokenizer_of("mini-gpt2")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A prepared corpus: articles whose opening their rest tells, and news whose every line holds "Ministers"."""
    root = tmp_path_factory.mktemp("pretraining")
    rng = random.Random(0)
    articles = []
    for number in range(420):
        place = f"{rng.choice(PLACES)} {rng.choice(PLACES)}"
        sentence = f"{place} is a village by the river in the north of the island."
        rest = " ".join(f"The village of {place} by the river has {n + 2} mills in the north of the island." for n in range(4))
        articles.append(f"{place}\n{sentence} {rest}\nIt was founded in {1500 + number}. It is a village.")
    news = ["\n".join(f"Ministers met in {rng.choice(PLACES)} on day {n}." for n in range(9)) for _ in range(420)]
    for name, texts in (("wikipedia_x", articles), ("wikinews", news)):
        (root / f"{name}.txt").write_text("".join(f"{text}\n{END}\n" for text in texts))
    prepare(root, None, root / "corpus", 400)
    return root / "corpus"


@pytest.fixture(scope="module")
def recipe(folder):
    recipe = Denoising(CONFIG, folder)
    recipe.open()
    return recipe


# ------------------------------------------------------------------------------------- noise


def test_sentences_begin_after_stops_and_line_breaks_and_not_after_abbreviations(bundled):
    parts = [
        "St. Arle\n",
        "Then Mr. J. Hale of the U.S. team said no.",
        ' He said "why."',
        " It was 3.5 km!\n\n",
        "A new paragraph.",
        " (It ends here.)",
    ]
    ids = np.array(bundled.encode("".join(parts)).ids)
    starts = Sentences(bundled.get_vocab()).starts(ids)
    assert [bundled.decode(part.tolist()) for part in np.split(ids, starts[1:])] == parts


def test_permutation_keeps_every_sentence_whole():
    ids, starts = np.arange(40), np.array([0, 7, 8, 20, 33])
    shuffled = permute(ids, starts, np.random.default_rng(3))
    assert sorted(shuffled) == list(ids) and list(shuffled) != list(ids)
    assert sum(shuffled[1:] != shuffled[:-1] + 1) <= 4  # breaks between sentences and nowhere else


def test_infilling_hides_thirty_percent_in_spans_of_three_with_one_mask_each():
    rng, masks, hidden = np.random.default_rng(0), 0, 0
    for _ in range(200):
        ids = np.arange(200)
        noisy = infill(ids, -1, rng)
        visible = noisy[noisy != -1]
        assert len(visible) == 140 and (np.diff(visible) > 0).all()  # what is left stands in its order
        assert not ((noisy[1:] == -1) & (noisy[:-1] == -1)).any()
        masks, hidden = masks + int((noisy == -1).sum()), hidden + 60
    assert hidden / masks == pytest.approx(3, rel=0.05)


@pytest.mark.parametrize("length", [0, 1, 2, 5])
def test_infilling_takes_texts_of_hardly_a_token(length):
    noisy = infill(np.arange(length), -1, np.random.default_rng(0))
    assert set(noisy) <= {-1, *range(length)}


# ------------------------------------------------------------------------------- the batches


def test_one_step_in_five_is_pseudo_summaries_of_encyclopedia_articles_alone(recipe):
    rng, news = np.random.default_rng(0), 0
    for step in range(10):
        passes = recipe.batches(step, 0.0, rng)
        sources = [row for batch in passes for row in recipe.tokenizer.decode_batch(batch.source.tolist())]
        if step % 5 == 4:
            assert not any((batch.source == recipe.mask).any() for batch in passes)
            assert not any("Ministers" in source for source in sources)
        else:
            assert all((batch.source == recipe.mask).any(1).all() for batch in passes)
            news += sum("Ministers" in source for source in sources)
    assert news


def test_a_pseudo_summary_is_the_opening_sentence_and_its_source_lacks_it(recipe):
    rng = np.random.default_rng(0)
    decode = recipe.tokenizer.decode
    for _ in range(50):
        source, target = (decode(ids.tolist()) for ids in recipe.pseudo_summary(recipe.articles, 120, rng))
        assert target.endswith("is a village by the river in the north of the island.") and "\n" not in target
        assert target not in source and "mills" in source


def test_the_gap_sentence_is_the_one_that_shares_most_with_the_others(bundled, folder):
    recipe = Denoising(CONFIG, folder)
    recipe.tokenizer, recipe.sentences = bundled, Sentences(bundled.get_vocab())
    central = "The council of Arle closed both bridges over the river after storms."
    before = "Storms struck the town of Arle. The council met on Monday."
    after = "Both bridges were closed by noon.\nThe river had flooded the road over the bridges. Nobody was hurt."
    ids = np.array(bundled.encode(f"{before} {central} {after} " + "Rain fell after dark. " * 12).ids)
    gap, rest = recipe.gap_and_rest(ids)
    assert bundled.decode(gap.tolist()) == central
    assert bundled.decode(rest.tolist()).startswith(f"{before} {after}")
    assert recipe.gap_and_rest(np.array(bundled.encode(central).ids)) is None  # nothing is left of it
    unlike = "Quartz is hard and clear. We saw seven dogs in June! Did Ellen Moore ever write? " + "x " * 80
    assert recipe.gap_and_rest(np.array(bundled.encode(unlike).ids)) is None


def test_pseudo_summaries_are_openings_and_gap_sentences_of_all_texts(folder, monkeypatch):
    monkeypatch.setattr(denoising, "REST_TOKENS", 20)
    monkeypatch.setattr(denoising, "OPENING_TOKENS", (3, 90))
    recipe = Denoising(replace(CONFIG, summary_every=2, gap_share=0.5), folder)
    recipe.open()
    rows = [
        (recipe.tokenizer.decode(source.tolist()), recipe.tokenizer.decode(target.tolist()))
        for step in (1, 3, 5, 7)
        for batch in recipe.batches(step, 0.0, np.random.default_rng(step))
        for source, target in zip(batch.source.numpy(), batch.target.numpy(), strict=True)
    ]
    kinds = {target.split()[0] for _, target in rows}
    assert "Ministers" in kinds and kinds & {"The", "It"} and kinds & set(PLACES)
    assert all(target not in source for source, target in rows) and not any("<mask>" in source for source, _ in rows)
    assert set(recipe.validation()) == {"denoising", "summaries", "gaps"}
    assert recipe.mixed({"denoising": 2.0, "summaries": 3.0, "gaps": 5.0})["mix"] == pytest.approx(3.0)


def test_texts_without_a_gap_sentence_are_refused(folder, monkeypatch):
    recipe = Denoising(CONFIG, folder)
    recipe.open()
    monkeypatch.setattr(denoising, "TRIES", 20)
    with pytest.raises(BadInput, match="sentence that the others repeat"):
        recipe.gap_sentence(recipe.news, 40, np.random.default_rng(0))


def test_sources_come_in_several_layouts_and_within_the_length(recipe):
    rng = np.random.default_rng(0)
    sources = [recipe.pseudo_summary(recipe.articles, 60, rng)[0] for _ in range(80)]
    assert max(map(len, sources)) == 60
    texts = [recipe.tokenizer.decode(ids.tolist()) for ids in sources]
    assert any(text.startswith("Article:") for text in texts) and any(text.endswith("Summary:") for text in texts)
    assert sum(text.strip().startswith("The village") for text in texts) > 20  # the article alone, as a task gives it


def test_articles_that_do_not_tell_their_opening_are_refused(tmp_path, monkeypatch):
    far = "Quartz\nQuartz is a hard mineral of silicon and oxygen atoms. " + "We met a dog in a far away town by 7 pm. " * 20
    (tmp_path / "wikipedia.txt").write_text(f"{far}\n{END}\n" * 201)
    prepare(tmp_path, None, tmp_path / "corpus", 400)
    recipe = Denoising(replace(CONFIG, news_share=0.0), tmp_path / "corpus")
    recipe.open()
    monkeypatch.setattr(denoising, "TRIES", 50)
    with pytest.raises(BadInput, match="opening sentence"):
        recipe.pseudo_summary(recipe.articles, 60, np.random.default_rng(0))


def test_windows_are_whole_sentences_of_one_document(recipe):
    rng, ids = np.random.default_rng(0), recipe.texts.by_document(np.random.default_rng(1))
    starts = set(recipe.sentences.starts(ids)) | {len(ids)}
    for length in (30, 60, len(ids)):
        window = recipe.window(ids, length, rng)
        places = [place for place in starts if np.array_equal(ids[place : place + len(window)], window)]
        assert 0 < len(window) <= length and any(place + len(window) in starts for place in places)
    assert len(recipe.window(ids, 3, rng)) == 3  # a sentence longer than the window is cut


def test_documents_are_drawn_whole(folder):
    texts = Documents(folder, "train", lambda name: name == "wikinews")
    tokenizer = Denoising(CONFIG, folder).tokenizer
    for draw in (texts.by_token, texts.by_document):
        text = tokenizer.decode(draw(np.random.default_rng(2)).tolist())
        assert text.startswith("Ministers") and text.count("Ministers") == 9 and text.endswith("day 8.")


def test_passes_give_the_loss_of_the_rows_one_by_one(recipe):
    rng = np.random.default_rng(0)
    rows = [recipe.noised(recipe.texts, length, rng) for length in (20, 35, 50, 64)]
    model = recipe.new_model(CPU).eval()
    (together,) = recipe.passes(rows)
    alone = [recipe.collate([row]) for row in rows]
    assert together.targets == sum(batch.targets for batch in alone) and together.tokens == sum(batch.tokens for batch in alone)
    with torch.no_grad():
        expected = sum(recipe.loss(model, batch) * batch.targets for batch in alone) / together.targets
        assert recipe.loss(model, together).item() == pytest.approx(expected.item(), abs=1e-5)


def test_the_loss_is_that_of_transformers(recipe):
    model, rng = recipe.new_model(CPU).eval(), np.random.default_rng(0)
    batch = recipe.collate([recipe.noised(recipe.texts, 40, rng)])
    with torch.no_grad():
        assert recipe.loss(model, batch).item() == pytest.approx(model(batch.source, labels=batch.target).loss.item(), abs=1e-5)


# -------------------------------------------------------------------------- what is withheld


@pytest.fixture
def sets(tmp_path):
    def row(summary, article, title=""):
        return json.dumps({"summary": summary, "article": article, "title": title})

    sentence = "The council of Arle has voted to close both of its bridges."
    body = "Engineers found cracks in nine of the twelve old iron pillars that carry the road over the river.\nIt rained."
    other = "A ferry will run from Bute to Corm in the summer months from now on."
    (tmp_path / "news").mkdir()
    (tmp_path / "news" / "train.jsonl").write_text(row(other, "It is a white boat.") + "\n")
    (tmp_path / "news" / "valid.jsonl").write_text(row(sentence, body, "Bridges of Arle to close") + "\n")
    return tmp_path


def test_nothing_of_a_held_out_row_is_kept(sets):
    withheld = Withheld(sets)
    assert withheld.keep("wikipedia", "Bridges of Arle to close\nAnything at all.") is None
    allowed = "Arle\nArle is a town.\nIt has two bridges."
    assert withheld.keep("wikipedia", allowed) == allowed
    for phrase in (
        "Then it came. The Council of Arle has voted to close both of its bridges. So it was.",
        "He said engineers found cracks in nine of the twelve old iron pillars that carry a lot.",
    ):
        assert withheld.keep("wikipedia", f"Arle\nArle is a town.\n{phrase}") == "Arle\nArle is a town."


def test_news_lose_title_opening_sentence_and_every_summary(sets):
    text = (
        "Ferry back\nMr. Hale opened the U.S. ferry today. It is white.\nA ferry will run from Bute to Corm in the summer months \
from now on. It costs £2.\nGulls came."
    )
    assert Withheld(sets).keep("wikinews", text) == "It is white.\nIt costs £2.\nGulls came."
    assert Withheld(sets).keep("wikinews.2020", text) == Withheld(sets).keep("wikinews", text)
    assert Withheld(sets).keep("wikinews", "Title\nOne sentence alone.") is None
    assert Withheld(sets).keep("wikipedia", text) == text  # a training row's summary is no secret elsewhere


def test_prepared_tokens_lack_what_is_withheld(sets, tmp_path):
    (tmp_path / "text").mkdir()
    (tmp_path / "text" / "wikinews.txt").write_text(
        f"A title\nAn opening. The rest of it.\n{END}\nBridges of Arle to close\nA. B.\n{END}\n"
    )
    report = prepare(tmp_path / "text", None, tmp_path / "out", 300, withheld=Withheld(sets))
    assert report["streams"]["wikinews"]["documents"] == 1
    ids = np.fromfile(tmp_path / "out" / "wikinews.valid.bin", dtype=np.uint16)
    assert Denoising(CONFIG, tmp_path / "out").tokenizer.decode(ids.tolist()) == "The rest of it."


def test_rows_that_cannot_be_read_are_reported(tmp_path):
    with pytest.raises(BadInput, match="No rows to withhold"):
        Withheld(tmp_path)
    (tmp_path / "news").mkdir()
    (tmp_path / "news" / "test.jsonl").write_text('{"summary": "a", "article": "b"}\n{"summary": "a"}\n')
    with pytest.raises(BadData, match=r"test\.jsonl, line 2"):
        Withheld(tmp_path)


# -------------------------------------------------------------------------------- the model


def test_a_budget_in_minutes_counts_time():
    assert done_share(replace(CONFIG, minutes=10), 10**9, 300) == 0.5
    assert done_share(CONFIG, 750, 10**9) == 0.25


@pytest.mark.slow
def test_a_run_that_was_stopped_goes_on_to_the_same_weights(folder, tmp_path):
    straight = list(pretrain(CONFIG, folder, tmp_path / "a", CPU))
    first = pretrain(CONFIG, folder, tmp_path / "b", CPU)
    for _ in range(3):  # stopped after the third step: the checkpoint is of the second
        next(first)
    first.close()
    rest = list(pretrain(CONFIG, folder, tmp_path / "b", CPU))
    assert rest[0].index == 3 and [step.loss for step in rest] == [step.loss for step in straight[2:]]
    a, b = (torch.load(tmp_path / name / "checkpoint.pt", weights_only=True)["model"] for name in "ab")
    assert all(torch.equal(a[name], b[name]) for name in a)
    assert set(straight[-1].valid) == {"mix", "denoising", "summaries"} and straight[-1].loss < straight[0].loss


def test_a_run_goes_on_from_a_bart_of_its_shape_only(folder, tmp_path):
    list(pretrain(replace(CONFIG, tokens=600), folder, tmp_path, CPU))
    (tmp_path / "corpus").symlink_to(folder)
    bart = export(tmp_path, tmp_path / "model", "a CPU")
    recipe = Denoising(replace(CONFIG, start="mini-gpt2", continue_from=str(bart)), folder)
    model = recipe.new_model(CPU)
    recipe.initialise(model)
    saved = torch.load(tmp_path / "checkpoint.pt", weights_only=True)["model"]
    assert all(torch.equal(value.half(), saved[name].half()) for name, value in model.state_dict().items())
    wider = Denoising(replace(CONFIG, inner=64), folder).new_model(CPU)
    with pytest.raises(BadInput, match=r"model has another shape than the preset's model: .*\(48,\) in place of \(64,\)"):
        continue_from(wider, bart)
    with pytest.raises(BadInput, match="takes a gpt2 here; model is a bart"):
        continue_from(NextToken(replace(CONFIG, objective="next_token", decoder_layers=0), folder).new_model(CPU), bart)
    with pytest.raises(BadInput, match=r"No model could be opened in .*gone"):
        continue_from(wider, tmp_path / "gone")


@pytest.mark.slow
def test_the_exported_folder_is_a_bart_that_transformers_and_the_app_load(folder, tmp_path):
    list(pretrain(replace(CONFIG, tokens=600), folder, tmp_path, CPU))
    (tmp_path / "corpus").symlink_to(folder)
    model_card = export(tmp_path, tmp_path / "model", "CPU, 1 thread")
    assert (model_card / "model.safetensors").stat().st_mode == (model_card / "config.json").stat().st_mode
    model, tokenizer = AutoModelForSeq2SeqLM.from_pretrained(model_card, dtype="auto"), AutoTokenizer.from_pretrained(model_card)
    assert model.dtype == torch.float16 and model.config.model_type == "bart"
    assert model.get_input_embeddings().weight is model.get_output_embeddings().weight
    ids = tokenizer("Arle<mask>")["input_ids"]
    assert ids[0] == tokenizer.bos_token_id == 400 and ids[-1] == tokenizer.eos_token_id == END_ID
    assert tokenizer.mask_token_id in ids and tokenizer.pad_token_id == model.config.pad_token_id == 401
    assert model.config.decoder_start_token_id == END_ID and len(tokenizer) <= model.config.vocab_size
    backbone = load_backbone(str(model_card), "cpu")
    assert tuple(backbone.spec.sites) == ("encoder", "decoder", "cross")
    trained = torch.load(tmp_path / "checkpoint.pt", weights_only=True)["model"]["model.shared.weight"]
    assert torch.allclose(model.get_input_embeddings().weight.float(), trained, atol=1e-3)
    card, log = (model_card / "README.md").read_text(), (model_card / "loss.csv").read_text()
    assert f"{model.num_parameters():,}" in card and "| wikinews | 420 |" in card and "CPU, 1 thread" in card
    last = log.splitlines()[-1].split(",")
    assert f"{int(last[1]):,} in {last[0]} updates" in card and f"summaries {float(last[-2]):.3f}" in card
