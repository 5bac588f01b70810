"""WebNLG after 2017: the right test file, one language, and what the release's own training data has seen."""

import gzip
import json
import shutil
from pathlib import Path

import pytest

from core.data.webnlg_dart import read_webnlg
from core.errors import BadData

ENTRY = """<entry category="{category}" eid="Id1" size="1">
<modifiedtripleset><mtriple>Ivy | in | Leeds</mtriple></modifiedtripleset>
{lexes}</entry>"""
LEX = '<lex comment="good" lid="Id1"{lang}>{text}</lex>'


def write(file: Path, *entries: tuple[str, str]) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    inner = "".join(ENTRY.format(category=category, lexes=lexes) for category, lexes in entries)
    file.write_text(f"<benchmark><entries>{inner}</entries></benchmark>", encoding="utf-8")


def lex(text: str, lang: str = "") -> str:
    return LEX.format(text=text, lang=f' lang="{lang}"' if lang else "")


@pytest.fixture
def release(tmp_path: Path) -> Path:
    """Release 3.0 in small."""
    test = "rdf-to-text-generation-test-data-{}-refs-{}.xml"
    write(tmp_path / "en/train/1triples/Artist.xml", ("Artist", lex("Ivy is in Leeds.")))
    write(tmp_path / "en/test" / test.format("with", "en"), ("Film", lex("Ivy!")), ("Artist", lex("Ivy?", "en")))
    write(tmp_path / "en/test" / test.format("without", "en"), ("Film", ""))
    write(tmp_path / "en/test/semantic-parsing-test-data-with-refs-en.xml", ("Artist", lex("Another task.")))
    write(tmp_path / "ru/train/1triples/City.xml", ("City", lex("Ivy is in Leeds.", "en") + lex("Айви в Лидсе.", "ru")))
    write(tmp_path / "ru/train/1triples/Food.xml", ("Food", lex("English only.", "en")))
    return tmp_path


def test_the_tasks_own_file_is_read_and_unseen_is_what_this_training_data_lacks(release: Path) -> None:
    for folder in (release, release / "en", release / "en" / "test"):
        examples = read_webnlg(folder, None if folder.name == "test" else "test")
        assert [(one.targets, one.group, one.seen) for one in examples] == [
            (("Ivy!",), "Film", False),
            (("Ivy?",), "Artist", True),
        ]
    assert [one.group for one in read_webnlg(release, "test_seen")] == ["Artist"]
    assert [one.group for one in read_webnlg(release, "test_unseen")] == ["Film"]


def test_a_sentence_keeps_the_words_of_elements_in_it_and_none_of_what_stands_beside_it(tmp_path: Path) -> None:
    beside = "<sortedtripleset><sentence>s p o</sentence></sortedtripleset><template>AGENT is in PLACE</template>"
    texts = ("Ivy is in <b>Leeds</b>.", f"Ivy is here.{beside}", f"{beside}<text>Ivy <i>was</i> here.</text>")
    write(tmp_path / "Artist.xml", ("Artist", "".join(lex(text) for text in texts)))
    assert read_webnlg(tmp_path / "Artist.xml")[0].targets == ("Ivy is in Leeds.", "Ivy is here.", "Ivy was here.")


def test_one_language_is_read(release: Path) -> None:
    (examples,) = read_webnlg(release / "ru", "train")  # the entry without a Russian text is left out
    assert examples.targets == ("Айви в Лидсе.",)
    assert read_webnlg(release, "train")[0].targets == ("Ivy is in Leeds.",)
    with pytest.raises(BadData, match="give a file with such references"):
        read_webnlg(release / "ru/train/1triples/Food.xml")


def test_the_language_goes_by_the_attributes_and_not_by_the_folders_name(tmp_path: Path) -> None:
    write(tmp_path / "russian/train/City.xml", ("City", lex("Ivy is in Leeds.", "en") + lex("Айви в Лидсе.", "ru")))
    assert read_webnlg(tmp_path / "russian", "train")[0].targets == ("Айви в Лидсе.",)
    packed = tmp_path / "packed-City.xml.gz"
    packed.write_bytes(gzip.compress((tmp_path / "russian/train/City.xml").read_bytes()))
    assert read_webnlg(packed)[0].targets == ("Айви в Лидсе.",)
    write(tmp_path / "ru/train/City.xml", ("City", lex("Ivy is in Leeds.", "en") + lex("Leeds has Ivy.")))
    assert read_webnlg(tmp_path / "ru", "train")[0].targets == ("Ivy is in Leeds.", "Leeds has Ivy.")
    for language in ("en", "ru"):  # two downloads in one folder
        write(tmp_path / f"both/test-{language}.xml", ("City", lex(f"A text in {language}.", language)))
        assert read_webnlg(tmp_path / f"both/test-{language}.xml")[0].targets == (f"A text in {language}.",)
    write(tmp_path / "three/train/City.xml", ("City", lex("a", "en") + lex("b", "ru") + lex("c", "de")))
    with pytest.raises(BadData, match="references in de, ru: give files of one language"):
        read_webnlg(tmp_path / "three", "train")


