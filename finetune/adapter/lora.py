"""Low-rank adapters (LoRA): beside a frozen matrix, the product of two small ones, and the GGUF file they go into."""

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

from finetune.adapter.base import ADAPTED, Base

if TYPE_CHECKING:
    import torch

SCALE = 2.0
"""What the product counts for while it is fitted; folded into the file, which llama.cpp then takes as it is."""


def attach(base: Base, first: int, rank: int, seed: int) -> dict[tuple[int, str], Any]:
    """(layer, matrix) -> its adapter, on every layer from `first`; each starts by changing nothing."""
    import torch
    from torch import nn

    class Adapted(nn.Module):  # type: ignore[misc]
        """`matrix(x)` and the adapter's part of it."""

        def __init__(self, matrix: nn.Linear) -> None:
            super().__init__()
            self.matrix = matrix
            self.a = nn.Parameter(torch.randn(rank, matrix.in_features) / math.sqrt(matrix.in_features))
            self.b = nn.Parameter(torch.zeros(matrix.out_features, rank))

        def forward(self, x: "torch.Tensor") -> "torch.Tensor":
            low: torch.Tensor = x @ self.a.to(x.dtype).T
            out: torch.Tensor = self.matrix(x) + low @ (self.b * SCALE).to(x.dtype).T
            return out

    torch.manual_seed(seed)
    found: dict[tuple[int, str], Any] = {}
    for number in range(first, len(base.layers)):
        layer = base.layers[number]
        for name in ADAPTED:
            block = layer.mlp if hasattr(layer.mlp, name) else layer.self_attn
            adapted = Adapted(getattr(block, name))
            setattr(block, name, adapted)
            found[number, name] = adapted
    return found


def write(adapters: dict[tuple[int, str], Any], path: Path) -> None:
    """As llama.cpp reads it (`adapter.lora`), in half precision. Raises `OSError`."""
    import gguf
    import numpy as np

    writer = gguf.GGUFWriter(path, "qwen2")
    writer.add_type("adapter")
    writer.add_string("adapter.type", "lora")
    rank = len(next(iter(adapters.values())).a)
    writer.add_float32("adapter.lora.alpha", float(rank))  # over the rank: 1
    for (layer, name), adapted in sorted(adapters.items()):
        for side, tensor in (("a", adapted.a), ("b", adapted.b * SCALE)):
            tensor_name = f"blk.{layer}.{ADAPTED[name]}.weight.lora_{side}"
            writer.add_tensor(tensor_name, tensor.detach().numpy().astype(np.float16))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
