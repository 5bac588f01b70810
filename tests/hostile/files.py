"""Hostile model folders, stores and checkpoints."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from transformers import BloomConfig, BloomForCausalLM, MambaConfig, MambaForCausalLM

from tests.hostile.place import TABLE, Command, Place, cases, half, header

GIANT = header('{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}', 2**63)
OUTSIDE = header('{"decoder":{"dtype":"F32","shape":[9],"data_offsets":[0,36]}}', body=b"1234")
OVERLAP = header(
    '{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"b":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}', body=b"1234"
)
LYING = header('{"prompt_embeddings":{"dtype":"F32","shape":[4000000000,4000000000],"data_offsets":[0,4]}}', body=b"1234")
NO_JSON = header("}{")

# --- model folders -----------------------------------------------------------------------------------------------------------


def model(spoil: Callable[[Place], Any]) -> Callable[[Place], Command]:
    """The frozen model from a folder that is spoilt first."""

    def case(place: Place) -> Command:
        spoil(place)
        return place.generate(None)

    return case


def without(*names: str) -> Callable[[Place], Command]:
    return model(lambda place: [(place.root / "model" / name).unlink() for name in names])


def foreign_code(place: Place) -> None:
    """A model that brings its own code, which must not be run nor asked about."""
    place.change("model/config.json", model_type="evil", auto_map={"AutoConfig": "evil.Evil", "AutoModel": "evil.Evil"})
    place.put("model/evil.py", f"open({str(place.root / 'ran')!r}, 'w').close()\n")


def large_vocabulary(place: Place) -> None:
    """Another model's tokenizer: its ids run past the embeddings."""
    words = json.loads((place.root / "model" / "tokenizer.json").read_text())
    words["model"]["vocab"] = {letter: number + (500 if number else 0) for letter, number in words["model"]["vocab"].items()}
    place.put("model/tokenizer.json", json.dumps(words))


WEIGHTS = "model/model.safetensors"
BLOOM = BloomConfig(vocab_size=257, hidden_size=8, n_layer=1, n_head=2)
MAMBA = MambaConfig(vocab_size=257, hidden_size=8, num_hidden_layers=1, state_size=2)
MODELS = cases(
    ("no model of that name", "no folder", lambda place: place.generate(None, model="nowhere")),
    ("an empty model name", "No model name", lambda place: ["generate", "--backbone", " ", TABLE]),
    ("an empty model folder", "no config.json", model(lambda place: [f.unlink() for f in (place.root / "model").iterdir()])),
    ("a model folder without tokenizer", "tokenizer", without("tokenizer.json", "tokenizer_config.json")),
    ("a model folder without config", "no config.json", without("config.json")),
    ("a model folder without weights", "model.safetensors", without("model.safetensors")),
    ("half a model config", "config.json", model(lambda place: half(place.root / "model/config.json"))),
    ("a model config that is a list", "config", model(lambda place: place.put("model/config.json", "[1, 2]"))),
    ("half a tokenizer", "tokenizer", model(lambda place: half(place.root / "model/tokenizer.json"))),
    ("half a model", "safetensors", model(lambda place: half(place.root / WEIGHTS))),
    ("a giant header in a model", "header", model(lambda place: place.put(WEIGHTS, GIANT))),
    ("an empty weights file", "safetensors", model(lambda place: place.put(WEIGHTS, b""))),
    ("weights that are a pickle only", "safetensors", model(lambda place: _as_pickle(place))),
    ("an encoder-decoder model", "encoder-decoder", model(lambda place: place.change("model/config.json", model_type="t5"))),
    ("a model of an unknown type", "quux", model(lambda place: place.change("model/config.json", model_type="quux"))),
    ("a model with code of its own", "never run here", model(foreign_code)),
    ("a model of another size than its config", "other sizes", model(lambda place: place.change("model/config.json", n_embd=64))),
    ("a text for a number in a model", "model", model(lambda place: place.change("model/config.json", n_layer="two"))),
    ("a model of no heads", "model", model(lambda place: place.change("model/config.json", n_head=0))),
    ("heads that do not divide", "model", model(lambda place: place.change("model/config.json", n_head=5))),
    ("a model that counts no positions", "max_position_embeddings", model(lambda place: _save(place, BloomForCausalLM(BLOOM)))),
    ("a model without attention", "no attention", model(lambda place: _save(place, MambaForCausalLM(MAMBA)))),
    ("another model's tokenizer", "vocabulary", model(large_vocabulary)),
)


