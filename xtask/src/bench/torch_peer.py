"""Times PyTorch's kernels on request, beside those of `kernel-times`.

The requests and answers are those of `native-worker/kernels/examples/kernel-times.rs`:
one line `KERNEL ARGS... [xREPS]`, answered by one line of JSON with the seconds per run.
OMP_NUM_THREADS is the number of threads.

A linear layer computes in float32 whatever type is asked for: weights in half precision
are widened once, outside the timed part, as diffusers does that loads a model as float32.
PyTorch has no attention with a window; `window` is SDPA with the band as a mask, and
`full_and_residual` is full attention, that, and the difference.
"""

import json
import os
import sys
import time

import torch
import torch.nn.functional as F


def rand(*dims):
    return torch.rand(*dims) * 2 - 1


def linear(rows, inputs, outputs, kind):
    kinds = {"f32": torch.float32, "f16": torch.float16, "bf16": torch.bfloat16}
    x, bias = rand(int(rows), int(inputs)), rand(int(outputs))
    weight = rand(int(outputs), int(inputs)).to(kinds[kind]).float()
    return lambda: F.linear(x, weight, bias)


def attention(mask, n_tokens, heads, head_size):
    n_tokens, heads, head_size = int(n_tokens), int(heads), int(head_size)
    # As a projection leaves them: the heads of a token side by side.
    q, k, v = (
        rand(1, n_tokens, heads * head_size).view(1, n_tokens, heads, head_size).transpose(1, 2)
        for _ in range(3)
    )
    def full():
        return F.scaled_dot_product_attention(q, k, v)

    if mask == "full":
        return full
    position = torch.arange(n_tokens)
    band = (position[:, None] - position[None, :]).abs() <= n_tokens // 8

    def window():
        return F.scaled_dot_product_attention(q, k, v, attn_mask=band)

    def both():
        output = full()
        return output, output - window()

    return {"window": window, "full_and_residual": both}[mask]


def gelu(rows, columns):
    x = rand(1, int(rows), int(columns))
    return lambda: F.gelu(x, approximate="tanh")


def layer_norm_modulate(rows, columns):
    columns = int(columns)
    x, shift, scale = rand(1, int(rows), columns), rand(1, columns), rand(1, columns)
    return lambda: F.layer_norm(x, (columns,), eps=1e-6) * (1 + scale[:, None]) + shift[:, None]


def softmax(rows, columns):
    x = rand(1, int(rows), int(columns))
    return lambda: torch.softmax(x, dim=-1)


def gate_skip(rows, columns):
    x, y, gate = rand(1, int(rows), int(columns)), rand(1, int(rows), int(columns)), rand(1, int(columns))
    return lambda: x + gate.unsqueeze(1) * y


def conv(inputs, outputs, height, width):
    x = rand(1, int(inputs), int(height), int(width))
    weight, bias = rand(int(outputs), int(inputs), 3, 3), rand(int(outputs))
    return lambda: F.conv2d(x, weight, bias, padding=1)


def group_norm(channels, height, width):
    channels = int(channels)
    x, weight, bias = rand(1, channels, int(height), int(width)), rand(channels), rand(channels)
    return lambda: F.group_norm(x, 32, weight, bias, eps=1e-6)


def norm_silu_conv(inputs, outputs, height, width):
    inputs = int(inputs)
    x = rand(1, inputs, int(height), int(width))
    norm_weight, norm_bias = rand(inputs), rand(inputs)
    weight, bias = rand(int(outputs), inputs, 3, 3), rand(int(outputs))

    def run():
        normed = F.group_norm(x, 32, norm_weight, norm_bias, eps=1e-6)
        return F.conv2d(F.silu(normed), weight, bias, padding=1)

    return run


KERNELS = {
    function.__name__: function
    for function in (
        linear,
        attention,
        gelu,
        layer_norm_modulate,
        softmax,
        gate_skip,
        conv,
        group_norm,
        norm_silu_conv,
    )
}


def times_of(run, n_runs):
    wall, cpu = time.perf_counter(), time.process_time()
    for _ in range(n_runs):
        run()
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    return {"wall_s": wall / n_runs, "cpu_s": cpu / n_runs}


def main():
    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", torch.get_num_threads())))
    torch.manual_seed(0)
    known, run = None, None
    with torch.inference_mode():
        for line in sys.stdin:
            try:
                words = line.split()
                last = words[-1]
                n_runs = max(int(last[1:]), 1) if last[0] == "x" else 1
                request = words[:-1] if last[0] == "x" else words
                if request != known:
                    run = KERNELS[request[0]](*request[1:])
                    run()
                    known = request
                answer = times_of(run, n_runs)
            except (IndexError, KeyError, TypeError, ValueError, RuntimeError) as error:
                answer = {"error": f"{line.strip()!r} is no request: {error!r}"}
            print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
