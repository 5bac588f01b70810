"""UMAP in a process of its own: points as .npy on stdin, places as .npy on stdout, parameters as JSON in the first argument.

Kept apart from projection.py so that the process imports no more than it needs. Its messages go to stderr.
"""

import io
import json
import os
import sys
import warnings

import numpy as np


def layout(vectors: np.ndarray, parameters: dict) -> np.ndarray:
    """(N, d) -> (N, 2) fp32."""
    warnings.simplefilter("ignore")
    from umap import UMAP  # takes ten seconds and more to import

    fitted = UMAP(
        n_neighbors=parameters["neighbours"],
        min_dist=parameters["min_dist"],
        metric=parameters["metric"],
        random_state=parameters["seed"],
        n_jobs=1,  # what a seed needs
    )
    return np.ascontiguousarray(fitted.fit_transform(vectors), dtype=np.float32)


def main() -> None:
    """Read, compute, write."""
    out = sys.stdout.buffer
    sys.stdout = sys.stderr  # what a library prints must not end up among the places
    if hasattr(os, "nice"):
        os.nice(5)  # the page comes first
    made = io.BytesIO()
    np.save(made, layout(np.load(io.BytesIO(sys.stdin.buffer.read())), json.loads(sys.argv[1])))
    out.write(made.getvalue())


if __name__ == "__main__":
    main()
