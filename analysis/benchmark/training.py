"""Training steps to benchmark: ours, and PEFT's prefix-tuning on the same model and the same batches."""

import random
import warnings
from dataclasses import dataclass

import torch
from torch import nn
from torch.nn import functional as F

from analysis.benchmark.measure import Step
from core.config.train import TrainConfig
from core.errors import NotSupported
from core.methods.prefix import PrefixMethod
from core.methods.registry import new_method
from core.methods.weight_method import share_weights_copy
from core.models.backbone import Backbone
from core.prefix.modules import DirectPrefix, PrefixMLP
from core.training.batches import IGNORE, Batch, Row, collate, epochs
from core.training.loop import train, uses_bf16


@dataclass(frozen=True)
class Workload:
    """Rows of random ids to train on. `source` and `target`: the longest, in tokens; the shortest are half as long.

    `length`: virtual tokens; `mlp`: hidden size of the reparametrization, for sides that have one.
    """

    length: int
    mlp: int
    batch: int
    source: int
    target: int

    @classmethod
    def of(cls, backbone: Backbone, batch: int = 0) -> "Workload":
        """The paper's sizes, as far as they fit: tables of E2E with P = 5 (§5.3), or articles of 512 tokens with P = 200.

        `batch`: 0 for 10 tables, or 4 articles.
        """
        if not backbone.is_encoder_decoder:
            return cls(5, 512, batch or 10, 60, 40)
        positions, target = backbone.spec.positions, 40
        length = min(
            200, positions - target - len(backbone.decoder_start_ids)
        )  # PEFT gives virtual tokens positions of the decoder's
        return cls(length, 800, batch or 4, min(512, positions), target)


def random_rows(backbone: Backbone, work: Workload, count: int) -> list[Row]:
    """Return `count` rows, the same each time. An encoder's articles all have full length."""
    draw, rows, vocabulary = random.Random(0), [], backbone.spec.vocabulary
    for _ in range(count):
        source = work.source if backbone.is_encoder_decoder else draw.randint(work.source // 2, work.source)
        lengths = source, draw.randint(work.target // 2, work.target)
        prompt, answer = (tuple(draw.randrange(vocabulary) for _ in range(length)) for length in lengths)
        rows.append(Row(prompt, answer, backbone.decoder_start_ids))
    return rows


def endless_config(work: Workload, method: str = "prefix", mlp: int = 0) -> TrainConfig:
    """Return settings for an endless training; the learning rate is low, so that random weights do not diverge."""
    return TrainConfig(method=method, length=work.length, mlp=mlp, init="random", batch=work.batch, rate=1e-5, updates=10_000_000)


def training_step(side: str, backbone: Backbone, work: Workload) -> Step:
    """One update of a side: finetune, prefix, prefix-mlp, decoder, decoder-mlp, peft, peft-mlp.

    "decoder" is a prefix at the decoder's own site only, as PEFT has it.
    """
    name, mlp = side.removesuffix("-mlp"), work.mlp if side.endswith("-mlp") else 0
    rows = random_rows(backbone, work, 8 * work.batch)
    if name == "peft":
        return _peft_step(backbone, work, rows, mlp)
    method = new_method(backbone, endless_config(work, "finetune" if name == "finetune" else "prefix", mlp))
    if name == "decoder":
        assert isinstance(method, PrefixMethod)
        _drop_other_sites(method.module)
    steps = train(method, rows, [], endless_config(work))
    return lambda: next(steps).rows


def _drop_other_sites(module: DirectPrefix | PrefixMLP) -> None:
    """Remove the other sites of a prefix in training."""
    for parts in (module.past,) if isinstance(module, DirectPrefix) else (module.inputs, module.mlps):
        for site in [site for site in parts if site != "decoder"]:
            del parts[site]


def _peft_step(backbone: Backbone, work: Workload, rows: list[Row], mlp: int) -> Step:
    """Train with PEFT as its users do: the model's own loss and AdamW, with our precision and clipping."""
    try:
        from peft import PrefixTuningConfig, get_peft_model  # late: it is slow to import
    except ImportError as error:
        raise NotSupported("The row 'peft' needs PEFT. Install what requirements.txt asks for, or choose other rows.") from error
    model, device = share_weights_copy(backbone.model, lambda name: False), backbone.device
    model.set_attn_implementation("sdpa")  # transformers' own attention, not ours
    kind = "SEQ_2_SEQ_LM" if backbone.is_encoder_decoder else "CAUSAL_LM"
    peft_config = PrefixTuningConfig(
        task_type=kind,
        num_virtual_tokens=work.length,
        prefix_projection=bool(mlp),
        encoder_hidden_size=mlp or backbone.spec.width,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # PEFT asks transformers for something by its old name
        adapted = get_peft_model(model, peft_config)
    config = endless_config(work, mlp=mlp)
    weights = [weight for weight in adapted.parameters() if weight.requires_grad]
    optimiser = torch.optim.AdamW(weights, lr=config.rate)
    batches = epochs(rows, config.batch, config.seed)

    def step() -> int:
        chunk = next(batches)
        optimiser.zero_grad(set_to_none=True)
        with torch.autocast(device.type, torch.bfloat16, enabled=uses_bf16(config, device)):
            loss = adapted(**_peft_inputs(chunk, collate(chunk, device)), use_cache=False).loss
        loss.backward()
        nn.utils.clip_grad_norm_(weights, config.clip)
        optimiser.step()
        loss.item()
        return len(chunk)

    return step


def _peft_inputs(rows: list[Row], batch: Batch) -> dict[str, object]:
    """A batch in transformers' form: where prompt and answer are one text, its loss shifts the labels itself."""
    if batch.source is not None:
        mask = torch.ones_like(batch.source) if batch.mask is None else batch.mask
        return {"input_ids": batch.source, "attention_mask": mask, "decoder_input_ids": batch.ids, "labels": batch.labels}
    lengths = torch.tensor([len(row) for row in rows], device=batch.ids.device)
    ids, labels = F.pad(batch.ids, (0, 1)), F.pad(batch.labels, (1, 0), value=IGNORE)  # (B, T + 1)
    mask = (torch.arange(ids.shape[1], device=ids.device)[None] < lengths[:, None]).long()
    return {"input_ids": torch.where(labels != IGNORE, labels, ids), "attention_mask": mask, "labels": labels}
