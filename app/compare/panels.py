"""The panels below the columns: the next word, the references with their scores, and the cost of each method."""

from collections.abc import Sequence

from analysis.metrics.bleu import original_bleu
from app.compare import article_panels
from app.compare.columns import mark_texts
from app.compare.comparison import Column, Comparison
from app.shared.examples import Sample
from app.shared.html import count, size, tag, text
from app.shared.method_labels import mark, titles
from app.shared.method_labels import title as method_title
from core.config.methods import method_info
from core.runs.run import Run
from core.text.checks import percent
from core.text.tables import Fields

TASKS = 100  # of the sum at the foot of the cost card


def panels(comparison: Comparison, fields: Fields, sample: Sample | None) -> str:
    """Show all panels of a finished comparison."""
    if comparison.request.form == "article":
        return (
            words(comparison)
            + article_panels.sentences(comparison)
            + article_panels.references(comparison, sample)
            + cost(comparison)
        )
    return words(comparison) + references(comparison, fields, sample) + cost(comparison)


def _panel(title: str, lead: str, content: str, name: str) -> str:
    heading = tag("h3", title) + tag("p", lead, cls="lead")
    return tag("section", tag("header", heading) + content, cls=f"pl-panel {name}", id=f"pl-panel-{name}")


def _side_by_side(cells: Sequence[str]) -> str:
    return tag("div", "".join(cells), cls="pl-cells", style=f"--columns:{len(cells)}")


def words(comparison: Comparison) -> str:
    """Show the likeliest next tokens after the table, under each method, as bars."""
    if not any(column.words for column in comparison.columns.values()):
        return ""
    names = column_titles(comparison)
    lead = "How likely each model finds the first token of its answer, right after the input."
    return _panel(
        "The next word", lead, _side_by_side([bars(column, names[kind]) for kind, column in comparison.columns.items()]), "words"
    )


def bars(column: Column, title: str = "") -> str:
    """Show the next words of one column as bars, under its name or a title."""
    rows = []
    for word, probability in column.words:
        token = word.replace("\n", "↵").replace(" ", "␣") if not word.strip() else word.strip()
        bar = tag("span", tag("i", "", style=f"width:{max(probability * 100, 0.5):.1f}%"), cls="bar")
        share = tag("em", f"{probability * 100:.1f} %")
        rows.append(tag("li", tag("b", text(token or "∅"), title=repr(word)) + bar + share))
    content = tag("ol", "".join(rows)) if rows else tag("p", "–", cls="meta")
    return tag("div", tag("h4", text(title or method_title(column.kind, column.run))) + content, cls=f"cell {column.kind}")


def references(comparison: Comparison, fields: Fields, sample: Sample | None) -> str:
    """Show reference texts of a bundled table with a sentence's BLEU; otherwise why there are none."""
    if sample is None:
        lead = "This table is your own, so there is no reference text to score against."
        return _panel("References", lead, "", "references")
    marked = mark_texts(comparison, fields)
    listed = tag("ul", "".join(tag("li", text(reference)) for reference in sample.references))
    if not any(marks.text for marks in marked.values()):
        return _panel("References", "Texts written for this table.", listed, "references")
    cells, signature, names = [], "", column_titles(comparison)
    for kind in comparison.columns:
        score = original_bleu([comparison.columns[kind].text], [list(sample.references)]) if marked[kind].text else None
        signature = score.signature if score else signature
        value = f"{score.per_example[0]:.1f}" if score else "–"
        cells.append(tag("div", tag("h4", text(names[kind])) + tag("b", value), cls=f"cell {kind}"))
    recipe = signature.replace("eff:no", "eff:yes")  # per sentence, the effective order is used
    note = tag("p", f"BLEU, higher is better. n=1: one sentence, not a system score. {text(recipe)}", cls="meta")
    other = " Its topic is held out of the project's own training rows." if sample.held_out else ""
    return _panel("References", f"Texts written for this table.{other}", listed + _side_by_side(cells) + note, "references")


def cost(comparison: Comparison) -> str:
    """Show what was trained, what is stored, and the sizes."""
    whole = comparison.backbone.spec.parameters
    names = column_titles(comparison)
    cells = [_cost(column, names[kind], whole) for kind, column in comparison.columns.items()]
    name = f"{text(comparison.backbone.spec.name)} with {count(whole)} parameters"
    lead = f"One backbone, {name}, serves every prefix; each fine-tuned task is a model of its own."
    return _panel("What it costs", lead, _side_by_side(cells) + _many(comparison), "cost")


def _cost(column: Column, name: str, whole: int) -> str:
    title = mark(column.kind, column.run) + tag("h4", text(name))
    if column.kind == "base":
        rows = [("Trained for this task", "nothing"), ("Stored for this task", "nothing"), ("Shared by all", count(whole))]
        return tag("div", title + _rows(rows) + _share(0), cls="cell base")
    run = column.run
    if run is None:
        return tag("div", title + tag("p", "No run.", cls="meta"), cls=f"cell {column.kind}")
    rows = [
        ("Parameters trained", count(run.trained)),
        ("Parameters stored", count(run.stored)),
        ("File", size(run.bytes)),
        *_score(run),
    ]
    return tag("div", title + _rows(rows) + _share(run.stored / whole), cls=f"cell {column.kind}")


def _score(run: Run) -> list[tuple[str, str]]:
    """Return the run's BLEU, or ROUGE-L for summaries, on a whole test set, if it was evaluated."""
    name = "ROUGE-L" if run.task.input_format == "article" else "BLEU"
    split = next((split for split in ("test", *run.scores) if name in run.scores.get(split, {})), None)
    if split is None:
        return []
    score = run.scores[split][name]
    recipe = f"{score['signature']}, {score['decoding']['mode']}"
    return [(f"{name}, {split}, n={score['n']}", tag("span", f"{score['value']:.1f}", title=recipe))]


def _rows(rows: list[tuple[str, str]]) -> str:
    return tag("dl", "".join(tag("dt", text(name)) + tag("dd", value) for name, value in rows))


def _share(share: float) -> str:
    bar = tag("span", tag("i", "", style=f"width:{share * 100:.2f}%") if share else "", cls="bar")
    return tag("div", bar + tag("em", f"{percent(share)} of the backbone"), cls="share")


def _many(comparison: Comparison) -> str:
    runs = {column.run.method: column.run for column in comparison.columns.values() if column.run}
    if len(runs) < 2:
        return ""
    sums = ", ".join(f"{TASKS} {method_info(run.method).plural} {size(TASKS * run.bytes)}" for run in runs.values())
    return tag("p", f"For {TASKS} tasks, beside the backbone: {text(sums)}.", cls="meta")


def column_titles(comparison: Comparison) -> dict[str, str]:
    """Return the columns' titles, distinct if methods are the same."""
    return titles({kind: column.run for kind, column in comparison.columns.items()})
