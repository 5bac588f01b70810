"""Outputs of any system, in the file forms of the official scripts."""

import json

import pytest

from analysis.evaluation.score_files import read_outputs, read_references, score_files
from analysis.evaluation.suites import entries, score_examples
from analysis.metrics.bleu import dart_bleu, e2e_bleu, webnlg_bleu
from app.cli.main import main
from core.errors import BadData, BadInput
from core.task import Example

HYPS = ["The old inn serves Thai food .", "A tea room by the river ."]
REFS = [["The old inn serves good Thai food .", "An old inn ."], ["A small tea room by the river ."]]


@pytest.fixture(autouse=True)
def no_jar(monkeypatch, tmp_path):
    monkeypatch.setenv("PREFIX_LAB_METEOR_JAR", str(tmp_path / "none.jar"))  # keeps java out of the tests


@pytest.fixture
def files(tmp_path):
    def write(**contents):
        paths = [tmp_path / name.replace("__", ".") for name in contents]
        for path, text in zip(paths, contents.values(), strict=True):
            path.write_text(text, encoding="utf-8")
        return paths if len(paths) > 1 else paths[0]

    return write


def by_name(results):
    return {one.name: one for one in results}


def test_e2e_references_in_blocks(files):
    hyps, refs = files(hyp__txt="\n".join(HYPS) + "\n", ref__txt="\n".join([*REFS[0], "", *REFS[1], "", ""]))
    assert read_references([refs]) == REFS
    file_scores = score_files(hyps, [refs])
    scores = by_name(file_scores.scores)
    assert list(scores) == ["BLEU", "NIST", "METEOR", "ROUGE-L", "CIDEr", "NIST-mteval"] and file_scores.n == 2
    assert scores["BLEU"] == e2e_bleu(HYPS, REFS) and "meteor-1.5.jar" in scores["METEOR"].reason


def test_e2e_single_references_and_tables(files):
    lines = files(ref__txt="one\ntwo\n")
    assert read_references([lines]) == [["one"], ["two"]]
    outputs, refs = files(
        out__tsv="MR\toutput\nname[B]\tb out\nname[A], food[x]\ta out\n",
        ref__csv='mr,ref\n"name[A], food[x]",a one\n"name[A], food[x]","a, two"\nname[B],b one\n',
    )
    texts, sources = read_outputs(outputs)
    assert (texts, sources) == (["b out", "a out"], ["name[B]", "name[A], food[x]"])
    assert read_references([refs], sources=sources) == [["b one"], ["a one", "a, two"]]  # in the outputs' order
    assert read_references([refs]) == [["a one", "a, two"], ["b one"]]


def test_webnlg_and_dart_files_line_by_line(files):
    """An empty line is a missing reference: it keeps its place for BLEU. Official gold files are taken as they are."""
    hyps, *refs = files(
        hyp__txt="\n".join(HYPS), r0__lex="\n".join(own[0] for own in REFS), r1__lex="An old inn .\n\n", r2__lex="\n\n"
    )
    rows = [[REFS[0][0], "An old inn .", ""], [REFS[1][0], "", ""]]
    assert read_references(refs) == rows
    scores = by_name(score_files(hyps, refs, "dart").scores)
    assert scores["BLEU"] == dart_bleu(HYPS, rows, tokenised=True) and "refs:first" in scores["TER"].signature
    assert by_name(score_files(hyps, refs, "webnlg").scores)["BLEU"] == webnlg_bleu(HYPS, rows)
    gold = files(gold__lex="it is 3 ... long\nx\n")
    hyps = files(two__txt="It is 3 … long\nX\n")
    assert by_name(score_files(hyps, [gold], "webnlg").scores)["BLEU"] == webnlg_bleu(
        ["It is 3 … long", "X"], [["it is 3 ... long"], ["x"]], normalised=True
    )


def test_references_in_lower_case_are_not_taken_for_separated_ones(files):
    texts = 'the eagle is a cafe.\nwildwood, near aromi, serves thai food.\nit is "cheap" and good fun.\n'
    hyps, refs = files(low__txt=texts, ref__txt=texts)
    scores = by_name(score_files(hyps, [refs], "webnlg").scores)
    assert scores["BLEU"].value == pytest.approx(100) and scores["TER"].value == 0


@pytest.mark.parametrize("name", ["out__jsonl", "out__json"])
def test_outputs_in_json_are_refused_not_scored_as_they_stand(files, name):
    hyps, refs = files(**{name: '{"text": "An inn."}\n', "ref__txt": "An inn.\n"})
    with pytest.raises(BadData, match="is not read as outputs: give a text file with one output per line, or CSV"):
        score_files(hyps, [refs], "plain")