def _save(place: Place, other: Any) -> None:
    other.save_pretrained(place.root / "model")


def _as_pickle(place: Place) -> None:
    torch.save(load_file(place.root / WEIGHTS), place.root / "model/pytorch_model.bin")
    (place.root / WEIGHTS).unlink()


# --- the store ---------------------------------------------------------------------------------------------------------------

MINE, TUNED = "home/runs/mine/", "home/runs/tuned/weights.safetensors"


def store(spoil: Callable[[Place], Any], run: str = "mine") -> Callable[[Place], Command]:
    """A run from a store that is spoilt first."""

    def case(place: Place) -> Command:
        spoil(place)
        return place.generate(run)

    return case


def resumed(spoil: Callable[[Place], Any], run: str = "stopped") -> Callable[[Place], Command]:
    def case(place: Place) -> Command:
        spoil(place)
        return place.resume(run)

    return case


def link(place: Place, name: str = "home/runs/linked") -> None:
    """A run that lies outside the store, linked into it."""
    (place.root / "home/runs/mine").rename(place.root / "outside")
    (place.root / name).symlink_to(place.root / "outside")
    place.change("outside/run.json", id=Path(name).name)


def linked_weights(place: Place) -> None:
    weights = place.root / MINE / "weights.safetensors"
    weights.rename(place.root / "elsewhere.safetensors")
    weights.symlink_to(place.root / "elsewhere.safetensors")


def prefix(place: Place, *shape: int, value: float = 0.0, name: str = "decoder") -> None:
    save_file({name: torch.full(shape, value)}, place.root / MINE / "weights.safetensors")


def no_store(place: Place) -> None:
    """A store that nobody can write, root included: its folder would have to lie in a file."""
    place.patch.setenv("PREFIX_LAB_HOME", str(place.put("a-file", "")))


def run_json(name: str, message: str, **values: Any) -> tuple[str, str, Callable[[Place], Command]]:
    return name, message, store(lambda place: place.change(MINE + "run.json", **values))


