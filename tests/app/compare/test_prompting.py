"""The frozen model is prompted as a person would do it, in its own layout whatever runs stand beside it."""

import pytest

from app.compare.comparison import CompareRequest, compare
from app.compare.prompting import BETWEEN_EXAMPLES, INSTRUCTION, base_task, prompts_for
from app.compare.run_picker import base_head
from app.shared.examples import training_samples
from core.config.decode import DecodeConfig
from core.errors import BadConfig
from core.models.inputs import INSTRUCTIONS
from core.models.loading import load_backbone
from core.runs.run import Run
from core.text.tables import linearise
from tests.support.tiny_models import make_tiny_backbone

SOURCE = " name : Alda | Type : pub | area : north"
TRIPLES = " | Alda_Hall : locatedIn : Oslo"


@pytest.fixture(scope="module")
def roomy(tmp_path_factory):
    """A byte-level model with room for examples."""
    return load_backbone(str(make_tiny_backbone(tmp_path_factory.mktemp("roomy") / "roomy-gpt2", positions=4096)), "cpu")


@pytest.fixture(scope="module")
def narrow(tmp_path_factory):
    """A byte-level model that has room for one example of at most 128 bytes, and not for two."""
    return load_backbone(str(make_tiny_backbone(tmp_path_factory.mktemp("narrow") / "narrow-gpt2", positions=256)), "cpu")


def test_as_it_is_the_input_stands_on_a_line_of_its_own(roomy):
    task = base_task(roomy, "table", SOURCE)
    assert (task.lead, task.separator) == ("", "\n") and task.prompt("name : Alda") == "name : Alda\n"


@pytest.mark.parametrize("form", ["table", "webnlg", "dart", "text"])
def test_an_instruction_stands_in_front_in_the_words_of_the_form(roomy, form):
    assert base_task(roomy, form, SOURCE, INSTRUCTION).lead == INSTRUCTIONS[form] + "\n"


@pytest.mark.parametrize("shots", ["1", "3"])
@pytest.mark.parametrize(("form", "source"), [("table", SOURCE), ("webnlg", TRIPLES)])
def test_examples_are_pairs_in_the_layout_of_the_input(roomy, form, source, shots):
    task = base_task(roomy, form, source, shots)
    pairs = task.lead.removesuffix(BETWEEN_EXAMPLES).split(BETWEEN_EXAMPLES)
    assert len(pairs) == int(shots) and task.lead.endswith(BETWEEN_EXAMPLES)
    for pair in pairs:
        example, text = pair.split(task.separator)
        assert " : " in example and text.endswith(".") and " : " not in text


def test_the_nearest_example_stands_last_and_the_input_itself_is_none(roomy):
    row = next(sample for sample in training_samples() if len(sample.fields) > 3)
    source = linearise(list(row.fields))
    lead = base_task(roomy, "table", source, "3").lead
    assert source.strip() not in lead
    keys = [{part.split(" : ")[0].strip() for part in pair.split("\n")[0].split("|")} for pair in lead.strip().split("\n\n")]
    shared = [len(one & {key for key, _ in row.fields}) for one in keys]
    assert shared == sorted(shared) and shared[-1] == len(row.fields)


def test_examples_leave_half_of_the_positions(narrow):
    lead = base_task(narrow, "table", SOURCE, "3").lead
    assert 0 < len(narrow.encode(lead)) <= 128 and lead.count(BETWEEN_EXAMPLES) == 1


def test_the_ways_of_prompting_are_those_that_the_model_and_the_form_have(roomy, newsroom):
    encoder = newsroom.models.backbone(newsroom.models.default)
    assert list(prompts_for(roomy, "table")) == ["", "instruction", "1", "3"]
    assert list(prompts_for(roomy, "text")) == ["", "instruction"] == list(prompts_for(encoder, "article"))
    with pytest.raises(BadConfig, match=r"with 3 examples.*Choose another"):
        base_task(encoder, "article", "An article.", "3")
    head = base_head(roomy, "table", "3")
    assert head.count("<option") == 4 and '<option value="3" selected="selected">with 3 examples' in head


def test_an_encoder_decoder_model_reads_the_instruction_inside_its_own_form(newsroom):
    backbone = newsroom.models.backbone(newsroom.models.default)
    task = base_task(backbone, "article", "An article.", INSTRUCTION)
    assert task.lead == f"<s>{INSTRUCTIONS['article']}\n" and task.separator == "</s>"


@pytest.mark.parametrize("prompt", ["", INSTRUCTION, "1"])
def test_base_writes_the_same_whatever_runs_stand_beside_it(context, prompt):
    """A text prefix, or runs in the paper's layout, once changed what the frozen model was given."""
    backbone = context.models.backbone(context.models.default)
    decode = DecodeConfig(max_new=6)

    def base(**runs: str):
        *_, last = compare(context, backbone, CompareRequest(SOURCE, decode=decode, prompt=prompt, **runs), lambda: False)
        assert all(isinstance(last.columns[slot].run, Run) for slot in runs)
        return last.columns["base"]

    alone = base()
    others = [
        base(prefix="tiny-prefix", finetuned="tiny-finetuned"),
        base(prefix="triples-prefix"),
        base(prefix="text:Describe the pub."),
    ]
    assert {tuple(column.prompt_ids) for column in others} == {tuple(alone.prompt_ids)}
    assert {column.text for column in others} == {alone.text}
    task = base_task(backbone, "table", SOURCE, prompt)
    assert alone.prompt_ids == backbone.encode(task.prompt(SOURCE.strip()))
