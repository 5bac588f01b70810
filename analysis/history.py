"""The path of a prefix through its training, as the run kept it."""

from safetensors.torch import load_file

from core.errors import BadInput
from core.prefix import Prefix
from core.store import Run


def history(run: Run) -> list[tuple[int, Prefix]]:
    """(update, prefix) from update 0, how it began, to the last; [] where the run has no prefix or kept no path.

    The path is kept in fp16. Raises BadInput where its file is damaged.
    """
    path = run.folder / "history.safetensors"
    if run.method != "prefix" or not path.exists():
        return []
    try:
        found: dict[int, dict] = {}
        for name, kv in load_file(path).items():
            update, site = name.split(".", 1)
            found.setdefault(int(update), {})[site] = kv.float()
    except Exception as error:  # safetensors raises its own class, OSError or ValueError
        raise BadInput(
            f"The path of {run.id!r} cannot be read ({error}). Delete {path.name} to go on without it, or train the run again."
        ) from error
    return [(update, Prefix(past, run.backbone, run.fingerprint, run.id)) for update, past in sorted(found.items())]
