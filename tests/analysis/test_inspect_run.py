"""From a run's name to a figure."""

from analysis.attention.maps import attention_mass
from analysis.inspect_run import inspect_run
from core.config.decode import DecodeConfig


def test_a_bundled_run_is_loaded_writes_and_is_read():
    seen = inspect_run("e2e-prefix", "name : The Eagle | Type : pub", DecodeConfig(max_new=6), device="cpu")
    again = attention_mass(seen.model, seen.backbone, seen.request, seen.generation.ids)
    assert seen.mass.mass.equal(again.mass) and seen.mass.virtual == seen.request.prefix.length > 0
    assert len(seen.mass.generated_tokens) == len(seen.generation.ids) and seen.map(0, 2).layers == (0, 2)
    found, done, total = next(seen.iter_ablations())
    assert found.kl.shape[:2] == (seen.mass.virtual, seen.backbone.spec.layers) and 0 < done <= total
