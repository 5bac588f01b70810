"""Two sections of the Attention tab: the layer grid (a logit lens), and the prefix set aside.

A part of the tab with its own components, state and handlers.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import gradio as gr
from gradio.blocks import Block

from analysis.attention.layer_lens import LayerLens
from analysis.figures.layer_lens import layer_lens_grid
from app.attention import lens_view
from app.attention.handlers import TAB, AttentionHandlers
from app.attention.state import AttentionState
from app.attention.view import AttentionViewModel, name_of
from app.shared import plot_widget, urlstate
from app.shared.events import LATEST, TabHandlers, Update, errors_to_status, streaming
from app.shared.html import area, notes
from app.shared.last_comparison import ComparisonRecord
from app.shared.shell import Shell
from app.shared.urlstate import State, url_field
from core.models.backbone import Backbone
from core.prefix.interventions import Intervention
from core.text.checks import counted

MOVES = {"up": (-1, 0), "down": (1, 0), "left": (0, -1), "right": (0, 1)}


@dataclass(frozen=True)
class LensState(State):
    """The chosen cell of the layer grid: `layer` and `step` (the generated token) count from 1; 0 is none."""

    layer: int = url_field(0, lambda value: 0 <= value <= 1000, key="lens-layer")
    step: int = url_field(0, lambda value: 0 <= value <= 10_000, key="lens-token")


@dataclass
class LensSection:
    """The components that handlers read and write."""

    state: gr.State
    address: gr.Textbox
    head: gr.HTML
    grid: gr.HTML
    cell: gr.HTML
    aside: gr.HTML

    @property
    def outputs(self) -> list[Block]:
        """The outputs of a fill."""
        return list(vars(self).values())


class LensHandlers(TabHandlers):
    """Handlers with the components that they write. `attention`: the tab's own handlers, which know the text and its reader."""

    activity = "layer by layer"
    tab = "attention"

    def __init__(self, attention: AttentionHandlers, section: LensSection) -> None:
        super().__init__(attention.context, attention.shell)
        self.attention, self.section = attention, section

    def restore(self, search: str) -> LensState:
        """Read the address when the page is opened; a cell has a layer and a token."""
        cell = urlstate.read(search or "", LensState)
        return cell if bool(cell.layer) == bool(cell.step) else cell.without("lens-layer" if cell.layer else "lens-token")

    @errors_to_status
    def fill(self, ticket: int, state: AttentionState, cell: LensState, request: gr.Request) -> Iterator[Update]:
        """Fill both sections for the text of the tab; do nothing for an older request."""
        page, tickets = request.session_hash or "", self.context.tickets
        record = self.attention.comparison(page)
        if not ticket or tickets.is_stale(page, ticket, TAB) or record is None:
            yield self.no_update()
            return
        yield from tickets.while_newest(page, ticket, self._fill(state, cell, record), TAB)

    def _fill(self, state: AttentionState, cell: LensState, record: ComparisonRecord) -> Iterator[Update]:
        section = self.section
        lens_of_reader = self._lens(state, record)
        if lens_of_reader is None:
            yield {section.cell: "", section.aside: "", section.head: "", section.grid: plot_widget.NOTHING}
            return
        lens, title, change, kind = lens_of_reader
        head = {section.head: lens_view.grid_head(lens, title, f"the prefix{change}")}
        yield self._cell(lens, title, change, kind, _remarked(cell, *lens.kl.shape)) | head
        yield {section.aside: self._aside(state, record)}

    def _lens(self, state: AttentionState, record: ComparisonRecord) -> tuple[LayerLens, str, str, str] | None:
        """Return the lens of the tab's reader, its name, what was done to its prefix, and its kind of column; None for the
        frozen model."""
        backbone, vm, intervention = self._text(state, record)
        if not vm.reader.run or not vm.text.ids:
            return None
        lens = self.attention.readings.lens(backbone, vm.reader, vm.text, intervention)
        return lens, vm.reader.title, _change(state, vm), vm.column

    def _text(self, state: AttentionState, record: ComparisonRecord) -> tuple[Backbone, AttentionViewModel, Intervention]:
        backbone = self.context.models.backbone(record.name)
        return backbone, *self.attention.view_model(backbone, state, record)

    def _cell(self, lens: LayerLens, title: str, change: str, kind: str, cell: LensState) -> Update:
        title += change
        layers, steps = lens.kl.shape
        indices = (min(cell.layer, layers) - 1, min(cell.step, steps) - 1) if cell.layer and cell.step else None
        section = self.section
        detail = lens_view.cell(lens, *indices, title, kind) if indices else ""
        position = replace(cell, layer=indices[0] + 1, step=indices[1] + 1) if indices else replace(cell, layer=0, step=0)
        return {
            section.grid: plot_widget.value(layer_lens_grid(lens, title, indices), "layer-by-layer"),
            section.cell: notes(cell.problems) + detail,
            section.state: position,
            section.address: urlstate.write(position),
        }

    def _aside(self, state: AttentionState, record: ComparisonRecord) -> str:
        backbone, vm, intervention = self._text(state, record)
        if not vm.reader.length or intervention.alpha == 0:
            return ""
        read = self.attention.readings.content_differences
        return lens_view.set_aside(
            read(backbone, vm.reader, vm.text, intervention, vm.site), vm.site, f"the prefix{_change(state, vm)}"
        )

    @errors_to_status
    def choose(self, state: AttentionState, event: gr.EventData, request: gr.Request) -> Update:
        """Choose the cell that was clicked."""
        place = event.points[0].get("data") if event.points else None
        if not place:
            return self.no_update()
        return self._move_to(state, LensState(int(place[0]) + 1, int(place[1]) + 1), request)

    @errors_to_status
    def move(self, state: AttentionState, cell: LensState, event: gr.EventData, request: gr.Request) -> Update:
        """Move the choice with an arrow key: to the cell beside it, or to the first token's last layer if there is none."""
        down, right = MOVES.get(str(event.move), (0, 0))
        if not (cell.layer and cell.step):
            return self._move_to(state, LensState(1000, 1), request)
        return self._move_to(state, LensState(max(1, cell.layer + down), max(1, cell.step + right)), request)

    def _move_to(self, state: AttentionState, cell: LensState, request: gr.Request) -> Update:
        record = self.attention.comparison(request.session_hash or "")
        lens_of_reader = self._lens(state, record) if record is not None else None
        return self._cell(*lens_of_reader, cell) if lens_of_reader else self.no_update()


