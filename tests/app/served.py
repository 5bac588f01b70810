"""Serves the app for the browser tests: `served.py BACKBONE PORT`. Sampled text comes to its full length, and slowly
with the seed SLOW, so that a test has time to see it grow and to stop it. UMAP, which takes half a minute, is the first two
dimensions after a second; tests/analysis/test_projection.py runs the real one."""

import sys
import time

import analysis.space.projection
import app.shared.model_pool
from app.main import serve
from core.serving.engine import Engine
from core.serving.scheduler import BatchScheduler

SLOW = 3
fast = BatchScheduler._decode


class ToItsFullLength(Engine):
    def submit(self, model, backbone, request, decode, caller=""):
        sampled = decode.mode == "sample"
        return super().submit(model, backbone, request, decode.replace(min_new=decode.max_new) if sampled else decode, caller)


def slow(scheduler, batch, rows):
    time.sleep(0.04 if any(row.decode.mode == "sample" and row.request.seed == SLOW for row in rows) else 0)
    fast(scheduler, batch, rows)


def short_umap(vectors, parameters, cancel=None):
    time.sleep(1)
    return vectors[:, :2].copy()


if __name__ == "__main__":
    app.shared.model_pool.Engine = ToItsFullLength
    BatchScheduler._decode = slow
    analysis.space.projection._run_umap = short_umap
    serve(backbone=sys.argv[1], device="cpu", port=int(sys.argv[2]), browser=False)
