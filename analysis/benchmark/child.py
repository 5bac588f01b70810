"""Train one side of a row for two steps and print the memory that it took; started by `measure.peak_memory`."""

import json
import sys

from analysis.benchmark.measure import peak_of
from analysis.benchmark.models import model_of
from analysis.benchmark.training import Work, trainer


def main(job: str) -> None:
    """`job`: JSON of the model, the device, the side and the work."""
    told = json.loads(job)
    backbone, work = model_of(told["model"], told["device"]), Work(**told["work"])
    device, step = backbone.device, trainer(told["side"], backbone, work)
    del backbone  # fine-tuning has a copy of its own: what it leaves behind is not its memory
    print(json.dumps({"peak": peak_of(step, device)}))


if __name__ == "__main__":
    main(sys.argv[1])
