"""Export a pre-training checkpoint as a model folder for transformers: fp16 safetensors, tokenizer, configuration and card."""

from pathlib import Path

import torch
from safetensors import SafetensorError
from tokenizers import Tokenizer, processors
from transformers import PreTrainedTokenizerFast

from core.errors import BadInput
from core.pretraining.config import PretrainConfig
from core.pretraining.corpus import END
from core.pretraining.denoising import BEGIN, MASK, PAD
from core.pretraining.loop import AGAIN, recipe_of
from core.pretraining.model_card import write_card
from core.runs.layout import disk_errors


def export(out: Path, folder: Path, ran_on: str) -> Path:
    """Write the checkpoint in `out` as a model in `folder`, with a card that names the hardware `ran_on`.

    Raises BadInput if there is no checkpoint.
    """
    checkpoint = out / "checkpoint.pt"
    if not checkpoint.exists():
        raise BadInput(f"{out} has no checkpoint to export. Run pretrain with this --out first.")
    state = torch.load(checkpoint, map_location="cpu", weights_only=True)
    config = PretrainConfig(**state["config"])
    model = recipe_of(config, out / "corpus").new_model(torch.device("cpu"))
    model.load_state_dict(state["model"])
    with disk_errors(f"write {folder}", AGAIN, errors=(OSError, SafetensorError)):
        model.half().save_pretrained(folder)
        for file in folder.glob("*.safetensors"):  # see `write_tensors`
            file.chmod((folder / "config.json").stat().st_mode)
    backend = Tokenizer.from_file(str(out / "corpus" / "tokenizer.json"))
    names = {"bos_token": END, "pad_token": END}
    if config.objective == "denoising":
        names = {"bos_token": BEGIN, "pad_token": PAD, "mask_token": MASK}
        _frame(backend)
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=backend,
        eos_token=END,
        model_max_length=config.positions,
        clean_up_tokenization_spaces=False,
        **names,
    )
    tokenizer.save_pretrained(folder)
    write_card(out, folder, state, model.num_parameters(), ran_on)
    return folder


def _frame(backend: Tokenizer) -> None:
    """Put every text between `<s>` and the end token, as BART's tokenizer does."""
    backend.add_special_tokens([BEGIN, PAD, MASK])
    ends = [(BEGIN, backend.token_to_id(BEGIN)), (END, backend.token_to_id(END))]
    backend.post_processor = processors.TemplateProcessing(
        single=f"{BEGIN} $A {END}", pair=f"{BEGIN} $A {END} $B {END}", special_tokens=ends
    )