def test_a_test_file_alone_goes_by_what_was_published(release: Path, tmp_path: Path) -> None:
    alone = tmp_path / "alone" / "rdf-to-text-generation-test-data-with-refs-en.xml"
    alone.parent.mkdir()
    alone.write_bytes((release / "en/test" / alone.name).read_bytes())
    assert [one.seen for one in read_webnlg(alone)] == [False, True]


def test_releases_2_have_a_folder_of_xml(tmp_path: Path) -> None:
    write(tmp_path / "xml/train/1triples/City.xml", ("City", lex("Ivy is in Leeds.")))
    write(tmp_path / "xml/test/1triples/City.xml", ("City", lex("Ivy.")), ("Airport", lex("Leeds.")))
    assert [one.seen for one in read_webnlg(tmp_path, "test")] == [True, False]
    assert read_webnlg(tmp_path / "xml/test", "test") == read_webnlg(tmp_path, "test")


def test_what_cannot_be_chosen_is_named(release: Path, tmp_path: Path) -> None:
    with pytest.raises(BadData, match="choose a split"):
        read_webnlg(release)
    (release / "en/test/rdf-to-text-generation-test-data-with-refs-en.xml").unlink()
    with pytest.raises(BadData, match=r"semantic-parsing-test-data-with-refs-en\.xml, and one rdf-to-text"):
        read_webnlg(release, "test")
    shutil.rmtree(release / "en")
    with pytest.raises(BadData, match=r"has no English part \(en\)\. It holds ru: give that folder, as .*/ru\.$"):
        read_webnlg(release, "train")
    for name in ("release_v2.1", "release_v3.0"):
        (tmp_path / "all" / name).mkdir(parents=True)
    with pytest.raises(BadData, match=r"the releases release_v2\.1, release_v3\.0: give the folder of one"):
        read_webnlg(tmp_path / "all", "test")


def test_the_json_of_a_release_is_read_as_its_xml(tmp_path: Path) -> None:
    triple = {"subject": "Ivy", "property": "in", "object": "Leeds"}
    texts = [("good", "en", "Ivy is in Leeds."), ("toFix", "en", "Ivy!")]
    lexes = [{"comment": comment, "lang": lang, "lex": text, "xml_id": "Id1"} for comment, lang, text in texts]
    entry = {"category": "City", "size": "1", "modifiedtripleset": [triple], "lexicalisations": lexes}
    (tmp_path / "train.json").write_text(json.dumps({"entries": [{"1": entry}, {"2": entry | {"modifiedtripleset": []}}]}))
    write(tmp_path / "one.xml", ("City", lex("Ivy is in Leeds.")))
    skipped: list[str] = []
    (example,) = read_webnlg(tmp_path / "train.json", "train", skipped)
    (expected,) = read_webnlg(tmp_path / "one.xml", "train")
    assert example == expected and "there are no triples" in skipped[0]
    assert len(read_webnlg(tmp_path / "train.json", "test", [])[0].targets) == 2
    entry["lexicalisations"] = [*lexes, lexes[0] | {"lang": "ru", "lex": "Айви в Лидсе."}]
    (tmp_path / "ru.json").write_text(json.dumps({"entries": [{"1": entry}]}), encoding="utf-8")
    assert read_webnlg(tmp_path / "ru.json", "test")[0].targets == ("Айви в Лидсе.",)


def test_what_is_unseen_in_the_json_of_a_release_follows_from_its_own_training_data(tmp_path: Path) -> None:
    lexes = [{"comment": "good", "lang": "en", "lex": "It is.", "xml_id": "Id1"}]
    for split, categories in (("train", ("Company", "City")), ("test", ("Company", "Film"))):
        entries = [
            {
                "1": {"category": category, "modifiedtripleset": [{"subject": "A", "property": "b", "object": "C"}]}
                | {"lexicalisations": lexes}
            }
            for category in categories
        ]
        (tmp_path / f"{split}.json").write_text(json.dumps({"entries": entries}))
    assert [(row.group, row.seen) for row in read_webnlg(tmp_path, "test")] == [("Company", True), ("Film", False)]
    assert len(read_webnlg(tmp_path, "test_unseen")) == 1
    (tmp_path / "train.json").unlink()
    write(tmp_path / "train/Film.xml", ("Film", lex("It is.")))  # a release whose training data is XML
    assert [row.seen for row in read_webnlg(tmp_path / "test.json", "test")] == [False, True]


def test_a_neighbour_that_cannot_be_read_does_not_keep_a_file_from_being_read(tmp_path: Path) -> None:
    write(tmp_path / "City.xml", ("City", lex("Ivy is in Leeds.")))
    (tmp_path / "Food.xml").write_bytes("<entry/>".encode("utf-16"))
    assert read_webnlg(tmp_path / "City.xml", "train")[0].targets == ("Ivy is in Leeds.",)
