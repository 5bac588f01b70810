"""The path of a prefix: from how it began to how it ended."""

from dataclasses import replace

import pytest
import torch

from analysis.space.spaces import SITE
from analysis.space.trajectory import embedding_trajectory, prefix_trajectory
from core.errors import BadInput
from core.methods.loading import load_run
from core.models.activations import words_key_values
from core.models.backbone import Backbone
from core.models.loading import load_backbone
from core.prefix.prefix import Prefix
from tests.support.tiny_models import make_run, make_tiny_backbone


def test_a_path_goes_from_its_words_to_the_run(tmp_path):
    folder = make_tiny_backbone(tmp_path / "tiny")
    run = make_run(folder, tmp_path / "runs", "one", mlp=0, init="words", preset="custom")
    path, backbone = prefix_trajectory(run), load_backbone(str(folder), "cpu")
    assert [update for update, _ in path] == sorted({update for update, _ in path}) and path[0][0] == 0 and path[-1][0] == 3
    began, ended = path[0][1], path[-1][1]
    torch.testing.assert_close(began.past[SITE], words_key_values(backbone, "table", 4)[SITE], rtol=1e-2, atol=1e-2)
    torch.testing.assert_close(ended.past[SITE], Prefix.load(run.weights).past[SITE], rtol=1e-2, atol=1e-2)
    assert {prefix.fingerprint for _, prefix in path} == {run.fingerprint} and began.past[SITE].dtype == torch.float32
    assert prefix_trajectory(replace(run, method="finetune")) == []
    file = run.folder / "history.safetensors"
    file.write_bytes(file.read_bytes()[:-20])
    with pytest.raises(BadInput, match="path of 'one' cannot be read"):
        prefix_trajectory(run)
    file.unlink()
    assert prefix_trajectory(run) == []


def test_input_vectors_have_a_path_too_from_their_words_embeddings(tmp_path):
    folder = make_tiny_backbone(tmp_path / "tiny")
    run = make_run(folder, tmp_path / "runs", "one", "embedding", mlp=0, init="words", rate=0.5)
    backbone = load_backbone(str(folder), "cpu")
    trajectory = embedding_trajectory(run, backbone)
    words = backbone.model.get_input_embeddings().weight[backbone.encode("table")[:4]]
    assert [update for update, _ in trajectory] == [0, 1, 2, 3]
    torch.testing.assert_close(trajectory[0][1], words, rtol=1e-2, atol=1e-2)
    assert not torch.allclose(trajectory[-1][1], words, atol=0.1)
    ended, served = prefix_trajectory(run, backbone)[-1][1], load_run(run, backbone).prefix
    assert served is not None and prefix_trajectory(run) == []
    torch.testing.assert_close(ended.past[SITE], served.past[SITE], rtol=2e-2, atol=2e-2)
    wide = Backbone(replace(backbone.spec, width=64), backbone.model, backbone.tokenizer, backbone.device)
    with pytest.raises(BadInput, match="no vectors of width 64"):
        embedding_trajectory(run, wide)
