"""Train one side of a row for two steps and print the memory that it took; started by `measure.peak_memory`."""

import json
import sys

from analysis.benchmark.measure import peak_of
from analysis.benchmark.models import benchmark_model
from analysis.benchmark.training import Workload, training_step


def main(job: str) -> None:
    """`job`: JSON of the model, the device, the side and the work."""
    told = json.loads(job)
    backbone, work = benchmark_model(told["model"], told["device"]), Workload(**told["work"])
    device, step = backbone.device, training_step(told["side"], backbone, work)
    del backbone  # fine-tuning has a copy of its own: what it leaves behind is not its memory
    print(json.dumps({"peak": peak_of(step, device)}))


if __name__ == "__main__":
    main(sys.argv[1])
