"""Continue from the weights of a trained model."""

from pathlib import Path

from transformers import AutoConfig, PreTrainedModel

from core.errors import BadInput


def continue_from(model: PreTrainedModel, folder: Path) -> None:
    """Load the weights of the model in `folder` into `model`, of the same shape. Raises BadInput if there are none."""
    try:
        family = AutoConfig.from_pretrained(folder, local_files_only=True).model_type
        trained = type(model).from_pretrained(folder, local_files_only=True) if family == model.config.model_type else None
    except (OSError, ValueError) as error:
        raise BadInput(f"No model could be opened in {folder}: {error}") from error
    if trained is None:
        raise BadInput(
            f"--continue-from takes a {model.config.model_type} here; {folder.name} is a {family}. Give another folder."
        )
    shapes = {name: tuple(tensor.shape) for name, tensor in trained.state_dict().items()}
    expected = {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}
    differing = sorted(name for name in shapes.keys() | expected.keys() if shapes.get(name) != expected.get(name))
    if differing:
        raise BadInput(
            f"{folder.name} has another shape than the preset's model: {differing[0]} is {shapes.get(differing[0], 'missing')} "
            f"in place of {expected.get(differing[0], 'nothing')}. Give a model of the preset's shape."
        )
    model.load_state_dict(trained.state_dict())
