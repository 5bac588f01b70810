"""UMAP in a separate process: vectors as .npy on stdin, positions as .npy on stdout, parameters as JSON in the first argument.

Separate from projection.py so that the process imports no more than it needs. Messages go to stderr.
"""

import io
import json
import os
import sys
import warnings

import numpy as np


def layout(vectors: np.ndarray, parameters: dict[str, object]) -> np.ndarray:
    """(N, d) -> (N, 2) fp32."""
    warnings.simplefilter("ignore")
    from umap import UMAP  # takes ten seconds and more to import

    fitted = UMAP(
        n_neighbors=parameters["neighbors"],
        min_dist=parameters["min_dist"],
        metric=parameters["metric"],
        random_state=parameters["seed"],
        n_jobs=1,  # required for a seed
    )
    return np.ascontiguousarray(fitted.fit_transform(vectors), dtype=np.float32)


def main() -> None:
    """Read vectors, compute the layout, write positions."""
    out = sys.stdout.buffer
    sys.stdout = sys.stderr  # what a library prints must not mix with the positions
    if hasattr(os, "nice"):
        os.nice(5)  # the page has priority
    positions = io.BytesIO()
    np.save(positions, layout(np.load(io.BytesIO(sys.stdin.buffer.read())), json.loads(sys.argv[1])))
    out.write(positions.getvalue())


if __name__ == "__main__":
    main()
