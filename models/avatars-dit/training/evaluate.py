#!/usr/bin/env python3
"""Measure a class-conditional avatar DiT: does it draw the class it was asked for, and how close
are its images to held-out renders?

    evaluate.py classifier --data train --held-out test --out classifier.safetensors
    evaluate.py score --classifier classifier.safetensors --held-out test --model .. --grid grid.png

`classifier` trains a small CNN on renders of the 16 styles. `score` draws samples with diffusers,
with the scheduler exactly as the model folder configures it, and prints one JSON line:

accuracy     share of samples that the classifier gives the class they were drawn for
frechet      classifier Frechet distance: the Frechet distance of two Gaussians fitted to the
             classifier's 64 penultimate features, of the samples and of all held-out renders. It
             is no FID: another network, other features, another scale. Compare it only with
             values of the same classifier and the same number of samples.
floor        the same distance for as many held-out renders (the first ones of each class) against
             the rest of them: what a perfect model would reach

PREFIX.bin / PREFIX.lab are written by render_avatars.mjs. Everything runs on the CPU.
"""
import argparse
import json
import time

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
from PIL import Image
from safetensors.torch import load_file, save_file

SIZE, CLASSES, FEATURES = 64, 16, 64


def load_renders(prefix):
    """uint8 images [N, 64, 64, 3] (memory-mapped) and class ids [N]."""
    labels = np.fromfile(prefix + ".lab", np.uint8)
    images = np.memmap(prefix + ".bin", np.uint8, "c").reshape(-1, SIZE, SIZE, 3)
    return images, torch.from_numpy(labels[: len(images)]).long()


def to_tensor(images):
    """uint8 NHWC -> f32 NCHW in -1..1, the range the model works in."""
    return torch.from_numpy(np.ascontiguousarray(images)).permute(0, 3, 1, 2).float() / 127.5 - 1


# ---------------------------------------------------------------- classifier
class Classifier(nn.Module):
    """Four strided convolutions, mean over space, 64 features, 16 classes."""

    def __init__(self):
        super().__init__()
        widths = [3, 24, 48, 96, 96]
        self.convs = nn.ModuleList(nn.Conv2d(i, o, 3, 2, 1) for i, o in zip(widths, widths[1:]))
        self.norms = nn.ModuleList(nn.GroupNorm(8, w) for w in widths[1:])
        self.features = nn.Linear(widths[-1], FEATURES)
        self.head = nn.Linear(FEATURES, CLASSES)

    def penultimate(self, x):
        for conv, norm in zip(self.convs, self.norms):
            x = F.silu(norm(conv(x)))
        return F.silu(self.features(x.mean((2, 3))))

    def forward(self, x):
        return self.head(self.penultimate(x))


@torch.inference_mode()
def classify(net, x):
    """Features [N, 64] and predicted classes [N] of images [N, 3, 64, 64] in -1..1."""
    feats = torch.cat([net.penultimate(part) for part in x.split(256)])
    return feats, net.head(feats).argmax(1)


def train_classifier(a):
    images, labels = load_renders(a.data)
    torch.manual_seed(a.seed)
    net, batch = Classifier(), 128
    steps = a.epochs * len(images) // batch
    opt = torch.optim.AdamW(net.parameters(), lr=2e-3, weight_decay=0.01)
    rate = torch.optim.lr_scheduler.OneCycleLR(opt, 2e-3, total_steps=steps)
    start = time.time()
    for step in range(steps):
        pick = torch.randint(0, len(images), (batch,)).sort().values
        loss = F.cross_entropy(net(to_tensor(images[pick.numpy()])), labels[pick])
        opt.zero_grad(set_to_none=True)
        loss.backward()
        opt.step()
        rate.step()
        if (step + 1) % 100 == 0:
            print(f"step {step + 1}/{steps} loss {loss.detach():.4f} {time.time() - start:.0f} s", flush=True)
    save_file(net.state_dict(), a.out)
    held, held_labels = load_renders(a.held_out)
    predicted = classify(net.eval(), to_tensor(held))[1]
    print(json.dumps(dict(held_out=len(held), accuracy=round((predicted == held_labels).float().mean().item(), 4))))


# ---------------------------------------------------------------- Frechet distance
def frechet(x, y):
    """|mx - my|^2 + tr(Cx + Cy - 2 (Cx Cy)^1/2) of Gaussians fitted to the rows of x and y."""
    x, y = x.double(), y.double()
    cx, cy = x.T.cov(), y.T.cov()
    values, vectors = torch.linalg.eigh(cx)
    root = vectors @ torch.diag(values.clamp(min=0).sqrt()) @ vectors.T
    cross = torch.linalg.eigvalsh(root @ cy @ root).clamp(min=0).sqrt().sum()
    return ((x.mean(0) - y.mean(0)).square().sum() + cx.trace() + cy.trace() - 2 * cross).item()