def test_the_sets_own_data_separates_seen_from_unseen(files):
    row = {"category": "City", "triples": [["Ivy", "in", "Leeds"]], "texts": ["Ivy is in Leeds.", "Ivy, Leeds."]}
    rows = json.dumps(row) + "\n" + json.dumps({**row, "category": "Artist"}) + "\n"
    hyps, data = files(hyp__txt="Ivy is in Leeds.\nIvy is.\n", test__jsonl=rows)
    scores = by_name(score_files(hyps, [data], "webnlg").scores)
    assert scores["BLEU-seen"].value == pytest.approx(100) and scores["BLEU-unseen"].value < 50
    assert (scores["BLEU-seen"].n, scores["BLEU"].n, scores["TER-unseen"].n) == (1, 2, 1)
    assert scores["Coverage"].value == pytest.approx(75) and "METEOR-seen" not in scores


def test_rows_of_one_source_are_one_example_in_e2e_only():
    rows = [Example("a : b", ("1",)), Example("a : b", ("2",)), Example("c : d", ("3",))]
    assert [len(entries(name, rows)) for name in ("e2e", "dart", "webnlg", "my-task")] == [2, 3, 3, 2]
    assert "ROUGE-1" in by_name(score_examples("my-task", ["x", "y"], entries("my-task", rows)))


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("hyp.txt", "", "hyp.txt is empty"),
        ("hyp.txt", "\n\n", "has no outputs"),
        ("hyp.tsv", "a\tb\tc\n1\t2\t3\n", "line 1: the columns are a, b, c, and one with an input"),
        ("hyp.csv", 'mr,output\n"x\n', "line 2: not CSV"),
        ("hyp.csv", "mr,output,output\nx,y,z\n", "line 1: the columns are mr, output, output, and one with an input"),
        ("hyp.csv", "mr,output\nx,y,z\n", "line 2: 3 cells under 2 columns"),
        ("hyp.csv", "mr,output\nx,y\n\nz\n", "line 4: 1 cell under 2 columns"),
    ],
)
def test_bad_files_of_outputs(tmp_path, name, text, message):
    (tmp_path / name).write_text(text, encoding="utf-8")
    with pytest.raises(BadData, match=message):
        read_outputs(tmp_path / name)


def test_bad_references(files, tmp_path):
    hyps, short, long = files(hyp__txt="a\nb\n", short__txt="a\n", long__txt="a\n\n\nb\n")
    with pytest.raises(BadInput, match=r"hyp\.txt has 2 outputs, and there are references for 1 input:"):
        score_files(hyps, [short])
    with pytest.raises(BadData, match="line 3: an empty line where references are to begin"):
        read_references([long])
    long.write_text("a\n\n\nb\n\n\n")
    short.write_text("a\nb\n\n\n")
    assert read_references([short]) == [["a"], ["b"]]  # empty lines at the end are none
    with pytest.raises(BadData, match=r"different numbers of lines \(short\.txt 2, long\.txt 4\)"):
        read_references([short, long])
    with pytest.raises(BadInput, match="choose e2e, webnlg, dart, rouge, summarization, plain"):
        score_files(hyps, [short], "bleu")
    with pytest.raises(BadData, match="cannot be read"):
        score_files(hyps, [tmp_path / "none.txt"])
    with pytest.raises(BadInput, match="belong to no set"):
        score_files(hyps, [tmp_path], "rouge")
    short.write_bytes(b"\xff\xfea\n")
    with pytest.raises(BadData, match="line 1: not UTF-8"):
        read_references([short])


@pytest.mark.slow
def test_the_command_prints_every_score_and_who_is_better(files, capsys):
    hyps, other, refs = files(
        hyp__txt="\n".join(HYPS), other__txt="An inn .\nA room .\n", ref__txt="\n".join([*REFS[0], "", *REFS[1]])
    )
    arguments = ["evaluate", "--hyps-in", str(hyps), "--refs", str(refs)]
    assert main(arguments) == 0
    output = capsys.readouterr().out
    assert "BLEU" in output and "NIST" in output and "not computed, needs" in output and "higher is better   n=2" in output
    assert main([*arguments, "--against", str(other), "--json"]) == 0
    record = json.loads(capsys.readouterr().out)
    assert record["scores"]["BLEU"]["value"] == pytest.approx(e2e_bleu(HYPS, REFS).value)
    assert record["scores"]["METEOR"]["value"] is None and record["their_scores"]["BLEU"]["n"] == 2
    assert {one["metric"]: one["better"] for one in record["differences"]}["ROUGE-L"] == "first"
    assert main([*arguments, "--against", str(other)]) == 0
    assert "ROUGE-L: hyp.txt better by" in capsys.readouterr().out


