"""An encoder of transformers run on texts without padding, as TensorRT-LLM's packed input has it: in torch, in fp32.

Attention is block-diagonal by the lengths, positions and types are those that come in. Nothing is derived here that the
code under test derives: wrong positions or lengths give wrong vectors.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch


def packed_forward(model: Any, tensors: Mapping[str, "torch.Tensor"]) -> "torch.Tensor":
    """Return the hidden states `[tokens, width]` of a BertModel or XLMRobertaModel."""
    import torch  # noqa: PLC0415 -- takes seconds to import

    lengths = tensors["input_lengths"]
    owners = torch.repeat_interleave(torch.arange(len(lengths)), lengths.long())
    assert len(owners) == len(tensors["input_ids"]) == len(tensors["position_ids"]) == len(tensors["token_type_ids"])
    assert tensors["max_input_length"].shape == (int(lengths.max()),)
    apart = owners[:, None] != owners[None, :]
    with torch.inference_mode():
        found = model(
            input_ids=tensors["input_ids"].long()[None],
            token_type_ids=tensors["token_type_ids"].long()[None],
            position_ids=tensors["position_ids"].long()[None],
            attention_mask=apart[None, None].float() * torch.finfo(torch.float32).min,
        )
    states: torch.Tensor = found.last_hidden_state[0]
    return states
