"""Train one side of a benchmark row for two steps and print its peak memory; started by `measure.peak_memory`."""

import json
import sys

from analysis.benchmark.measure import peak_of
from analysis.benchmark.training import Workload, training_step
from core.models.loading import load_backbone
from core.training.paging import page_out


def main(job: str) -> None:
    """`job`: JSON with the model, the device, the side and the workload."""
    settings = json.loads(job)
    backbone, work = load_backbone(settings["model"], settings["device"]), Workload(**settings["work"])
    device, step = backbone.device, training_step(settings["side"], backbone, work)
    page_out(backbone.model.parameters())
    del backbone  # fine-tuning has its own copy; the original must not count
    print(json.dumps({"peak": peak_of(step, device)}))


if __name__ == "__main__":
    main(sys.argv[1])
