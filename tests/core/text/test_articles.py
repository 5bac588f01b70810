"""Articles: what is refused, sentences, and the readers of every form they come in."""

import gzip
import json

import pytest

from core.data.source import DataSource
from core.data.summarization import read_articles
from core.errors import BadData, BadInput, TooLong
from core.text.articles import article, lead, looks_english, sentences

TEXT = "The bridge at Aldby opened on Monday after two years of work. Hundreds of people walked across it."
TOPICS = ["sport", "world", "business", "culture", "uk", "Sport"]


def rows(count=3, **columns):
    return [
        {"id": f"a{n}", "topic": TOPICS[n], "article": f"{TEXT} {n}", "summary": f"Bridge {n} opens"} | columns
        for n in range(count)
    ]


def put(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content if isinstance(content, str) else "".join(json.dumps(row) + "\n" for row in content))
    return path


def test_an_article_is_tidied_and_its_paragraphs_kept():
    assert article("  One  sentence.\r\n\r\n\tAnother one. \n") == "One sentence.\nAnother one."


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is empty"),
        (" \n\t ", "is empty"),
        ("?! …", "is empty"),
        ("Rain.", "one word, 'Rain'"),
        ("PNG\x00\x1a\x02 data", "U+0000"),
        ("caf\udce9 au lait", "U+DCE9"),
        ("<html><body><p>The bridge is open.</p></body></html>", "source of a web page"),
    ],
)
def test_what_cannot_be_an_article(text, message):
    with pytest.raises(BadInput, match=message.replace("+", r"\+").replace("?", r"\?")):
        article(text)


def test_more_than_a_book_is_refused_and_a_long_report_is_not():
    with pytest.raises(TooLong, match="3,500,000 characters"):
        article("word ones " * 350_000)
    assert len(article("one word and another " * 25_000).split()) == 100_000


def test_a_text_with_a_sign_or_two_of_less_is_no_web_page():
    assert article("If a < b and b > c then a <b> holds, they said.")


def test_sentences_are_found_across_abbreviations_initials_and_quotes():
    text = 'Mr. Ray of the U.K. said "No." He left at 5 p.m. on Monday. J. K. Ash stayed!\nWas it 3.5 km? “Yes.” (It was.)'
    assert [text[start:end] for start, end in sentences(text)] == [
        'Mr. Ray of the U.K. said "No."',
        "He left at 5 p.m. on Monday.",
        "J. K. Ash stayed!",
        "Was it 3.5 km?",
        "“Yes.”",
        "(It was.)",
    ]
    assert lead(text, 2).endswith("on Monday.")


@pytest.mark.parametrize(
    ("text", "english"),
    [
        (TEXT, True),
        (
            "Die Brücke in Aldby ist nach zwei Jahren Bauzeit am Montag eröffnet worden, und viele Leute gingen sofort hinüber.",
            False,
        ),
        ("Le pont d'Aldby a ouvert lundi après deux ans de travaux et des centaines de gens l'ont traversé à pied.", False),
        ("大桥在两年的施工之后于星期一开放。", False),
        ("Rain in Aldby", True),
    ],
)
def test_another_language_is_noticed(text, english):
    assert looks_english(text) == english


def test_json_lines_csv_and_the_names_of_other_sets(tmp_path):
    expected = [(f"{TEXT} {n}", (f"Bridge {n} opens",), TOPICS[n]) for n in range(3)]
    table = "document,summary,section\n" + "".join(f'"{source}",{target},{topic}\n' for source, (target,), topic in expected)
    other = [{"text": row["article"], "summary": row["summary"], "category": row["topic"]} for row in rows()]
    files = [put(tmp_path / "a.jsonl", rows()), put(tmp_path / "a.csv", table), put(tmp_path / "b.jsonl", other)]
    for file in files:
        assert [(one.source, one.targets, one.group) for one in read_articles(file)] == expected
    packed = tmp_path / "c.jsonl.gz"
    packed.write_bytes(gzip.compress(files[0].read_bytes()))
    assert [one.id for one in read_articles(packed)] == ["a0", "a1", "a2"]


def test_own_columns_by_name(tmp_path):
    file = put(tmp_path / "mine.csv", f'desk;body;abstract\nharbour;"{TEXT}";Bridge opens\n')
    (articles,) = read_articles(file, columns=("body", "abstract"), group="desk")
    assert (articles.source, articles.targets, articles.group) == (TEXT, ("Bridge opens",), "harbour")
    with pytest.raises(BadData, match="article and summary are needed"):
        read_articles(file)