# ---------------------------------------------------------------- samples
@torch.inference_mode()
def draw(folder, classes, steps, guidance, seed, threshold, batch=32):
    """Images in -1..1 for the class ids, by the folder's transformer and scheduler."""
    from diffusers import DiTTransformer2DModel, DPMSolverMultistepScheduler

    net = DiTTransformer2DModel.from_pretrained(
        folder, subfolder="transformer", torch_dtype=torch.float32, low_cpu_mem_usage=False).eval()
    override = {}
    if threshold != "config":
        override = dict(thresholding=threshold == "on", sample_max_value=1.0, dynamic_thresholding_ratio=0.995)
    noise = torch.randn(len(classes), 3, SIZE, SIZE, generator=torch.Generator().manual_seed(seed))
    out = []
    for x, y in zip(noise.split(batch), classes.split(batch)):
        scheduler = DPMSolverMultistepScheduler.from_pretrained(folder, subfolder="scheduler", **override)
        scheduler.set_timesteps(steps)
        both = torch.cat([y, torch.full_like(y, CLASSES)])      # row 16 of the table: no class
        for t in scheduler.timesteps:
            v = net(torch.cat([x, x]), timestep=t.expand(len(both)), class_labels=both).sample
            cond, null = v.chunk(2)
            x = scheduler.step(null + guidance * (cond - null), t, x).prev_sample
        out.append(x.clamp(-1, 1))
    return torch.cat(out)


def save_grid(x, columns, path):
    """One PNG, images row by row with a white gap of 2 pixels."""
    x = F.pad(x, (0, 2, 0, 2), value=1.0)
    rows = [torch.cat(list(row), 2) for row in x.split(columns)]
    pixels = ((torch.cat(rows, 1) + 1) * 127.5).round().byte().permute(1, 2, 0).numpy()
    Image.fromarray(pixels).save(path, optimize=True)


def score(a):
    net = Classifier()
    net.load_state_dict(load_file(a.classifier))
    net.eval()
    held, held_labels = load_renders(a.held_out)
    real = classify(net, to_tensor(held))[0]
    order = held_labels.argsort(stable=True).view(CLASSES, -1)
    first, rest = order[:, : a.per_class].flatten(), order[:, a.per_class :].flatten()

    classes = torch.arange(CLASSES).repeat_interleave(a.per_class)
    start = time.time()
    x = draw(a.model, classes, a.steps, a.cfg, a.seed, a.threshold)
    seconds = time.time() - start
    feats, predicted = classify(net, x)
    right = (predicted == classes).view(CLASSES, -1).float().mean(1)
    if a.grid:
        save_grid(x.view(CLASSES, a.per_class, *x.shape[1:])[:, : a.grid_per_class].flatten(0, 1), 16, a.grid)
    print(json.dumps(dict(
        model=a.model, threshold=a.threshold, samples=len(x), steps=a.steps, cfg=a.cfg, seed=a.seed,
        accuracy=round(right.mean().item(), 4), frechet=round(frechet(feats, real), 3),
        floor=round(frechet(real[first], real[rest]), 3), seconds=round(seconds),
        accuracy_per_class=[round(r, 3) for r in right.tolist()])), flush=True)


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("--threads", type=int, default=1)
    sub = ap.add_subparsers(required=True)

    c = sub.add_parser("classifier", help="train the classifier")
    c.add_argument("--data", required=True, help="PREFIX of the training renders")
    c.add_argument("--held-out", required=True, help="PREFIX of the held-out renders")
    c.add_argument("--out", required=True)
    c.add_argument("--epochs", type=int, default=3)
    c.add_argument("--seed", type=int, default=0)
    c.set_defaults(run=train_classifier)

    s = sub.add_parser("score", help="draw samples and measure them")
    s.add_argument("--classifier", required=True)
    s.add_argument("--held-out", required=True, help="PREFIX of the held-out renders")
    s.add_argument("--model", required=True, help="model folder in diffusers' layout")
    s.add_argument("--threshold", choices=["config", "on", "off"], default="config",
                   help="clip the predicted image at every step: as the folder says, always, never")
    s.add_argument("--per-class", type=int, default=16)
    s.add_argument("--steps", type=int, default=50)
    s.add_argument("--cfg", type=float, default=3.0)
    s.add_argument("--seed", type=int, default=0)
    s.add_argument("--grid", default="", help="PNG of the first samples of each class")
    s.add_argument("--grid-per-class", type=int, default=4)
    s.set_defaults(run=score)

    a = ap.parse_args()
    torch.set_num_threads(a.threads)
    a.run(a)


if __name__ == "__main__":
    main()