STORE = cases(
    ("a run id with ../", "cannot be the name of a run", lambda place: place.generate("../../adapter")),
    ("a run id that is a path", "cannot be the name of a run", lambda place: place.generate(str(place.root / "home/runs/mine"))),
    ("an empty run id", "cannot be the name of a run", lambda place: place.generate("")),
    ("a run id of 300 characters", "cannot be the name of a run", lambda place: place.generate("m" * 300)),
    ("a run id with a line break", "cannot be the name of a run", lambda place: place.generate("mine\nyours")),
    ("no such run", "'nobody'", lambda place: place.generate("nobody")),
    ("a symlink out of the store", "'linked'", store(link, "linked")),
    ("weights linked out of the store", "'mine'", store(linked_weights)),
    ("going on through a symlink", "'linked'", resumed(link, "linked")),
    ("half a run.json", "'mine' cannot be read", store(lambda place: half(place.root / MINE / "run.json"))),
    ("a binary run.json", "'mine' cannot be read", store(lambda place: place.put(MINE + "run.json", bytes(range(256))))),
    ("a run.json that is a list", "'mine' cannot be read", store(lambda place: place.put(MINE + "run.json", "[]"))),
    ("a run.json nested too deep", "'mine' cannot be read", store(lambda place: place.put(MINE + "run.json", '{"a":' * 100_000))),
    ("a run without run.json", "not finished", store(lambda place: (place.root / MINE / "run.json").unlink())),
    run_json("an unknown field in run.json", "surprise", surprise=1),
    run_json("another run's run.json", "another one", id="yours"),
    run_json("a text for a number in run.json", "stored", stored="many"),
    run_json("a number for the scores in run.json", "scores", scores=5),
    run_json("an unknown task field in run.json", "colour", task={"colour": "red"}),
    run_json("an unknown method in run.json", "'magic'", method="magic"),
    ("half the weights", "safetensors", store(lambda place: half(place.root / MINE / "weights.safetensors"))),
    ("a giant header in the weights", "safetensors", store(lambda place: place.put(MINE + "weights.safetensors", GIANT))),
    ("weights outside their file", "safetensors", store(lambda place: place.put(MINE + "weights.safetensors", OUTSIDE))),
    ("weights that overlap", "safetensors", store(lambda place: place.put(MINE + "weights.safetensors", OVERLAP))),
    ("a header that is no JSON", "safetensors", store(lambda place: place.put(MINE + "weights.safetensors", NO_JSON))),
    ("no weights", "safetensors", store(lambda place: (place.root / MINE / "weights.safetensors").unlink())),
    ("the weights of another family", "(3, 2, 9, 4, 5)", store(lambda place: prefix(place, 3, 2, 9, 4, 5))),
    ("weights for a site that is not there", "cross", store(lambda place: prefix(place, 2, 2, 4, 4, 8, name="cross"))),
    ("weights of no virtual token", "no virtual token", store(lambda place: prefix(place, 2, 2, 4, 0, 8))),
    ("weights that are NaN", "NaN", store(lambda place: prefix(place, 2, 2, 4, 4, 8, value=float("nan")))),
    ("weights of no such shape", "does not hold a prefix", store(lambda place: prefix(place, 7))),
    ("another model's run", "trained on model", lambda place: place.generate("mine", model="other")),
    ("another family's run", "trained on model", lambda place: place.generate("mine", model="llama")),
    ("half a fine-tuned model", "'tuned'", store(lambda place: half(place.root / TUNED), "tuned")),
    ("a fine-tuned model of NaN", "NaN", store(lambda place: _no_numbers(place.root / TUNED), "tuned")),
    ("a fine-tuned model of another size", "size mismatch", store(lambda place: _no_numbers(place.root / TUNED, 3), "tuned")),
    ("a prefix for a fine-tuned model", "'tuned'", store(lambda place: _swap(place), "tuned")),
    ("a name taken", "already", lambda place: place.train(run="mine")),
    ("a new run with ../", "cannot be the name of a run", lambda place: place.train(run="../new")),
    ("a new run on a dangling link", "'new'", lambda place: _dangling(place)),
    ("an unwritable store", "PREFIX_LAB_HOME", lambda place: no_store(place) or place.train()),
    ("going on with a whole run", "is finished", lambda place: place.resume("mine")),
    ("going on with nothing", "'nobody'", lambda place: place.resume("nobody")),
    ("half a state.json", "nothing to continue from", resumed(lambda place: half(place.root / "home/runs/stopped/state.json"))),
    ("an unknown setting in state.json", "'speed'", resumed(lambda place: _state(place, speed=9))),
    ("a state.json that is a list", "to continue from", resumed(lambda place: place.put("home/runs/stopped/state.json", "[3]"))),
    ("half a checkpoint", "checkpoint", resumed(lambda place: half(place.root / "home/runs/stopped/resume.safetensors"))),
    ("a checkpoint of something else", "other rows", resumed(lambda place: _other_checkpoint(place))),
)


def _no_numbers(path: Path, *shape: int) -> None:
    save_file({name: torch.full(shape or kv.shape, torch.nan) for name, kv in load_file(path).items()}, path)


def _swap(place: Place) -> None:
    content = (place.root / MINE / "weights.safetensors").read_bytes()
    place.put(TUNED, content)


def _dangling(place: Place) -> Command:
    (place.root / "home/runs/new").symlink_to(place.root / "nowhere")
    return place.train()


def _state(place: Place, **settings: Any) -> None:
    path = place.root / "home/runs/stopped/state.json"
    values = json.loads(path.read_text())
    path.write_text(json.dumps(values | {"config": values["config"] | settings}))


