"""Try model families with tiny random models, and write docs/families.md: python -m analysis.benchmark.families docs/families.md

Each model is saved, loaded again as any folder is (with the check of core/models/probe.py), and given a prefix; a batch of
two is decoded greedily with and without it.
"""

import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

import torch
import transformers
from transformers import AutoConfig, AutoModelForCausalLM, AutoModelForSeq2SeqLM, AutoTokenizer

from core import paths
from core.config.decode import DecodeConfig
from core.errors import PrefixLabError
from core.generation.generate import generate
from core.generation.types import make_request
from core.models.backbone import Backbone
from core.models.inputs import task_for_backbone
from core.models.loading import load_backbone
from core.prefix.prefix import Prefix

# Sizes under the names that most configurations give them; what a family calls otherwise, or needs beside them.
SIZES: dict[str, object] = dict(
    hidden_size=64, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2, intermediate_size=96,
    max_position_embeddings=256, initializer_range=0.2,
)  # fmt: skip
GPT = dict(n_embd=64, n_layer=2, n_head=4, n_positions=256)
EXPERTS = dict(num_experts=4, num_local_experts=4, n_routed_experts=4, num_experts_per_tok=2, moe_intermediate_size=32)
LATENT = dict(q_lora_rank=16, kv_lora_rank=16, qk_rope_head_dim=8, qk_nope_head_dim=8, v_head_dim=16, n_group=1, topk_group=1)
BART = dict(
    d_model=64, encoder_layers=2, decoder_layers=2, encoder_attention_heads=4, decoder_attention_heads=4, encoder_ffn_dim=96,
    decoder_ffn_dim=96,
)  # fmt: skip
FAMILIES: Mapping[str, Mapping[str, object]] = {
    "gpt2": GPT, "gpt_neo": dict(num_layers=2, attention_types=[[["global"], 2]], num_heads=4), "gptj": GPT | dict(rotary_dim=8),
    "gpt_neox": {}, "gpt_bigcode": GPT, "opt": dict(ffn_dim=96, word_embed_proj_dim=64), "bloom": dict(n_layer=2, n_head=4),
    "mpt": dict(d_model=64, n_heads=4, n_layers=2), "falcon": {}, "llama": {}, "mixtral": EXPERTS,
    "mistral": dict(sliding_window=6),
    "qwen2": {}, "qwen2_moe": EXPERTS | dict(shared_expert_intermediate_size=32), "qwen3": dict(head_dim=16),
    "qwen3_moe": EXPERTS | dict(head_dim=16), "qwen3_next": EXPERTS | dict(head_dim=16), "gemma": dict(head_dim=16),
    "gemma2": dict(head_dim=16, query_pre_attn_scalar=16, sliding_window=6), "gemma3_text": dict(head_dim=16, sliding_window=6),
    "gemma4_text": dict(head_dim=16), "granite": dict(logits_scaling=8.0, embedding_multiplier=2.0),
    "gpt_oss": EXPERTS | dict(head_dim=16, sliding_window=6), "phi": {}, "phi3": {}, "stablelm": {}, "cohere": {},
    "starcoder2": {}, "glm": dict(head_dim=16),
    "cohere2": dict(sliding_window=6), "olmo": {}, "olmo2": {}, "smollm3": {}, "deepseek_v3": EXPERTS | LATENT,
    "codegen": GPT | dict(rotary_dim=8), "xglm": dict(d_model=64, num_layers=2, attention_heads=4, ffn_dim=96),
    "olmo3": dict(sliding_window=6), "nemotron": dict(head_dim=16), "seed_oss": dict(head_dim=16), "apertus": {}, "lfm2": {},
    "hunyuan_v1_dense": dict(head_dim=16), "helium": dict(head_dim=16), "phimoe": EXPERTS, "granitemoe": EXPERTS,
    "glm4_moe": EXPERTS | dict(head_dim=16, n_shared_experts=1, first_k_dense_replace=1), "deepseek_v2": EXPERTS | LATENT,
    "rwkv": {}, "recurrent_gemma": {}, "marian": BART, "led": BART,
    "glm4": dict(head_dim=16), "exaone4": dict(sliding_window=6), "ernie4_5": {}, "mamba": {}, "jamba": EXPERTS, "bart": BART,
    "t5": dict(d_model=64, d_kv=16, d_ff=96, num_layers=2, num_heads=4), "pegasus": BART, "mbart": BART,
}  # fmt: skip


def main() -> None:
    """Write the table to the file given as argument."""
    rows = []
    for family in sorted(FAMILIES):
        with tempfile.TemporaryDirectory() as folder:
            verdict = try_family(family, Path(folder) / family)
        print(f"{family}: {verdict}", file=sys.stderr)
        rows.append(f"| `{family}` | {verdict} |")
    head = (
        "# Model families\n\nTiny random models of these families (transformers' `model_type`) were saved, loaded as any folder\n"
        f"is, and given a prefix, with transformers {transformers.__version__}. Made by\n"
        "`python -m analysis.benchmark.families docs/families.md`. A model of any other family is checked in the same way\n"
        "when it is loaded, and refused with a sentence where it differs. Models with LongRoPE (Phi-3's long variants) take\n"
        "texts up to their `original_max_position_embeddings`: past these, the scaling of every key changes.\n\n"
        "| family | result |\n|---|---|\n"
    )
    Path(sys.argv[1]).write_text(head + "\n".join(rows) + "\n", encoding="utf-8")


def try_family(family: str, folder: Path) -> str:
    """Say in a few words whether a tiny model of a family works."""
    try:
        save_tiny(family, folder)
    except Exception as error:
        return f"no tiny model could be built ({type(error).__name__})"
    try:
        backbone = load_backbone(str(folder), "cpu")
        _generate(backbone)
    except PrefixLabError as error:
        return f"refused: {str(error).replace(str(folder), family).split('. Use ')[0].rstrip('.').replace('|', '/')}"
    except Exception as error:
        return f"fails while generating ({type(error).__name__})"
    return "works"


def save_tiny(family: str, folder: Path, **changes: object) -> None:
    """Save a random model of two layers, with mini-gpt2's tokenizer."""
    tokenizer = AutoTokenizer.from_pretrained(paths.MODELS / "mini-gpt2")
    end = tokenizer.eos_token_id
    special = dict(vocab_size=len(tokenizer), eos_token_id=end, bos_token_id=end, pad_token_id=end, decoder_start_token_id=end)
    known = AutoConfig.for_model(family)
    usual = {name: size for name, size in SIZES.items() if hasattr(known, name)} if FAMILIES[family] is not BART else {}
    config = AutoConfig.for_model(family, **{**usual, **special, **FAMILIES[family], **changes})
    torch.manual_seed(0)
    auto = AutoModelForSeq2SeqLM if config.is_encoder_decoder else AutoModelForCausalLM
    auto.from_config(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def _generate(backbone: Backbone) -> None:
    spec, task = backbone.spec, task_for_backbone(backbone, "e2e")
    prefix = Prefix({site: torch.randn(spec.shape(site, 3)) for site in spec.sites}, spec.name, spec.fingerprint)
    requests = [make_request(backbone, task, "name : Alda", prefix), make_request(backbone, task, "name : Brio | Type : inn")]
    generate(backbone.model, backbone, requests, DecodeConfig(max_new=8))


if __name__ == "__main__":
    main()
