"""The table of `bench load`."""

from app.bench.load import LoadReport, quantile

MOST_SENTENCES = 10  # wrong answers and errors that are listed


def load_table(report: LoadReport) -> str:
    """What was measured under load, as text: a line per task, the clients' shares, memory, and each promise."""
    lines = [f"{'task':26} {'answers':>7} {'busy':>5}  {'first word, p50 and p95':>24}  {'whole answer, p50 and p95':>26}"]
    for task, answers in sorted(report.rows().items()):
        firsts, whole = [each.first for each in answers if each.first is not None], [each.seconds for each in answers]
        lines.append(f"{task:26} {len(answers):7} {report.busy[task]:5}  {_quantiles(firsts):>24}  {_quantiles(whole):>26}")
    lines += [f"{task:26} {0:7} {busy:5}" for task, busy in report.busy.items() if task not in report.rows()]
    slowest, fastest = min(report.per_client.values()), max(report.per_client.values())
    settings, total = report.settings, len(report.answers)
    lines += [
        "",
        f"{total} answers to {settings.clients} clients in {report.seconds:.0f} s; "
        f"{slowest} to the slowest and {fastest} to the fastest, ratio {report.fairness:.2f}",
        f"memory of the server: {_change(report, 'resident', 1e6, ' MB')}; open files: {_change(report, 'files', 1, '')}",
        "",
    ]
    for name, sentences in (("wrong", report.wrong), ("error", report.errors)):
        lines += [f"{name}: {sentence}" for sentence in sentences[:MOST_SENTENCES]]
        if len(sentences) > MOST_SENTENCES:
            lines.append(f"… and {len(sentences) - MOST_SENTENCES} more of these")
    return "\n".join(lines + [f"{promise}: {'kept' if holds else 'broken'}" for promise, holds in report.promises().items()])


def _quantiles(seconds: list[float]) -> str:
    return f"{quantile(seconds, 0.5):.2f} s  {quantile(seconds, 0.95):.2f} s" if seconds else "–"


def _change(report: LoadReport, name: str, unit: float, label: str) -> str:
    before, after = report.level(name)
    return f"{before / unit:,.0f}{label} after the warm-up, {after / unit:,.0f}{label} at the end ({report.growth(name):+.1%})"