def _other_checkpoint(place: Place) -> None:
    path = place.root / "home/runs/stopped/resume.safetensors"
    path.write_bytes((place.root / MINE / "weights.safetensors").read_bytes())


# --- checkpoints from elsewhere ----------------------------------------------------------------------------------------------

ADAPTER, PICKLE = "adapter/adapter_model.safetensors", "adapter/adapter_model.bin"


def adapter(spoil: Callable[[Place], Any]) -> Callable[[Place], Command]:
    """An import of a PEFT folder that is spoilt first."""

    def case(place: Place) -> Command:
        spoil(place)
        return place.import_run()

    return case


def peft_config(name: str, message: str, **values: Any) -> tuple[str, str, Callable[[Place], Command]]:
    return name, message, adapter(lambda place: place.change("adapter/adapter_config.json", **values))


class Evil:
    """Unpickled the ordinary way it would leave a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple:
        return (exec, (f"open({str(self.path)!r}, 'w').close()",))


def pickled(place: Place) -> Command:
    place.put("theirs/config.json", '{"model_type": "gpt2"}')
    torch.save({"wte.weight": Evil(place.root / "ran")}, place.root / "theirs/pytorch_model.bin")
    return place.import_run("theirs")


FOREIGN = cases(
    ("no checkpoint folder", "nowhere", lambda place: place.import_run("nowhere")),
    ("an empty checkpoint folder", "no prefix", lambda place: os.mkdir(place.root / "bare") or place.import_run("bare")),
    ("a whole model for a checkpoint", "no prefix", lambda place: place.import_run("model")),
    ("an adapter for another family", "num_attention_heads", lambda place: place.import_run(model="llama")),
    ("an adapter for another model", "trained on", lambda place: place.import_run(model="other")),
    peft_config("a LoRA adapter", "'LORA'", peft_type="LORA"),
    peft_config("an adapter for BART", "'SEQ_2_SEQ_LM'", task_type="SEQ_2_SEQ_LM"),
    peft_config("an adapter type that is a list", "['PREFIX_TUNING']", peft_type=["PREFIX_TUNING"]),
    ("half an adapter config", "adapter_config.json", adapter(lambda place: half(place.root / "adapter/adapter_config.json"))),
    ("a huge adapter config", "bytes", adapter(lambda place: place.put("adapter/adapter_config.json", " " * 2_000_000))),
    ("an adapter config nested too deep", "JSON", adapter(lambda place: place.put("adapter/adapter_config.json", "[" * 100_000))),
    ("an adapter without weights", "no adapter_model", adapter(lambda place: (place.root / ADAPTER).unlink())),
    ("an adapter that is a pickle", "a pickle", adapter(lambda place: (place.root / ADAPTER).rename(place.root / PICKLE))),
    ("half an adapter", "safetensors", adapter(lambda place: half(place.root / ADAPTER))),
    ("a giant header in an adapter", "safetensors", adapter(lambda place: place.put(ADAPTER, GIANT))),
    ("an adapter that lies about its size", "safetensors", adapter(lambda place: place.put(ADAPTER, LYING))),
    ("an adapter of other tensors", "lora_A", adapter(lambda place: save_file({"lora_A": torch.zeros(2)}, place.root / ADAPTER))),
    ("an adapter with a bad task", '"task"', adapter(lambda place: place.change("adapter/prefix_lab.json", task={"lead": 5}))),
    ("a pickle with code in it", "a pickle can run code", pickled),
    ("an import with ../", "cannot be the name of a run", lambda place: place.import_run(run="../new")),
    ("an import onto a name taken", "already", lambda place: place.import_run(run="mine")),
    ("an import into an unwritable store", "PREFIX_LAB_HOME", lambda place: no_store(place) or place.import_run()),
    ("an export of nothing", "'nobody'", lambda place: place.export_run("out", run="nobody")),
    ("an export of a fine-tuned model", "'finetune'", lambda place: place.export_run("out", run="tuned")),
    ("an export over something", "not an empty folder", lambda place: place.export_run("data")),
    ("an export into a file", "a-file", lambda place: place.put("a-file", "") and place.export_run("a-file/out")),
)
