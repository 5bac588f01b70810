"""The clients of `bench load` on the tiny app, and what its report promises."""

import asyncio
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from app.bench.load import LoadReport, LoadSettings, Sample, _alone, _one
from app.bench.load_report import load_table
from app.bench.page import Layout
from app.bench.visitors import Answer, Visitor
from app.cli.main import main


@pytest.mark.slow
def test_a_client_without_a_browser_gets_what_is_checked_and_a_wrong_answer_is_noticed(served):
    async def visit() -> tuple[dict, LoadReport]:
        async with httpx.AsyncClient(base_url=served, timeout=300) as http:
            layout = Layout((await http.get("config")).json())
            right = await _alone(Visitor(http, layout, "alone"), ["table", "attention"])
            report, visitor = LoadReport(LoadSettings(clients=1)), Visitor(http, layout, "one")
            await visitor.enter()
            for task in ("table", "attention"):
                await _one(report, visitor, task, 1, right)
            await _one(
                report, visitor, "table", 2, right | {("table", 2): {"base": "another text", "prefix": "", "finetuned": ""}}
            )
            await _one(report, visitor, "upload of rows", 0, {("upload of rows", 0): None})
            await visitor.leave()
            return right, report

    with ThreadPoolExecutor(1) as thread:  # playwright's loop runs in this one
        right, report = thread.submit(asyncio.run, visit()).result()
    assert all(right["table", 1].values()) and right["table", 1] != right["table", 2]
    assert all(right["attention", 1].values()) and right["attention", 1] != right["attention", 2]
    assert [answer.task for answer in report.answers] == ["table", "attention", "table", "upload of rows"]
    assert report.errors == [] and len(report.wrong) == 2 and "another text" in report.wrong[0]
    assert "pl-preview" in report.wrong[1]
    assert report.per_client["one"] == 4 and report.answers[0].first is not None


def report_of(resident: list[float], per_client: dict[str, int]) -> LoadReport:
    report = LoadReport(LoadSettings(clients=len(per_client)), answers=[Answer("table", 0, {}, 2.0, 0.5)])
    report.per_client.update(per_client)
    report.samples = [Sample(0, int(bytes_ * 1e6), 20) for bytes_ in resident]
    return report


def test_the_report_says_what_is_kept_and_what_is_broken():
    report = report_of([500, 900, 1000, *[1000] * 37], {"a": 4, "b": 10})
    assert all(report.promises().values()) and "broken" not in load_table(report)
    grown = report_of([1000] * 20 + [1060] * 20, {"a": 3, "b": 10})
    grown.errors.append("a, table: It broke.")
    assert [promise for promise, held in grown.promises().items() if not held] == [
        "no error but busy", "slowest client at least a third of the fastest", "memory level within 5 %",
    ]  # fmt: skip
    assert "error: a, table: It broke." in load_table(grown) and "+6.0%" in load_table(grown)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (["--host", "192.168.1.5"], "bench load asks the app of this machine only, at 127.0.0.1; given: 192.168.1.5"),
        (["--clients", "0"], "clients must be between 1 and 200; given: 0."),
        (["--seconds", "99999"], "seconds must be between 1 and 3,600; given: 99999.0."),
        (["decoding"], "load is measured alone"),
    ],
)
def test_no_other_machine_is_asked_and_the_load_is_bounded(values, message, capsys):
    assert main(["bench", "load", *values]) == 1
    assert message in capsys.readouterr().err
