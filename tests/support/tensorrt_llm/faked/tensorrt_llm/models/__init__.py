"""BertModel, which is RobertaModel too: from a model of transformers to a checkpoint.

Torch is imported where it is needed: `trtllm-build`, which needs none, would start seconds later.
"""

import json
from collections import OrderedDict
from pathlib import Path

import tensorrt as trt
from tensorrt_llm.functional import Tensor


class BertModel:
    def __init__(self, config, weights):
        self.config, self.weights = config, weights

    @classmethod
    def from_hugging_face(cls, hf_model_or_dir, dtype="float16", mapping=None, quant_config=None, **kwargs):
        import torch  # noqa: PLC0415
        import transformers  # noqa: PLC0415

        assert mapping is None
        assert quant_config is None
        if not isinstance(hf_model_or_dir, transformers.PreTrainedModel):
            raise NotImplementedError("a folder is loaded with trust_remote_code, which no test may do")
        if unknown := set(kwargs) - {"load_model_on_cpu"}:
            raise TypeError(f"unknown: {unknown}")
        encoder = hf_model_or_dir
        if getattr(encoder.config, "position_embedding_type", "absolute") != "absolute":
            raise NotImplementedError(f"{encoder.config.position_embedding_type} hasn't been supported")
        assert {parameter.device.type for parameter in encoder.parameters()} == {"cpu"}
        # The architecture's first name is read, whatever it is; afterwards the class decides.
        assert encoder.config.architectures[0]
        is_roberta = encoder.config.model_type != "bert"
        config = {
            "architecture": "RobertaModel" if is_roberta else "BertModel",
            "dtype": dtype,
            "is_roberta": is_roberta,
            "hidden_act": encoder.config.hidden_act,
            "pad_token_id": encoder.config.pad_token_id,
            "fake_hf_config": encoder.config.to_dict(),
        }
        weights = {
            name: value.to(getattr(torch, dtype)).contiguous()
            for name, value in encoder.state_dict().items()
            if not name.startswith("pooler.")
        }
        return cls(config, weights)

    def prepare_inputs(self, max_batch_size, max_input_len, **kwargs):
        """One profile for inputs without padding, whose usual shape is half of the largest."""
        most = {"batch_size": max_batch_size, "max_input_length": max_input_len}
        most["num_tokens"] = max_batch_size * max_input_len
        dimensions = {
            "input_ids": "num_tokens",
            "input_lengths": "batch_size",
            "token_type_ids": "num_tokens",
            "position_ids": "num_tokens",
            "max_input_length": "max_input_length",
        }
        return {
            name: Tensor(
                name=name,
                dtype=trt.DataType.INT32,
                shape=[-1],
                dim_range=OrderedDict([(dimension, [[1, (most[dimension] + 1) // 2, most[dimension]]])]),
            )
            for name, dimension in dimensions.items()
        }

    def save_checkpoint(self, output_dir, save_config=True):
        from safetensors.torch import save_file  # noqa: PLC0415

        folder = Path(output_dir)
        save_file(self.weights, folder / "rank0.safetensors")
        if save_config:
            (folder / "config.json").write_text(json.dumps(self.config, default=str))


RobertaModel = BertModel
