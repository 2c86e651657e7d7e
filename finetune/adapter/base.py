"""The embedded model in PyTorch: its own GGUF weights, brought back to bfloat16."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core.errors import DependencyError
from llm.relevance import NO, YES, reads

if TYPE_CHECKING:
    import torch

_PARTS = {
    "attn_q": "self_attn.q_proj", "attn_k": "self_attn.k_proj", "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj", "ffn_gate": "mlp.gate_proj", "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj", "attn_norm": "input_layernorm", "ffn_norm": "post_attention_layernorm",
}  # fmt: skip
_WHOLE = {
    "token_embd.weight": "model.embed_tokens.weight", "output_norm.weight": "model.norm.weight",
    "output.weight": "lm_head.weight",
}  # fmt: skip
ADAPTED = {"q_proj": "attn_q", "v_proj": "attn_v", "o_proj": "attn_output", "down_proj": "ffn_down"}
"""Matrices that get an adapter, and their names in a GGUF. The others cost as much time and were not tried."""


@dataclass(frozen=True)
class Base:
    """The model, frozen, and what reads and answers in its vocabulary."""

    model: Any
    tokenizer: Any
    yes: list[int]
    """Tokens that count as «sí», and those that count as «no»."""
    no: list[int]

    @property
    def layers(self) -> Any:
        """The decoder's layers, in order."""
        return self.model.model.layers


def load(path: Path) -> Base:
    """Dequantises the file: a minute and 4 GB. Raises `DependencyError` without the extra `ajuste`."""
    try:
        import gguf
        import torch
        from transformers import AutoTokenizer, Qwen2Config, Qwen2ForCausalLM
    except ModuleNotFoundError as error:
        raise DependencyError(
            f"Falta {error.name}: pip install --require-hashes -r requirements/ajuste.txt (en un entorno propio)."
        ) from error
    reader = gguf.GGUFReader(path)
    tensors = {tensor.name: tensor for tensor in reader.tensors}

    def fact(name: str) -> Any:
        return reader.fields[f"qwen2.{name}"].contents()

    config = Qwen2Config(
        vocab_size=int(tensors["token_embd.weight"].shape[1]),
        hidden_size=fact("embedding_length"),
        intermediate_size=fact("feed_forward_length"),
        num_hidden_layers=fact("block_count"),
        num_attention_heads=fact("attention.head_count"),
        num_key_value_heads=fact("attention.head_count_kv"),
        rms_norm_eps=fact("attention.layer_norm_rms_epsilon"),
        rope_theta=fact("rope.freq_base"),
        max_position_embeddings=fact("context_length"),
        tie_word_embeddings="output.weight" not in tensors,
    )
    state = {
        _name(name): torch.from_numpy(gguf.quants.dequantize(t.data, t.tensor_type).copy()).to(torch.bfloat16)
        for name, t in tensors.items()
    }
    if config.tie_word_embeddings:
        state["lm_head.weight"] = state["model.embed_tokens.weight"]
    model = Qwen2ForCausalLM(config).to(torch.bfloat16)
    model.load_state_dict(state)
    model.requires_grad_(requires_grad=False)
    tokenizer = AutoTokenizer.from_pretrained(path.parent, gguf_file=path.name)
    words = [tokenizer.decode([token]) for token in range(len(tokenizer))]
    yes, no = ([token for token, word in enumerate(words) if reads(word, side)] for side in (YES, NO))
    return Base(model.eval(), tokenizer, yes, no)


def _name(name: str) -> str:
    """A tensor's name in a GGUF -> in transformers."""
    if name in _WHOLE:
        return _WHOLE[name]
    _, layer, part, kind = name.split(".")
    return f"model.layers.{layer}.{_PARTS[part]}.{kind}"


def logits(base: Base, hidden: "torch.Tensor", ends: list[int]) -> "torch.Tensor":
    """log P(sí) - log P(no) at these tokens, as `llm.relevance.yes_no_logit` reads it. `hidden`: (1, tokens, width)."""
    import torch

    last = base.model.model.norm(hidden[0, ends])
    weights = base.model.lm_head.weight
    yes, no = (torch.logsumexp((last @ weights[side].T).float(), -1) for side in (base.yes, base.no))
    return yes - no