def test_the_command_says_what_it_lacks(files, capsys):
    hyps = files(hyp__txt="a\n")
    assert main(["evaluate", "--hyps-in", str(hyps)]) == 1 and "--refs" in capsys.readouterr().err
    assert main(["evaluate"]) == 1 and "--data" in capsys.readouterr().err


def test_options_that_would_not_be_read_are_refused(files, capsys):
    """--set in place of --score gave E2E's metrics, and --tables scored every output."""
    hyps = str(files(hyp__txt="a\n"))
    for option in (["--set", "webnlg"], ["--tables", "3"], ["--data", "d"], ["--hyps", "h"], ["--lead", "1"]):
        assert main(["evaluate", "--hyps-in", hyps, "--refs", hyps, *option]) == 1
        assert f"{option[0]} counts only without --hyps-in" in capsys.readouterr().err
    for option in (["--score", "dart"], ["--against", hyps]):
        assert main(["evaluate", "--set", "tables", *option]) == 1
        assert f"{option[0]} counts only with --hyps-in" in capsys.readouterr().err


def test_dart_scores_against_all_of_its_references(files):
    """The official script gives TER and METEOR every reference that is there; an output equal to the second has no edits."""
    hyps, *refs = files(
        hyp__txt="the mill is in leeds .\n", r0__lex="leeds has a mill .\n", r1__lex="the mill is in leeds .\n", r2__lex="\n"
    )
    scores = by_name(score_files(hyps, refs, "dart").scores)
    assert scores["TER"].value == 0.0 and "refs:first 3" in scores["TER"].signature


def test_outputs_of_entries_that_cannot_be_used_are_left_out_with_them(files):
    row = {"category": "City", "triples": [["Ivy", "in", "Leeds"]], "texts": ["Ivy is in Leeds."]}
    rows = "".join(json.dumps(entry) + "\n" for entry in (row, {**row, "triples": []}, {**row, "texts": ["It is."]}))
    whole, short, data = files(
        hyp__txt="Ivy is in Leeds.\nbad\nIt is.\n", short__txt="Ivy is in Leeds.\nIt is.\n", test__jsonl=rows
    )
    with pytest.raises(BadData, match="line 2"):
        score_files(whole, [data], "webnlg")
    for hyps in (whole, short):
        skipped: list[str] = []
        scores = score_files(hyps, [data], "webnlg", skipped=skipped)
        assert len(skipped) == 1 and by_name(scores.scores)["TER"].value == 0 and by_name(scores.scores)["BLEU"].n == 2


