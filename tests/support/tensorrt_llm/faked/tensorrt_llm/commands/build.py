"""`trtllm-build`: a checkpoint becomes a plan. The flags are those of the real one that its own tests use."""

import argparse
import json
from importlib.machinery import SourceFileLoader
from pathlib import Path

from tensorrt_llm.models import BertModel

PLUGIN = ["auto", "float16", "float32", "bfloat16", "int32", "disable"]
FOREIGN = b"another GPU's"
SWITCH = ["enable", "disable"]
FITTING_TOKENS = 30_000
"""More do not fit into the memory of the GPU that there is not."""


def parse_arguments():
    parser = argparse.ArgumentParser(prog="trtllm-build", allow_abbrev=False)
    parser.add_argument("--checkpoint_dir")
    parser.add_argument("--output_dir", default="engine_outputs")
    parser.add_argument("--max_batch_size", type=int, default=2048)
    parser.add_argument("--max_input_len", type=int, default=1024)
    parser.add_argument("--max_seq_len", type=int)
    parser.add_argument("--max_num_tokens", type=int, default=8192)
    parser.add_argument("--bert_attention_plugin", choices=PLUGIN, default="auto")
    parser.add_argument("--gemm_plugin", choices=PLUGIN)
    parser.add_argument("--remove_input_padding", choices=SWITCH, default="enable")
    parser.add_argument("--context_fmha", choices=SWITCH, default="enable")
    parser.add_argument("--bert_context_fmha_fp32_acc", choices=SWITCH, default="disable")
    parser.add_argument("--model_cls_file")
    parser.add_argument("--model_cls_name")
    parser.add_argument("--input_timing_cache")
    parser.add_argument("--output_timing_cache", default="model.cache")
    parser.add_argument("--log_level", default="info")
    return parser.parse_args()


def model_class(arguments):
    if arguments.model_cls_file is None:
        return BertModel
    assert arguments.model_cls_name is not None
    return getattr(SourceFileLoader("models", arguments.model_cls_file).load_module(), arguments.model_cls_name)


def build_profiles(arguments, model):
    """Return the ranges of each input in each profile, once a dimension has the same ones in all inputs."""
    inputs = model.prepare_inputs(
        max_batch_size=arguments.max_batch_size,
        max_input_len=arguments.max_input_len,
        max_seq_len=arguments.max_seq_len,
        use_cache=True,
        max_beam_width=1,
        max_num_tokens=arguments.max_num_tokens,
        opt_num_tokens=arguments.max_batch_size,
        prompt_embedding_table_size=0,
        max_draft_len=0,
        gather_context_logits=False,
    )
    found = []
    for index in range(len(inputs["input_ids"].profiles)):
        told = {name: tensor.profiles[index] for name, tensor in inputs.items()}
        ranges = {(each.dimension_names[0], each.min[0], each.opt[0], each.max[0]) for each in told.values()}
        assert len({name for name, *_ in ranges}) == len(ranges), f"Found illegal dimension setting: {ranges}"
        found.append({name: (each.min[0], each.opt[0], each.max[0]) for name, each in told.items()})
    return found


def save_timing_cache(arguments):
    """A cache of another GPU is refused, and then there is none to save; one that cannot be read is begun anew."""
    known = b""
    if arguments.input_timing_cache and Path(arguments.input_timing_cache).exists():
        known = Path(arguments.input_timing_cache).read_bytes()
    if known.startswith(FOREIGN):
        raise SystemExit("AssertionError: Failed to save timing cache.")
    kernels = known if known.startswith(b"timing") else b"timing"
    Path(arguments.output_timing_cache).write_bytes(kernels + b"+")


def main():
    arguments = parse_arguments()
    config = json.loads((Path(arguments.checkpoint_dir) / "config.json").read_text())
    positions = config["fake_hf_config"]["max_position_embeddings"]
    if arguments.max_input_len > positions:
        raise SystemExit(f"max_input_len {arguments.max_input_len} is more than {positions} positions")
    if arguments.remove_input_padding == "enable" and arguments.bert_attention_plugin == "disable":
        raise SystemExit("remove_input_padding needs bert_attention_plugin")
    if arguments.max_batch_size * arguments.max_input_len > FITTING_TOKENS:
        raise SystemExit("[TRT] [E] Error Code 2: OutOfMemory (Requested size was 68719476736 bytes.)")
    profiles = build_profiles(arguments, model_class(arguments)(config, None))
    save_timing_cache(arguments)
    limits = {"max_batch_size": arguments.max_batch_size, "max_input_len": arguments.max_input_len}
    plugins = {"remove_input_padding": arguments.remove_input_padding == "enable"}
    about = {
        "version": "1.2.1",
        "pretrained_config": config,
        "build_config": {**limits, "plugin_config": plugins},
        "fake_profiles": profiles,
    }
    folder = Path(arguments.output_dir)
    folder.mkdir(exist_ok=True)
    (folder / "config.json").write_text(json.dumps(about))
    weights = (Path(arguments.checkpoint_dir) / "rank0.safetensors").read_bytes()
    (folder / "rank0.engine").write_bytes(b"FAKE" + json.dumps(about).encode() + b"\n" + weights)


if __name__ == "__main__":
    main()
