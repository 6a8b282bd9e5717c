"""Writes GGUF files for llama.cpp, and one adapter in the PEFT layout of Hugging Face.

python3 export.py --gguf-py /path/to/llama.cpp/gguf-py
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from chat import CHAT_TEMPLATE
from model import DemoModel, ModelConfig, add_lora, load_model
from tokenizer import CONTROL_TOKENS, END_OF_TEXT, TAG_TOKENS, TURN_END, Tokenizer
from train import STYLES

HERE = Path(__file__).parent
ROOT_NAMES = {"embed_tokens.weight": "token_embd.weight", "norm.weight": "output_norm.weight"}
LAYER_NAMES = {
    "input_layernorm": "attn_norm",
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "post_attention_layernorm": "ffn_norm",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
}
LAYER_PATTERN = re.compile(r"layers\.(\d+)\.(.+)\.(weight|lora_A|lora_B)$")


def gguf_name(name: str) -> str:
    """GGUF tensor name of a weight of `DemoModel` or of an adapter."""
    if name in ROOT_NAMES:
        return ROOT_NAMES[name]
    index, part, kind = LAYER_PATTERN.match(name).groups()
    suffix = "" if kind == "weight" else "." + kind.lower()
    return f"blk.{index}.{LAYER_NAMES[part]}.weight{suffix}"


def interleave(weight: Tensor, heads: int) -> Tensor:
    """Reorder rows from rotary halves to the pairs that llama.cpp rotates."""
    return weight.reshape(heads, 2, -1, weight.shape[1]).swapaxes(1, 2).reshape(weight.shape)


def gguf_tensor(name: str, weight: Tensor, config: ModelConfig) -> Tensor:
    """Apply the q/k row order. An adapter's A has no such rows, only its B."""
    if "q_proj" in name and not name.endswith("lora_A"):
        return interleave(weight, config.heads)
    if "k_proj" in name and not name.endswith("lora_A"):
        return interleave(weight, config.kv_heads)
    return weight


def write_model(gguf: Any, model: DemoModel, tokenizer: Tokenizer, path: Path, name: str, quantized: bool) -> None:
    """Write a complete model, matrices as Q8_0 or F16 and norms as F32."""
    config = model.config
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_type(gguf.GGUFType.MODEL)
    writer.add_name(name)
    writer.add_license("apache-2.0")
    writer.add_description("A tiny demonstration chat model, trained on generated dialogues only")
    writer.add_languages(["en"])
    writer.add_file_type(gguf.LlamaFileType.MOSTLY_Q8_0 if quantized else gguf.LlamaFileType.MOSTLY_F16)
    writer.add_quantization_version(gguf.GGML_QUANT_VERSION)
    writer.add_context_length(config.context)
    writer.add_embedding_length(config.dim)
    writer.add_block_count(config.layers)
    writer.add_feed_forward_length(config.ffn_dim)
    writer.add_head_count(config.heads)
    writer.add_head_count_kv(config.kv_heads)
    writer.add_rope_dimension_count(config.head_dim)
    writer.add_rope_freq_base(config.rope_base)
    writer.add_layer_norm_rms_eps(config.norm_eps)
    writer.add_vocab_size(config.vocab_size)

    types = {token: gguf.TokenType.CONTROL for token in CONTROL_TOKENS}
    types |= {token: gguf.TokenType.USER_DEFINED for token in TAG_TOKENS}
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("gpt-2")
    writer.add_token_list(tokenizer.tokens)
    writer.add_token_types([types.get(token, gguf.TokenType.NORMAL) for token in tokenizer.tokens])
    writer.add_token_merges([" ".join(pair) for pair in tokenizer.merges])
    writer.add_bos_token_id(tokenizer.ids[END_OF_TEXT])
    writer.add_eos_token_id(tokenizer.ids[TURN_END])
    writer.add_eot_token_id(tokenizer.ids[TURN_END])
    writer.add_pad_token_id(tokenizer.ids[END_OF_TEXT])
    writer.add_add_bos_token(False)
    writer.add_chat_template(CHAT_TEMPLATE)

    for key, weight in model.state_dict().items():
        data = gguf_tensor(key, weight, config).float().numpy()
        if data.ndim == 1:
            writer.add_tensor(gguf_name(key), data)
        elif quantized:
            kind = gguf.GGMLQuantizationType.Q8_0
            writer.add_tensor(gguf_name(key), gguf.quants.quantize(data, kind), raw_dtype=kind)
        else:
            writer.add_tensor(gguf_name(key), data.astype(np.float16))
    finish(writer)