def _change(state: AttentionState, vm: AttentionViewModel) -> str:
    """Return what was done to the prefix, to stand after its name: " (without P1)", or nothing."""
    change = name_of(state, vm)
    return f" ({change})" if change else ""


def _remarked(cell: LensState, layers: int, steps: int) -> LensState:
    """The cell with a remark if the grid ends before it."""
    if cell.layer <= layers and cell.step <= steps:
        return cell
    shown = f"Layer {min(cell.layer, layers)}, token {min(cell.step, steps)}"
    grid = f"the grid has {counted(layers, 'layer')} and {counted(steps, 'token')}"
    return cell.remarked(f"There is no layer {cell.layer}, token {cell.step}: {grid}. {shown} is shown instead.")


def draw() -> LensSection:
    """Draw both sections; call inside gr.Blocks."""
    address = urlstate.address_box("pl-lens-address", LensState)
    head = area("", elem_id="pl-look-lens-head")
    grid = plot_widget.plot("pl-look-lens", 360, name="Layers by generated tokens. The arrow keys choose a cell")
    cell = area("", js_on_load="PrefixLab.attention.lens(trigger) /* 'select' */", elem_id="pl-look-lens-cell")
    return LensSection(gr.State(LensState()), address, head, grid, cell, area("", elem_id="pl-look-aside"))


def wire(attention: AttentionHandlers, shell: Shell, section: LensSection, refreshes: list[gr.events.Dependency]) -> None:
    """Fill the sections after each of the tab's `refreshes`, and let cells be chosen."""
    do, page = LensHandlers(attention, section), attention.components
    outputs = [*section.outputs, shell.status]
    for event in refreshes:
        event.then(do.fill, [page.ticket, page.state, section.state], outputs, **streaming("lens"))
    cell_outputs = [section.grid, section.cell, section.state, section.address, shell.status]
    section.grid.click(do.choose, page.state, cell_outputs, **LATEST)
    section.cell.select(do.move, [page.state, section.state], cell_outputs, **LATEST)
    shell.page.load(do.restore, shell.search, section.state, js="() => [location.search]", **LATEST)
