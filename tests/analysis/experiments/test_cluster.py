"""Cells on a Dask cluster of two worker processes, one of which is killed: nothing is lost, and nothing is counted twice."""

import json
import os
import signal
import socket
import threading
import time
from dataclasses import replace

import pytest
from distributed import LocalCluster

from analysis.experiments.cell import Workplace, read_texts
from analysis.experiments.cluster import connect, run_on_cluster
from analysis.experiments.grid import FROZEN, Cell
from analysis.experiments.run_grid import run_cells, unfinished
from core.data.source import DataSource
from core.errors import BackboneNotFound, BadInput, StoreError, WrongBackbone
from core.models.loading import load_backbone
from tests.support.tiny_models import EXAMPLES, make_tiny_backbone

SETTINGS = (("batch", 3), ("init_words", "table"), ("length", 2), ("updates", 4))
CELL = Cell("e2e", settings=SETTINGS, rates=(1e-4, 3e-2), rows=6, valid=2)
LONG = Cell("e2e", settings=(*SETTINGS[:3], ("updates", 150)))


@pytest.fixture(scope="module")
def cluster():
    with LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None, memory_limit=0) as cluster:
        yield cluster


@pytest.fixture
def client(cluster):
    with connect(cluster.scheduler_address) as client:
        client.wait_for_workers(2)
        yield client


@pytest.fixture
def place(tmp_path):
    data = tmp_path / "e2e"
    data.mkdir()
    for split, rows in (("train", EXAMPLES), ("dev", EXAMPLES[:2]), ("test", EXAMPLES[:4])):
        lines = [json.dumps({"table": one.source, "text": one.targets[0]}) for one in rows]
        (data / f"{split}.jsonl").write_text("\n".join(lines) + "\n")
    neutral = tmp_path / "neutral.txt"
    neutral.write_text("a table is a text\n" * 20)
    backbone = load_backbone(str(make_tiny_backbone(tmp_path / "tiny-gpt2")), "cpu")
    source = DataSource(set="e2e", data=str(data))
    return Workplace(backbone, tmp_path / "here", {"e2e": source}, lambda cell: f"run {cell.id}", neutral=neutral)


@pytest.mark.slow
def test_the_cells_of_a_killed_worker_are_done_again(place, client, tmp_path):
    cells = [CELL, replace(CELL, seed=1), LONG, Cell("e2e", FROZEN, tables=2)]
    pids, killed, results = client.run(os.getpid), [], []

    def kill() -> None:
        """Kill the worker that has the long cell, as soon as one has it."""
        while not (workers := [worker for worker, keys in client.processing().items() if any(LONG.id in key for key in keys)]):
            time.sleep(0.02)
        os.kill(pids[workers[0]], signal.SIGKILL)
        killed.extend(workers)

    killer = threading.Thread(target=kill, daemon=True)
    killer.start()
    for result in run_on_cluster(cells, lambda _: place, client, "cpu"):
        results.append(result)
        if len(results) == 1:
            (tmp_path / "e2e").rename(tmp_path / "elsewhere")  # workers read no data
    killer.join(10)
    assert len(killed) == 1
    assert sorted(result.id for result in results) == sorted(cell.id for cell in cells)
    assert unfinished(cells, lambda _: place) == [] and results[0].id == CELL.id
    assert {run.id for run in place.store.runs()} == {cell.id for cell in cells[:3]} and place.store.broken() == []

    (tmp_path / "elsewhere").rename(tmp_path / "e2e")
    local = replace(place, root=tmp_path / "local", examples={})
    for expected in run_cells(cells, lambda _: local):
        result = place.result(expected.cell)
        assert result.scores == expected.scores and result.rates == expected.rates and result.forgetting == expected.forgetting
        assert (result.command, result.rate, result.updates) == (expected.command, expected.rate, expected.updates)
        assert read_texts(place.texts_file(expected.cell)) == read_texts(local.texts_file(expected.cell))
    assert place.store.get(LONG.id).config == local.store.get(LONG.id).config
    assert place.store.get(LONG.id).backbone_path == local.store.get(LONG.id).backbone_path


@pytest.mark.slow
def test_a_cancelled_experiment_stops_its_workers_and_other_weights_are_refused(place, client):
    endless = replace(LONG, settings=(*SETTINGS[:3], ("updates", 1_000_000)))
    asked = []
    stopping = replace(place, cancel=lambda: asked.append(1) or len(asked) > 3)
    assert list(run_on_cluster([endless], lambda _: stopping, client, "cpu")) == []
    deadline = time.monotonic() + 120
    while any(client.call_stack().values()):
        assert time.monotonic() < deadline, "the worker still trains"
        time.sleep(0.2)
    with place.lock(endless) as free:
        assert free
    other = place.backbone.spec.where
    place.backbone.spec = replace(place.backbone.spec, fingerprint="another")
    with pytest.raises(WrongBackbone, match=r"has other weights .* than here \(another\)"):
        list(run_on_cluster([Cell("e2e", FROZEN)], lambda _: place, client, "cpu"))
    place.backbone.spec = replace(place.backbone.spec, where=f"{other}-missing")
    with pytest.raises(BackboneNotFound, match="There is no folder"):
        list(run_on_cluster([Cell("e2e", FROZEN, tables=1)], lambda _: place, client, "cpu"))


@pytest.mark.slow
def test_a_cell_that_kills_every_worker_is_one_sentence(place, cluster, client, monkeypatch):
    monkeypatch.setattr(cluster.scheduler, "allowed_failures", 0)
    monkeypatch.setattr("analysis.experiments.cluster.run_cell", lambda task, rows: os.kill(os.getpid(), signal.SIGKILL))
    with pytest.raises(StoreError, match=r"Every worker that was given the cell e2e-frozen-.* was lost"):
        list(run_on_cluster([Cell("e2e", FROZEN)], lambda _: place, client))


@pytest.mark.parametrize("address", ["tcp://127.0.0.1:9", "tls://127.0.0.1:9", "http://127.0.0.1:9", "host", "other"])
def test_no_scheduler_is_one_sentence(address, monkeypatch):
    monkeypatch.setattr("analysis.experiments.cluster.CONNECT", 1)
    with socket.create_server(("127.0.0.1", 0)) as server:  # it takes the connection, and never answers
        address = address if address != "other" else f"tcp://127.0.0.1:{server.getsockname()[1]}"
        with pytest.raises(BadInput, match=f"No Dask scheduler answers at {address}. Start one"):
            connect(address)
