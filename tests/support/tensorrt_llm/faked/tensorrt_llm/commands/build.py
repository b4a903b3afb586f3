"""`trtllm-build`: a checkpoint becomes a plan. The flags are those of the real one that its own tests use."""

import argparse
import json
from pathlib import Path

PLUGIN = ["auto", "float16", "float32", "bfloat16", "int32", "disable"]
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
    parser.add_argument("--output_timing_cache", default="model.cache")
    parser.add_argument("--log_level", default="info")
    return parser.parse_args()


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
    Path(arguments.output_timing_cache).write_bytes(b"timing")
    limits = {"max_batch_size": arguments.max_batch_size, "max_input_len": arguments.max_input_len}
    plugins = {"remove_input_padding": arguments.remove_input_padding == "enable"}
    about = {"version": "1.2.1", "pretrained_config": config, "build_config": {**limits, "plugin_config": plugins}}
    folder = Path(arguments.output_dir)
    folder.mkdir(exist_ok=True)
    (folder / "config.json").write_text(json.dumps(about))
    weights = (Path(arguments.checkpoint_dir) / "rank0.safetensors").read_bytes()
    (folder / "rank0.engine").write_bytes(b"FAKE" + json.dumps(about).encode() + b"\n" + weights)


if __name__ == "__main__":
    main()
