"""Serves the app for the browser tests: `served.py BACKBONE PORT`. Sampled text comes slowly and to its full length,
so that a test has time to see it grow and to stop it."""

import sys
import time

import app.comparison
from app.main import serve

fast = app.comparison.stream


def slow(model, backbone, requests, decode, cancel=None):
    sampled = decode.mode == "sample"
    for step in fast(model, backbone, requests, decode.but(min_new=decode.max_new) if sampled else decode, cancel):
        time.sleep(0.02 if sampled else 0)
        yield step


if __name__ == "__main__":
    app.comparison.stream = slow
    serve(backbone=sys.argv[1], device="cpu", port=int(sys.argv[2]), browser=False)
