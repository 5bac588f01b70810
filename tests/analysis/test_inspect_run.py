"""From a run's name to a figure."""

from analysis.attention.maps import attention_mass
from analysis.inspect_run import inspect_run
from core.config.decode import DecodeConfig


def test_a_bundled_run_is_loaded_writes_and_is_read():
    inspection = inspect_run("e2e-prefix", "name : The Eagle | Type : pub", DecodeConfig(max_new=6), device="cpu")
    again = attention_mass(inspection.model, inspection.backbone, inspection.request, inspection.generation.ids)
    assert inspection.mass.mass.equal(again.mass) and inspection.mass.virtual == inspection.request.prefix.length > 0
    assert len(inspection.mass.generated_tokens) == len(inspection.generation.ids) and inspection.map(0, 2).layers == (0, 2)
    effect, done, total = next(inspection.iter_ablations())
    assert effect.kl.shape[:2] == (inspection.mass.virtual, inspection.backbone.spec.layers) and 0 < done <= total