def test_a_folder_of_text_files_and_the_official_codes_lines(tmp_path):
    for name in ("one", "two"):
        put(tmp_path / "texts" / "train" / "articles" / f"{name}.txt", f"{TEXT}\n\n{name} of them.")
        put(tmp_path / "texts" / "train" / "summaries" / f"{name}.txt", f"Bridge {name}\nopens\n")
    articles = read_articles(tmp_path / "texts", "train")
    assert [(one.id, one.targets) for one in articles] == [("one", ("Bridge one opens",)), ("two", ("Bridge two opens",))]
    assert articles[0].source == f"{TEXT}\none of them."
    put(tmp_path / "lines" / "val.source", f"{TEXT}\n{TEXT} Again.\n")
    put(tmp_path / "lines" / "val.target", "Bridge opens\nOnce more\n")
    assert [one.targets for one in read_articles(tmp_path / "lines", "dev")] == [("Bridge opens",), ("Once more",)]


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"summary": TEXT * 3}, r"summary \(\d+ words\) is longer than its article"),
        ({"article": "Rain."}, "one word"),
        ({"article": ""}, '"article" is empty'),
        ({"article": "<p>a</p><p>b</p>"}, "web page"),
        ({"summary": 5}, '"summary" is not a text'),
    ],
)
def test_a_bad_row_is_named_or_left_out(tmp_path, row, message):
    file = put(tmp_path / "mine.jsonl", [rows()[0], rows()[1] | row])
    with pytest.raises(BadData, match=f"mine.jsonl, line 2: .*{message}"):
        read_articles(file)
    skipped: list[str] = []
    assert len(read_articles(file, skipped=skipped)) == 1 and len(skipped) == 1


def test_a_missing_summary_or_line_is_reported(tmp_path):
    put(tmp_path / "a" / "articles" / "one.txt", TEXT)
    (tmp_path / "a" / "summaries").mkdir()
    with pytest.raises(BadData, match=r"no summaries/one\.txt"):
        read_articles(tmp_path / "a")
    put(tmp_path / "b" / "train.source", f"{TEXT}\n{TEXT}\n")
    put(tmp_path / "b" / "train.target", "One\n")
    with pytest.raises(BadData, match=r"2 lines and train\.target 1"):
        read_articles(tmp_path / "b", "train")


@pytest.mark.parametrize(
    ("name", "train", "test"),
    [
        ("news-to-sports", {"world", "business", "culture", "uk"}, {"sport", "Sport"}),
        ("within-news", {"world", "business", "uk"}, {"culture"}),
    ],
)
def test_topic_splits_train_and_test_on_other_topics(tmp_path, name, train, test):
    for split in ("train", "valid"):
        put(tmp_path / f"{split}.jsonl", rows(6))
    source = DataSource("summarization", str(tmp_path), topics=name)
    train_rows, valid = source.load_train_valid([])
    assert {one.group for one in train_rows} == {one.group for one in valid} == train and all(one.seen for one in train_rows)
    held_out = source.load_split("test", [])
    assert {one.group for one in held_out} == test and not any(one.seen for one in held_out)
    assert len(held_out) == 2 * len(test)  # of both splits: neither was trained on


def test_a_topic_split_needs_topics(tmp_path):
    bare = [{key: row[key] for key in ("article", "summary")} for row in rows()]
    put(tmp_path / "train.jsonl", bare)
    with pytest.raises(BadData, match=r"names no topics.*--topic-column"):
        read_articles(tmp_path, "train", topics="within-news")
    put(tmp_path / "train.jsonl", [row | {"topic": "sport"} for row in rows()])
    with pytest.raises(BadData, match="It has: sport"):
        read_articles(tmp_path, "train", topics="news-to-sports")
    with pytest.raises(BadInput, match="'sport-to-news'"):
        read_articles(tmp_path, "train", topics="sport-to-news")


