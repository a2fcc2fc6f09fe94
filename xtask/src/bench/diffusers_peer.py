"""Answers the requests of tests/src/bin/model-times.rs with PyTorch and diffusers.

One request a line on standard input, one line of JSON as the answer. Everything is f32 and
runs without gradients; the number of threads is that of OMP_NUM_THREADS.
"""

import json
import os
import resource
import sys
import time
from functools import cache

import torch
from diffusers import AutoencoderKL, DiTTransformer2DModel

torch.set_grad_enabled(False)
if os.environ.get("OMP_NUM_THREADS"):
    torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))


@cache
def transformer(folder):
    model = DiTTransformer2DModel.from_pretrained(
        folder,
        subfolder="transformer",
        torch_dtype=torch.float32,
        low_cpu_mem_usage=False,
    )
    return model.eval()


@cache
def vae(folder):
    model = AutoencoderKL.from_pretrained(
        folder, torch_dtype=torch.float32, low_cpu_mem_usage=False
    )
    return model.eval()


def timed(work):
    start, before = time.perf_counter(), time.process_time()
    made = work()
    answer = {
        "wall_s": time.perf_counter() - start,
        "cpu_s": time.process_time() - before,
    }
    if not torch.isfinite(made.abs().sum()):
        raise ValueError("the result is not finite")
    return answer


def block(folder, n_samples):
    model, n = transformer(folder), int(n_samples)
    n_tokens = (model.config.sample_size // model.config.patch_size) ** 2
    hidden = torch.randn(n, n_tokens, model.inner_dim)
    timestep, label = torch.full((n,), 500), torch.ones(n, dtype=torch.long)
    layer = model.transformer_blocks[0]
    return timed(lambda: layer(hidden, timestep=timestep, class_labels=label))


def forward(folder, n_samples):
    model, n = transformer(folder), int(n_samples)
    size = model.config.sample_size
    latent = torch.randn(n, model.config.in_channels, size, size)
    timestep, label = torch.full((n,), 500), torch.ones(n, dtype=torch.long)
    return timed(lambda: model(latent, timestep=timestep, class_labels=label).sample)


def decode(folder, height, width):
    model = vae(folder)
    latent = torch.randn(1, model.config.latent_channels, int(height), int(width))
    return timed(lambda: model.decode(latent).sample)


def memory():
    return {"peak_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024}


REQUESTS = {"block": block, "forward": forward, "vae": decode, "memory": memory}

for line in sys.stdin:
    kind, *words = line.split()
    try:
        answer = REQUESTS[kind](*words)
    except Exception as error:  # answered, so that the other side learns of it
        answer = {"error": f"{type(error).__name__}: {error}"}
    print(json.dumps(answer), flush=True)