def test_rows_of_a_set_that_cannot_be_used_are_left_out_where_asked_for(tmp_path):
    rows = [{"triples": [["Ivy", "in", "Leeds"]], "texts": ["Ivy is in Leeds."]}, {"texts": ["No triples."]}]
    (tmp_path / "test.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    outputs = tmp_path / "out.txt"
    outputs.write_text("Ivy is in Leeds.\n", encoding="utf-8")
    with pytest.raises(BadData, match="line 2"):
        score_files(outputs, [tmp_path / "test.jsonl"], "webnlg")
    skipped: list[str] = []
    scored = score_files(outputs, [tmp_path / "test.jsonl"], "webnlg", skipped=skipped)
    assert scored.n == 1 and len(skipped) == 1 and "line 2" in skipped[0]


def test_tables_of_outputs_are_read_as_any_csv(files, caplog):
    """With semicolons, blanks after commas, stray quotes and cells over several lines."""
    semicolons, blanks, stray, long, twoless = files(
        a__csv="mr;output\nname[A];a, b\n",
        b__csv='mr, output\nname[A], "a, b"\n',
        c__tsv='mr\toutput\nname[A]\t"a b\nname[B]\t"B" is\n',
        d__csv='mr,output\nname[A],"a over\ntwo lines"\n',
        e__csv="name[A]\ta, b\nname[B]\tc\n",
    )
    assert read_outputs(semicolons) == read_outputs(blanks) == (["a, b"], ["name[A]"])
    assert read_outputs(stray)[0] == ['"a b', '"B" is'] and "c.tsv: 1 row with a quote that is never closed" in caplog.text
    assert read_outputs(long)[0] == ["a over two lines"]
    assert read_outputs(twoless) == (["a, b", "c"], ["name[A]", "name[B]"])


def test_empty_lines_after_the_last_output_are_none_and_an_input_needs_a_reference(files):
    hyps, ref, empty = files(hyp__txt="\ufeffa b\r\n\r\nc d\r\n\r\n\r\n", r0__lex="a b\nx\n\n", r1__lex="\nx y\nc d\n")
    scored = score_files(hyps, [ref, empty], "dart")
    assert by_name(scored.scores)["BLEU"].n == scored.n == 3
    with pytest.raises(BadData, match=r"Line 3 has no reference in r0\.lex"):
        score_files(hyps, [ref], "dart")
    assert score_files(hyps, [files(r3__lex="a b\nx\nc d\n\n\n")], "dart").n == 3
    none = files(r2__lex="\n\n\n")
    with pytest.raises(BadData, match="Line 1 has no reference in any of the 2 files"):
        read_references([empty, none], blocks=False)


E2E = [
    ("name : Alda | price : £ 20 - 25", "Alda is a pub by the river today ."),
    ("name : Brio | Type : inn", "Come and eat at the old Brio inn ."),
    ("name : Cato | Type : bar", "Cato serves the best drinks in town ."),
]


@pytest.fixture
def e2e_set(tmp_path):
    file = tmp_path / "test.jsonl"
    file.write_text("".join(json.dumps({"table": source, "text": text}) + "\n" for source, text in E2E), encoding="utf-8")
    return file


def table_of_outputs(rows):
    return "mr,output\n" + "".join(f'"{source}","{text}"\n' for source, text in rows)


def test_outputs_with_their_inputs_are_scored_in_the_order_of_the_set(files, e2e_set):
    slides = [("name[Alda], priceRange[£20-25]", E2E[0][1]), ("name[Brio], eatType[inn]", E2E[1][1]), E2E[2]]
    shuffled, bad, lines = files(
        a__csv=table_of_outputs(slides[::-1]),
        b__csv=table_of_outputs([E2E[1], E2E[2], (E2E[0][0], "An inn .")]),
        c__txt="".join(f"{text}\n" for _, text in E2E),
    )
    scored = score_files(shuffled, [e2e_set], against=bad)  # neither in the set's order
    assert by_name(scored.scores)["BLEU"].value == pytest.approx(100) and by_name(scored.other)["BLEU"].value < 100
    assert by_name(score_files(lines, [e2e_set], against=shuffled).other)["BLEU"].value == pytest.approx(100)


def test_entries_of_one_input_keep_the_order_of_their_outputs(files):
    row = {"category": "City", "triples": [["Ivy", "birthPlace", "Leeds"]], "texts": ["Ivy is in Leeds."]}
    other = {**row, "triples": [["Ivy", "country", "England"]], "texts": ["Ivy is in England."]}
    rows = [row, other, {**row, "texts": ["Leeds has Ivy."]}, {**row, "triples": []}]
    outputs, data = files(
        a__csv="source,output\n"
        "Ivy | country | England,Ivy is in England.\n"
        "[Ivy | birthPlace | Leeds],Ivy is in Leeds.\n"
        "nothing,bad\n"
        "| Ivy : birthPlace : Leeds,Leeds has Ivy.\n",
        test__jsonl="".join(json.dumps(entry) + "\n" for entry in rows),
    )
    for suite in ("webnlg", "dart"):
        skipped: list[str] = []
        scored = score_files(outputs, [data], suite, skipped=skipped)
        assert scored.n == 3 and len(skipped) == 1 and by_name(scored.scores)["BLEU"].value == pytest.approx(100)


@pytest.mark.parametrize(
    ("rows", "sentence"),
    [
        (
            [*E2E[:2], ("name : Dora | Type : bar", "Dora .")],
            r"an output for the input 'name : Dora \| Type : bar', which is not in",
        ),
        (E2E[1:], r"0 outputs for the input 'name : Alda \| price : £ 20 - 25', which is in the set once: give as many"),
        ([*E2E, E2E[1]], r"2 outputs for the input 'name : Brio \| Type : inn', which is in the set once"),
        ([*E2E[:2], ("17", "Cato .")], "an output for the input '17', which is not in the set"),
    ],
)
def test_inputs_that_are_not_those_of_the_set_are_named(files, e2e_set, rows, sentence):
    outputs = files(out__csv=table_of_outputs(rows))
    with pytest.raises(BadInput, match=f"out.csv has {sentence}"):
        score_files(outputs, [e2e_set])


def test_a_column_of_empty_inputs_says_nothing_about_the_order(files, e2e_set):
    outputs = files(out__csv=table_of_outputs([("", text) for _, text in E2E]))
    assert by_name(score_files(outputs, [e2e_set]).scores)["BLEU"].value == pytest.approx(100)