def write_adapter(gguf: Any, adapter: dict[str, Any], config: ModelConfig, path: Path, name: str) -> None:
    """Write a LoRA adapter as llama.cpp's convert_lora_to_gguf.py does, in F16."""
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_type(gguf.GGUFType.ADAPTER)
    writer.add_string(gguf.Keys.Adapter.TYPE, "lora")
    writer.add_float32(gguf.Keys.Adapter.LORA_ALPHA, adapter["alpha"])
    writer.add_name(name)
    writer.add_license("apache-2.0")
    writer.add_base_model_count(1)
    writer.add_base_model_name(0, "Drawbridge Demo")
    writer.add_file_type(gguf.LlamaFileType.MOSTLY_F16)
    for key, weight in adapter["weights"].items():
        writer.add_tensor(gguf_name(key), gguf_tensor(key, weight, config).numpy().astype(np.float16))
    finish(writer)


def finish(writer: Any) -> None:
    """Write what was added and close the file."""
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def misfit_adapter() -> tuple[dict[str, Any], ModelConfig]:
    """An adapter for a model of another shape, for tests of the error path."""
    torch.manual_seed(0)
    config = ModelConfig(vocab_size=64, dim=128, layers=2, heads=4, kv_heads=2, ffn_dim=256)
    weights = add_lora(DemoModel(config), rank=4, alpha=8.0)
    return {"rank": 4, "alpha": 8.0, "weights": {key: weight.detach() for key, weight in weights.items()}}, config


def safetensors(tensors: dict[str, np.ndarray]) -> Iterator[bytes]:
    """Parts of a safetensors file with F32 tensors: header length, padded JSON header, data."""
    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    offset = 0
    for key, data in tensors.items():
        header[key] = {"dtype": "F32", "shape": list(data.shape), "data_offsets": [offset, offset + data.nbytes]}
        offset += data.nbytes
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    yield len(text).to_bytes(8, "little")
    yield text
    for data in tensors.values():
        yield data.astype("<f4").tobytes()


def write_peft(adapter: dict[str, Any], folder: Path) -> None:
    """Write an adapter as PEFT saves it."""
    folder.mkdir(parents=True, exist_ok=True)
    settings = {
        "base_model_name_or_path": "drawbridge-demo",
        "bias": "none",
        "fan_in_fan_out": False,
        "inference_mode": True,
        "init_lora_weights": True,
        "lora_alpha": int(adapter["alpha"]),
        "lora_dropout": 0.0,
        "modules_to_save": None,
        "peft_type": "LORA",
        "r": adapter["rank"],
        "target_modules": sorted({key.split(".")[-2] for key in adapter["weights"]}),
        "task_type": "CAUSAL_LM",
        "use_dora": False,
        "use_rslora": False,
    }
    (folder / "adapter_config.json").write_text(json.dumps(settings, indent=2) + "\n")
    tensors = {
        f"base_model.model.model.{key}.weight": weight.numpy() for key, weight in sorted(adapter["weights"].items())
    }
    (folder / "adapter_model.safetensors").write_bytes(b"".join(safetensors(tensors)))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--gguf-py", type=Path, required=True, help="the gguf-py folder of llama.cpp")
    parser.add_argument("--work", type=Path, default=HERE / "work", help="folder with checkpoints")
    parser.add_argument("--out", type=Path, default=HERE.parent, help="folder to write to")
    options = parser.parse_args()
    sys.path.insert(0, str(options.gguf_py))
    import gguf

    tokenizer = Tokenizer.load(options.work / "tokenizer.json")
    (options.out / "adapters").mkdir(parents=True, exist_ok=True)
    for shape, stem, name in (
        ("base", "drawbridge-demo", "Drawbridge Demo"),
        ("draft", "demo-draft", "Drawbridge Demo Draft"),
    ):
        if (options.work / f"{shape}.pt").exists():
            model = load_model(options.work / f"{shape}.pt")
            write_model(gguf, model, tokenizer, options.out / f"{stem}-q8_0.gguf", name, quantized=True)
            write_model(gguf, model, tokenizer, options.out / f"{stem}-f16.gguf", name, quantized=False)
    config = load_model(options.work / "base.pt").config
    for style in STYLES:
        if (options.work / f"{style}.pt").exists():
            adapter = torch.load(options.work / f"{style}.pt")
            write_adapter(gguf, adapter, config, options.out / "adapters" / f"{style}.gguf", style)
            if style == "pirate":
                write_peft(adapter, options.out / "adapters" / "pirate-peft")
    adapter, config = misfit_adapter()
    write_adapter(gguf, adapter, config, options.out / "adapters" / "misfit.gguf", "misfit")
    for path in sorted(options.out.rglob("*.gguf")):
        print(f"{path.stat().st_size:>10,}  {path.relative_to(options.out)}")


if __name__ == "__main__":
    main()
