"""Fits the adapter: the layers below the first adapted one run once and are kept, the others over and over."""

import math
import random
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from core.terminal import Show
from finetune.adapter.base import Base, logits
from finetune.adapter.lora import attach
from finetune.adapter.packing import Pack, packs
from finetune.adapter.pairs import Example

if TYPE_CHECKING:
    import torch

TOKENS = 900
"""Of a pack: enough for the matrices to be busy, few enough that the mask costs nothing."""
_WARMUP = 10
_FINISH = 0.05
"""Steps until the learning rate is whole, and what is left of it at the end of its cosine."""


@dataclass(frozen=True)
class Recipe:
    """How an adapter is fitted. Chosen beforehand, none of it by a measurement on other data."""

    first_layer: int = 16
    """Of 28: those below stay as they are and run once."""
    rank: int = 8
    epochs: int = 2
    rate: float = 3e-4
    batch: int = 2
    """Packs per step; about twenty judgements."""
    seed: int = 1

    def facts(self) -> dict[str, Any]:
        """As parameters of a run."""
        return asdict(self)


@dataclass(frozen=True)
class Prepared:
    """A pack as the first adapted layer meets it."""

    pack: Pack
    hidden: "torch.Tensor"
    labels: "torch.Tensor"


def prepare(base: Base, examples: Sequence[Example], first_layer: int, bar: Show | None) -> list[Prepared]:
    """The frozen layers' work, once."""
    import torch

    ordered = sorted(examples, key=lambda example: example.group)
    tokens = [base.tokenizer(example.prompt, add_special_tokens=False)["input_ids"] for example in ordered]
    found, made = [], list(packs(tokens, TOKENS))
    for number, pack in enumerate(made, 1):
        with torch.no_grad():
            hidden = base.model.model.embed_tokens(torch.tensor([pack.tokens]))
            hidden = _through(base, pack, hidden, range(first_layer))
        found.append(Prepared(pack, hidden, torch.tensor([float(ordered[i].label) for i in pack.which])))
        if bar:
            bar("Capas fijas", number, len(made))
    return found


def fit(base: Base, prepared: Sequence[Prepared], recipe: Recipe, bar: Show | None) -> tuple[Any, list[float]]:
    """The adapters, and the mean loss of each epoch. A «sí» weighs as much as all the «no» beside it."""
    import torch
    from torch.nn.functional import binary_cross_entropy_with_logits

    adapters = attach(base, recipe.first_layer, recipe.rank, recipe.seed)
    parameters = [tensor for adapted in adapters.values() for tensor in (adapted.a, adapted.b)]
    optimizer = torch.optim.AdamW(parameters, lr=recipe.rate, weight_decay=0.01, betas=(0.9, 0.98))
    labels = torch.cat([one.labels for one in prepared])
    weight = ((1 - labels.mean()) / labels.mean()).clamp(max=3.0)
    upper = range(recipe.first_layer, len(base.layers))
    losses, steps = [], recipe.epochs * math.ceil(len(prepared) / recipe.batch)
    for number, batch in enumerate(_batches(prepared, recipe), 1):
        share = 0.5 * (1 + math.cos(math.pi * (number - 1) / steps))
        for group in optimizer.param_groups:
            group["lr"] = recipe.rate * min(1.0, number / _WARMUP) * max(_FINISH, share)
        judgements = sum(len(one.labels) for one in batch)
        total = 0.0
        for one in batch:
            said = logits(base, _through(base, one.pack, one.hidden, upper), one.pack.ends)
            weights = torch.where(one.labels == 1, weight, torch.tensor(1.0))
            each = binary_cross_entropy_with_logits(said, one.labels, reduction="none")
            loss = (weights * each).sum() / judgements
            loss.backward()
            total += loss.item()
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        optimizer.zero_grad()
        losses.append(total)
        if bar:
            bar(f"Ajuste, error {sum(losses[-20:]) / len(losses[-20:]):.3f}", number, steps)
    size = steps // recipe.epochs
    return adapters, [sum(part) / len(part) for part in (losses[i : i + size] for i in range(0, steps, size))]


def _batches(prepared: Sequence[Prepared], recipe: Recipe) -> Iterator[list[Prepared]]:
    order = list(prepared)
    rng = random.Random(recipe.seed)  # noqa: S311 - an order, not a secret
    for _ in range(recipe.epochs):
        rng.shuffle(order)
        for start in range(0, len(order), recipe.batch):
            yield order[start : start + recipe.batch]


def _through(base: Base, pack: Pack, hidden: "torch.Tensor", layers: range) -> "torch.Tensor":
    """(1, tokens, width) through these layers, every token seeing its ancestors."""
    import torch

    positions = torch.tensor([pack.positions])
    unseen = torch.from_numpy(~pack.visible())
    mask = torch.zeros(unseen.shape, dtype=hidden.dtype).masked_fill(unseen, torch.finfo(hidden.dtype).min)[None, None]
    turned = base.model.model.rotary_emb(hidden, positions)
    for number in layers:
        out = base.layers[number](hidden, attention_mask=mask, position_ids=positions, position_embeddings=turned)
        hidden = out[0] if isinstance(out, tuple) else out
    return hidden
