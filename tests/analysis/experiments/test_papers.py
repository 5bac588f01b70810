"""The paper's grids: which cells a table or figure has, and what is said where it cannot have any."""

import pytest

from analysis.experiments.grid import FROZEN, Cell, unique_cells
from analysis.experiments.papers import NAMES, PREFIX, named_grids, paper_grids, scale
from core.errors import BadInput

SMALL, PAPER = scale("small"), scale("paper")
EVERY = ("e2e", "webnlg", "dart", "news", "topics")


@pytest.mark.parametrize("size", [SMALL, PAPER], ids=lambda size: size.name)
def test_every_cell_has_settings_of_its_own_and_an_id_of_its_own(size):
    cells = unique_cells(paper_grids(size, EVERY))
    assert len({cell.id for cell in cells}) == len(cells) > 150
    for cell in cells:
        assert Cell.from_json(cell.to_json()) == cell
        assert cell.method == FROZEN or cell.config().seed == cell.seed


def test_figures_vary_one_thing_and_share_cells_with_tables():
    grids = {grid.name: grid for grid in paper_grids(SMALL, EVERY)}
    assert list(grids) == list(NAMES)
    lengths = {line.x: line.cells[0] for line in grids["figure4"].lines}
    assert list(lengths) == list(SMALL.lengths)
    assert [cell.config().length for cell in lengths.values()] == list(SMALL.lengths)
    assert len({cell.config().replace(length=1) for cell in lengths.values()}) == 1
    (prefix,) = [line for line in grids["table1"].lines if line.label == PREFIX and line.data == "e2e"]
    assert lengths[10] == prefix.cells[0] == grids["table4"].lines[0].cells[0]
    low = grids["figure3"].lines
    assert {line.x for line in low} == {50, 100, 200, 500}
    assert all(len(line.cells) == 4 and {cell.sample for cell in line.cells} == {0, 1} for line in low)


def test_the_papers_scale_has_the_settings_of_its_table_5():
    lines = {
        (line.data, line.label): line.cells[0].config()
        for line in paper_grids(PAPER, EVERY)[0].lines
        if line.label != "Frozen model"
    }
    e2e, webnlg, dart = (lines[name, PREFIX] for name in ("e2e", "webnlg", "dart"))
    assert (e2e.rate, e2e.epochs, e2e.batch, e2e.length, e2e.mlp) == (8e-5, 5, 10, 5, 512)
    assert (webnlg.rate, webnlg.epochs, webnlg.batch, webnlg.length) == (5e-5, 5, 5, 5)
    assert (dart.rate, dart.epochs, dart.batch, dart.length) == (5e-5, 10, 5, 10)
    finetuned, large = lines["webnlg", "Fine-tuning"], lines["e2e", "Adapter, 3 %"]
    assert (finetuned.rate, finetuned.epochs, finetuned.batch) == (1e-5, 10, 6)
    assert (large.rate, large.epochs, large.batch, large.share) == (5e-5, 5, 5, 0.03)


def test_figures_are_of_e2e_else_of_webnlg_else_of_the_bundled_tables():
    for sets, data in ((EVERY, "e2e"), (("webnlg", "dart"), "webnlg"), ((), "records")):
        figures = [grid for grid in paper_grids(SMALL, sets) if grid.name.startswith("figure")]
        assert {cell.data for grid in figures for cell in grid.cells} == {data}


def test_changed_numbers_make_other_cells():
    changed = scale("small", only_updates=7, tables=5, seeds=1, rates=(1e-3,), lengths=(1, 3))
    (grid,) = named_grids("figure4", changed, ["e2e"])
    assert [(line.x, len(line.cells)) for line in grid.lines] == [(1, 1), (3, 1)]
    assert all(cell.config().updates == 7 and cell.tables == 5 and cell.rates == (1e-3,) for cell in grid.cells)
    assert not {cell.id for cell in grid.cells} & {cell.id for cell in unique_cells(paper_grids(SMALL, ["e2e"]))}


def test_a_wrong_name_and_a_missing_data_set_are_named():
    with pytest.raises(BadInput, match="no experiment 'table9': choose table1"):
        named_grids("table9", SMALL)
    with pytest.raises(BadInput, match="no scale 'huge': choose small or paper"):
        scale("huge")
    with pytest.raises(BadInput, match="table2 needs a data set that is not given: add --data news=FOLDER"):
        named_grids("table2", SMALL)
    assert {grid.name for grid in named_grids("all", SMALL)} == {"table1", "figure3", "figure4", "figure5", "table4"}
    assert {cell.data for grid in named_grids("all", SMALL) for cell in grid.cells} == {"records"}
    with pytest.raises(BadInput, match="not a cell of an experiment"):
        Cell.from_json({"data": "e2e", "method": "magic"})
