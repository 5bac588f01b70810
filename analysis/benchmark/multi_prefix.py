"""Timing of one model with many prefixes (paper §8.2): texts with a prefix each, generated together and one by one."""

import time
from dataclasses import dataclass, replace

import psutil
import torch

from core.config.decode import DecodeConfig
from core.errors import BadConfig
from core.generation.limits import check_length
from core.generation.types import Generation, Request, make_request
from core.models.backbone import Backbone
from core.prefix.prefix import Prefix, stored_count
from core.serving.engine import Engine
from core.task import Task

TABLE = "name : The Eagle | Type : coffee shop | food : Chinese | area : riverside"


@dataclass(frozen=True)
class MultiPrefixTiming:
    """Seconds for all texts; `same`: the number of texts whose tokens agree both ways."""

    users: int
    length: int
    tokens: int
    together: float
    one_by_one: float
    same: int

    @property
    def ratio(self) -> float:
        """The speed-up of generating together."""
        return self.one_by_one / self.together


def measure_multi_prefix(backbone: Backbone, users: int, length: int = 30, tokens: int = 40, seed: int = 0) -> MultiPrefixTiming:
    """Generate greedy texts of `tokens` tokens for one table, with `users` different prefixes of `length` virtual tokens.

    The prefixes are random keys and values: speed does not depend on their values. Raises BadConfig for a number that is not
    positive or more users than memory has room for, TooLong if the texts do not fit the model.
    """
    for name, value in {"users": users, "length": length, "tokens": tokens}.items():
        if value < 1:
            raise BadConfig(f"{name} must be at least 1; given: {value}.", name)
    decode = DecodeConfig(max_new=tokens, min_new=tokens, seed=seed)
    requests = _requests(backbone, users, length, tokens, seed)
    engine = Engine(rows=users, waiting=users)
    try:
        _generate(engine, backbone, requests[:1], decode)  # warm-up
        began = time.monotonic()
        together = _generate(engine, backbone, requests, decode)
        middle = time.monotonic()
        alone = [_generate(engine, backbone, [request], decode)[0] for request in requests]
        ended = time.monotonic()
    finally:
        engine.close()
    same = sum(one.ids == other.ids for one, other in zip(together, alone, strict=True))
    return MultiPrefixTiming(users, length, tokens, middle - began, ended - middle, same)


def _requests(backbone: Backbone, users: int, length: int, tokens: int, seed: int) -> list[Request]:
    plain, draw, spec = make_request(backbone, Task(), TABLE), torch.Generator().manual_seed(seed), backbone.spec
    check_length(backbone, len(plain.prompt_ids), length, tokens)
    needed = users * stored_count(spec, length + len(plain.prompt_ids) + tokens) * 4  # bytes: keys and values in fp32
    free = psutil.virtual_memory().available
    if needed > free:
        raise BadConfig(
            f"{users:,} texts with a prefix of {length} each need about {needed / 1e9:,.0f} GB of memory, and "
            f"{free / 1e9:,.0f} GB are free. Give fewer users.",
            "users",
        )
    pasts = [{site: torch.randn(spec.shape(site, length), generator=draw) for site in spec.sites} for _ in range(users)]
    return [replace(plain, prefix=Prefix(past, spec.name, spec.fingerprint)) for past in pasts]


def _generate(engine: Engine, backbone: Backbone, requests: list[Request], decode: DecodeConfig) -> list[Generation]:
    streams = [engine.submit(backbone.model, backbone, request, decode) for request in requests]
    return [stream.result() for stream in streams]
