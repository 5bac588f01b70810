"""From a run's name to a figure."""

from analysis.attention.maps import attention_mass
from analysis.inspect_run import look
from core.config.decode import DecodeConfig


def test_a_bundled_run_is_loaded_writes_and_is_read():
    seen = look("e2e-prefix", "name : The Eagle | Type : pub", DecodeConfig(max_new=6), device="cpu")
    again = attention_mass(seen.model, seen.backbone, seen.request, seen.written.ids)
    assert seen.mass.mass.equal(again.mass) and seen.mass.virtual == seen.request.prefix.length > 0
    assert len(seen.mass.written) == len(seen.written.ids) and seen.map(0, 2).layers == (0, 2)
    found, done, total = next(seen.influence_parts())
    assert found.kl.shape[:2] == (seen.mass.virtual, seen.backbone.spec.layers) and 0 < done <= total
