"""The path of a prefix: from how it began to how it ended."""

from dataclasses import replace

import pytest
import torch

from analysis.history import history
from analysis.spaces import SITE
from core.backbone import load_backbone
from core.errors import BadInput
from core.prefix import Prefix, words_past
from tests.tiny import make_run, make_tiny_backbone


def test_a_path_goes_from_its_words_to_the_run(tmp_path):
    folder = make_tiny_backbone(tmp_path / "tiny")
    run = make_run(folder, tmp_path / "runs", "one", mlp=0, init="words", preset="custom")
    path, backbone = history(run), load_backbone(str(folder), "cpu")
    assert [update for update, _ in path] == sorted({update for update, _ in path}) and path[0][0] == 0 and path[-1][0] == 3
    began, ended = path[0][1], path[-1][1]
    torch.testing.assert_close(began.past[SITE], words_past(backbone, "table", 4)[SITE], rtol=1e-2, atol=1e-2)
    torch.testing.assert_close(ended.past[SITE], Prefix.load(run.weights).past[SITE], rtol=1e-2, atol=1e-2)
    assert {prefix.fingerprint for _, prefix in path} == {run.fingerprint} and began.past[SITE].dtype == torch.float32
    assert history(replace(run, method="finetune")) == []
    file = run.folder / "history.safetensors"
    file.write_bytes(file.read_bytes()[:-20])
    with pytest.raises(BadInput, match="path of 'one' cannot be read"):
        history(run)
    file.unlink()
    assert history(run) == []
