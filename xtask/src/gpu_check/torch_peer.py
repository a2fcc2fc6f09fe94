"""PyTorch's side of gpu-check: a request a line, answered by a line of JSON.

about                                       versions and the card
attention TOKENS RUNS TYPE                  one self-attention layer, 16 heads of 72, batch 2
steps FOLDER SIDE STEPS TEXT_TOKENS TYPE    guided forward passes of a DiT or a PixArt

The networks are those of diffusers, written with torch.nn.functional alone, so that only
PyTorch has to be there; weights come from the folder's safetensors file.
"""

import json
import sys
from pathlib import Path

import torch
import torch.nn.functional as F
from torch.nn.attention import SDPBackend, sdpa_kernel

TYPES = {"bf16": torch.bfloat16, "f16": torch.float16, "f32": torch.float32}
STORED = {"BF16": torch.bfloat16, "F16": torch.float16, "F32": torch.float32}
DEVICE = "cuda"
HEADS, WIDTH = 16, 1152


def median_ms(work, runs, warm_up=3):
    """Middle of the times between two marks on the GPU."""
    times = []
    for run in range(warm_up + runs):
        start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        start.record()
        work()
        end.record()
        end.synchronize()
        if run >= warm_up:
            times.append(start.elapsed_time(end))
    return sorted(times)[len(times) // 2]


def heads_of(x):
    n, t, d = x.shape
    return x.view(n, t, HEADS, d // HEADS).transpose(1, 2)


def attend(q, k, v):
    out = F.scaled_dot_product_attention(heads_of(q), heads_of(k), heads_of(v))
    return out.transpose(1, 2).reshape(q.shape)


def attention(tokens, runs, dtype):
    make = lambda *shape: torch.randn(*shape, device=DEVICE, dtype=dtype)
    weights = [make(WIDTH, WIDTH) / WIDTH**0.5 for _ in range(4)]
    biases = [make(WIDTH) for _ in range(4)]
    x = make(2, tokens, WIDTH)

    def layer():
        q, k, v = (F.linear(x, w, b) for w, b in zip(weights[:3], biases[:3]))
        return F.linear(attend(q, k, v), weights[3], biases[3])

    answer = {"sdpa_ms": median_ms(layer, runs)}
    with sdpa_kernel(SDPBackend.FLASH_ATTENTION):
        answer["flash_ms"] = median_ms(layer, runs)
    return answer


def weights_in(path, dtype):
    """Tensors of a safetensors file, on the GPU."""
    raw = path.read_bytes()
    length = int.from_bytes(raw[:8], "little")
    header = json.loads(raw[8 : 8 + length])
    header.pop("__metadata__", None)
    found = {}
    for name, entry in header.items():
        start, end = (8 + length + at for at in entry["data_offsets"])
        values = torch.frombuffer(bytearray(raw[start:end]), dtype=STORED[entry["dtype"]])
        found[name] = values.view(entry["shape"]).to(DEVICE, dtype)
    return found


def features(timestep, shift):
    half = 128
    scale = -torch.log(torch.tensor(10000.0)) / (half - shift)
    angles = timestep * torch.exp(scale * torch.arange(half))
    return torch.cat([angles.cos(), angles.sin()])[None].to(DEVICE)


def positions(side, base, scale, dtype):
    quarter = WIDTH // 4
    frequencies = 10000 ** -(torch.arange(quarter, dtype=torch.float64) / quarter)
    angles = (torch.arange(side) / (side / base) / scale).double()[:, None] * frequencies
    axis = torch.cat([angles.sin(), angles.cos()], -1)
    grid = torch.cat([axis[None].expand(side, -1, -1), axis[:, None].expand(-1, side, -1)], -1)
    return grid.reshape(side * side, WIDTH).to(DEVICE, dtype)


def normed(x, shift, scale, eps=1e-6):
    return F.layer_norm(x, (WIDTH,), eps=eps) * (1 + scale) + shift


class Network:
    """What both families share. A forward pass is guided: batch 2."""

    def __init__(self, folder, side, dtype):
        folder = Path(folder) / "transformer"
        self.config = json.loads((folder / "config.json").read_text())
        self.weights = weights_in(folder / "diffusion_pytorch_model.safetensors", dtype)
        self.dtype, self.n_blocks = dtype, self.config["num_layers"]
        base = self.config["sample_size"] // 2
        scale = self.config.get("interpolation_scale") or 1
        self.positions = positions(side // 2, base, scale, dtype)

    def linear(self, name, x):
        return F.linear(x, self.weights[f"{name}.weight"], self.weights.get(f"{name}.bias"))

    def tokens(self, latent):
        w = self.weights
        x = F.conv2d(latent, w["pos_embed.proj.weight"], w["pos_embed.proj.bias"], stride=2)
        return x.flatten(2).transpose(1, 2) + self.positions

    def self_attention(self, name, x):
        q, k, v = (self.linear(f"{name}.{part}", x) for part in ("to_q", "to_k", "to_v"))
        return self.linear(f"{name}.to_out.0", attend(q, k, v))

    def mlp(self, name, x):
        inner = F.gelu(self.linear(f"{name}.net.0.proj", x), approximate="tanh")
        return self.linear(f"{name}.net.2", inner)


class Dit(Network):
    def __call__(self, latent, timestep, _):
        x = self.tokens(latent)
        labels = torch.tensor([207, 1000], device=DEVICE)
        at = features(timestep, 1).to(self.dtype)

        def embedding(block):
            name = f"transformer_blocks.{block}.norm1.emb"
            t = F.silu(self.linear(f"{name}.timestep_embedder.linear_1", at))
            t = self.linear(f"{name}.timestep_embedder.linear_2", t)
            return F.silu(t + self.weights[f"{name}.class_embedder.embedding_table.weight"][labels])

        for block in range(self.n_blocks):
            name = f"transformer_blocks.{block}"
            parts = self.linear(f"{name}.norm1.linear", embedding(block))[:, None].chunk(6, -1)
            x = x + parts[2] * self.self_attention(f"{name}.attn1", normed(x, parts[0], parts[1]))
            x = x + parts[5] * self.mlp(f"{name}.ff", normed(x, parts[3], parts[4], 1e-5))
        shift, scale = self.linear("proj_out_1", embedding(0))[:, None].chunk(2, -1)
        return self.linear("proj_out_2", normed(x, shift, scale))


class PixArt(Network):
    def __call__(self, latent, timestep, text):
        x = self.tokens(latent)
        name = "adaln_single.emb.timestep_embedder"
        t = F.silu(self.linear(f"{name}.linear_1", features(timestep, 0).to(self.dtype)))
        t = self.linear(f"{name}.linear_2", t)
        shared = self.linear("adaln_single.linear", F.silu(t)).view(6, WIDTH)
        text = F.gelu(self.linear("caption_projection.linear_1", text), approximate="tanh")
        text = self.linear("caption_projection.linear_2", text)
        for block in range(self.n_blocks):
            name = f"transformer_blocks.{block}"
            parts = self.weights[f"{name}.scale_shift_table"] + shared
            x = x + parts[2] * self.self_attention(f"{name}.attn1", normed(x, parts[0], parts[1]))
            q = heads_of(self.linear(f"{name}.attn2.to_q", x))
            k, v = (heads_of(self.linear(f"{name}.attn2.{part}", text)) for part in ("to_k", "to_v"))
            seen = F.scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(x.shape)
            x = x + self.linear(f"{name}.attn2.to_out.0", seen)
            x = x + parts[5] * self.mlp(f"{name}.ff", normed(x, parts[3], parts[4]))
        shift, scale = self.weights["scale_shift_table"] + t
        return self.linear("proj_out", normed(x, shift, scale))


def steps(folder, side, n_steps, text_tokens, dtype):
    is_pixart = "pixart" in Path(folder).name
    network = (PixArt if is_pixart else Dit)(folder, side, dtype)
    latent = torch.randn(2, network.config["in_channels"], side, side, device=DEVICE, dtype=dtype)
    text = torch.randn(2, text_tokens, 4096, device=DEVICE, dtype=dtype)
    step_ms = median_ms(lambda: network(latent, 500.0, text), n_steps)
    del network
    torch.cuda.empty_cache()
    return {"step_ms": step_ms}


def answer(line):
    match line.split():
        case ["about"]:
            return {"about": f"PyTorch {torch.__version__} on {torch.cuda.get_device_name()}"}
        case ["attention", tokens, runs, dtype]:
            return attention(int(tokens), int(runs), TYPES[dtype])
        case ["steps", folder, side, n_steps, text_tokens, dtype]:
            return steps(folder, int(side), int(n_steps), int(text_tokens), TYPES[dtype])
    raise ValueError(f"not a request: {line}")


@torch.inference_mode()
def main():
    for line in sys.stdin:
        try:
            found = answer(line)
        except Exception as error:  # the other side says what was asked
            found = {"error": f"{type(error).__name__}: {error}"}
        print(json.dumps(found), flush=True)


main()