def test_xsum_as_its_authors_released_it(tmp_path):
    splits = tmp_path / "XSum-TRAINING-DEV-TEST-SPLIT-90-5-5.json"
    for folder, ending, tag, first in (
        ("bbc-summary-data", "summary", "SN", "FIRST-SENTENCE"),
        ("", "data", "XSUM", "INTRODUCTION"),
    ):
        place = tmp_path / (folder or ending)
        for number in (11, 12):
            parts = {"URL": "a.b/c", "TITLE": "Bridge", first: f"Bridge {number} opens.", "RESTBODY": f"{TEXT}\n{TEXT}"}
            put(place / f"{number}.{ending}", "\n\n".join(f"[{tag}]{name}[{tag}]\n{text}" for name, text in parts.items()))
        root = tmp_path if folder else place
        put(splits if folder else place / splits.name, json.dumps({"train": ["12"], "validation": ["11", "13"], "test": []}))
        (articles,) = read_articles(root, "train")
        assert (articles.id, articles.targets) == ("12", ("Bridge 12 opens.",)) and articles.source == f"{TEXT}\n{TEXT}"
        with pytest.raises(BadData, match="names this file, and it is not there"):
            read_articles(root, "dev")
    splits.unlink()
    with pytest.raises(BadData, match="no list of the splits"):
        read_articles(tmp_path / "bbc-summary-data", "train")


def test_xsum_line_by_line_and_topics_in_folders(tmp_path):
    put(tmp_path / "a" / "validation.document", f"{TEXT}\n{TEXT}\n")
    put(tmp_path / "a" / "validation.summary", "Bridge opens\nOnce more\n")
    assert [one.targets for one in read_articles(tmp_path / "a", "dev")] == [("Bridge opens",), ("Once more",)]
    put(tmp_path / "b" / "articles" / "sport" / "001.txt", TEXT)
    put(tmp_path / "b" / "summaries" / "sport" / "001.txt", "Bridge opens")
    (articles,) = read_articles(tmp_path / "b")
    assert (articles.id, articles.group, articles.targets) == ("sport/001", "sport", ("Bridge opens",))
    (tmp_path / "c" / "articles" / "empty").mkdir(parents=True)
    (tmp_path / "c" / "summaries").mkdir()
    with pytest.raises(BadData, match="which holds empty"):
        read_articles(tmp_path / "c")


def test_an_xsum_file_without_its_tags_is_left_out(tmp_path):
    good = f"[SN]FIRST-SENTENCE[SN]\nBridge opens.\n[SN]RESTBODY[SN]\n{TEXT}"
    for number, text in enumerate((good, TEXT, good.partition("[SN]REST")[0])):
        put(tmp_path / f"{number}.summary", text)
    put(tmp_path / "SPLIT.json", json.dumps({"test": [0, 1, 2]}))
    skipped: list[str] = []
    assert [one.id for one in read_articles(tmp_path, "test", skipped)] == ["0"]
    assert [message.partition(":")[0] for message in skipped] == ["1.summary, line 1", "2.summary, line 1"]


def test_a_text_file_that_cannot_be_read_costs_itself_only(tmp_path):
    for name in ("good", "latin", "wide"):
        put(tmp_path / "articles" / "sport" / f"{name}.txt", TEXT)
        put(tmp_path / "summaries" / "sport" / f"{name}.txt", "Bridge opens")
    (tmp_path / "articles" / "sport" / "latin.txt").write_bytes(f"{TEXT} £5".encode("latin-1"))
    (tmp_path / "articles" / "sport" / "wide.txt").write_bytes(TEXT.encode("utf-16"))
    skipped: list[str] = []
    (article,) = read_articles(tmp_path, "train", skipped)
    assert (article.id, article.group) == ("sport/good", "sport")
    assert "latin.txt, line 1: not UTF-8 text" in skipped[0] and "wide.txt is UTF-16 text" in skipped[1]


def test_articles_without_summaries_are_named(tmp_path):
    put(tmp_path / "articles" / "one.txt", TEXT)
    put(tmp_path / "notes" / "one.txt", TEXT)
    with pytest.raises(BadData, match=r"has articles/ and no summaries/\. It holds: articles, notes\."):
        read_articles(tmp_path, "test")


def test_a_json_file_may_be_a_list(tmp_path):
    list_file = put(tmp_path / "a.json", json.dumps(rows(), indent=1))
    lines_file = put(tmp_path / "b.json", rows())
    assert [one.targets for one in read_articles(list_file)] == [one.targets for one in read_articles(lines_file)]
