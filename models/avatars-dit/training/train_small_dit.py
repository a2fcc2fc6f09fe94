#!/usr/bin/env python3
"""Train a small class-conditional DiT in pixel space and save it as a diffusers folder.

The tensors carry the names and shapes of diffusers' DiTTransformer2DModel, so the result loads
there as it is. Runs on the CPU (f32, or --bf16) or on CUDA (bf16 autocast, optional --compile).

Data: PREFIX.bin (uint8 RGB, [N, size, size, 3]) and PREFIX.lab (N uint8 class ids), as
render_avatars.mjs writes them; several prefixes may be given.

--stages SIZE:SECONDS:BATCH,...   "32:2400:64,64:1200:32" trains on images area-reduced to 32x32
for 2400 s, then on 64x64 for 1200 s. The position table of a small stage samples the coordinates
of the final grid. The learning rate falls over the last 40 % of the whole time given.

OUT/            diffusers folder of the averaged (EMA) weights, f32, rewritten at every preview
OUT/f16/        the same in f16, at the end: what is shipped
OUT/log.jsonl   loss and speed every 100 steps
--resume reads either precision.
"""
import argparse
import copy
import json
import math
import os
import time

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
from PIL import Image
from safetensors.torch import load_file, save_file


# ---------------------------------------------------------------- model (diffusers' names)
def sincos_1d(dim, pos):
    """[len(pos), dim]: sines, then cosines, in f64."""
    omega = 1.0 / 10000 ** (torch.arange(dim // 2, dtype=torch.float64) / (dim / 2.0))
    out = pos.double().reshape(-1)[:, None] * omega[None]
    return torch.cat([out.sin(), out.cos()], dim=1)


def sincos_2d(dim, grid, base):
    """Same table as diffusers' get_2d_sincos_pos_embed when grid == base (width first)."""
    r = base / grid
    c = (torch.arange(grid, dtype=torch.float64) + 0.5) * r - 0.5
    w, h = torch.meshgrid(c, c, indexing="xy")
    return torch.cat([sincos_1d(dim // 2, w), sincos_1d(dim // 2, h)], dim=1).float()


def timestep_table(t, dim=256):
    """flip_sin_to_cos=True, downscale_freq_shift=1, as DiT's embedder in diffusers."""
    half = dim // 2
    f = torch.exp(-math.log(10000) * torch.arange(half, dtype=torch.float32, device=t.device) / (half - 1))
    a = t.float()[:, None] * f[None]
    return torch.cat([a.cos(), a.sin()], dim=-1)


class TimestepEmbedding(nn.Module):
    def __init__(self, d):
        super().__init__()
        self.linear_1, self.linear_2 = nn.Linear(256, d), nn.Linear(d, d)

    def forward(self, x):
        return self.linear_2(F.silu(self.linear_1(x)))


class LabelEmbedding(nn.Module):
    def __init__(self, n, d):
        super().__init__()
        self.embedding_table = nn.Embedding(n + 1, d)  # row n: the null class


class Emb(nn.Module):
    def __init__(self, n, d):
        super().__init__()
        self.timestep_embedder, self.class_embedder = TimestepEmbedding(d), LabelEmbedding(n, d)

    def forward(self, tt, y):
        return self.timestep_embedder(tt) + self.class_embedder.embedding_table(y)


class AdaNorm(nn.Module):
    def __init__(self, n, d):
        super().__init__()
        self.emb, self.linear = Emb(n, d), nn.Linear(d, 6 * d)


class AttentionBf16(torch.autograd.Function):
    """softmax(q k^T / sqrt(d)) v on [batch*heads, tokens, d], scores kept for the backward pass.

    At 256 tokens the scores are small, and with batched bf16 products forward and backward take
    about half the time of the CPU's scaled_dot_product_attention."""

    @staticmethod
    def forward(ctx, q, k, v):
        ctx.scale = q.shape[-1] ** -0.5
        q = q * ctx.scale
        p = torch.softmax(torch.bmm(q, k.transpose(1, 2)), -1)
        ctx.save_for_backward(q, k, v, p)
        return torch.bmm(p, v)

    @staticmethod
    def backward(ctx, do):
        q, k, v, p = ctx.saved_tensors
        ds = torch._softmax_backward_data(torch.bmm(do, v.transpose(1, 2)), p, -1, p.dtype)
        return torch.bmm(ds, k) * ctx.scale, torch.bmm(ds.transpose(1, 2), q), torch.bmm(p.transpose(1, 2), do)


class Attention(nn.Module):
    def __init__(self, d, heads):
        super().__init__()
        self.heads = heads
        self.to_q, self.to_k, self.to_v = nn.Linear(d, d), nn.Linear(d, d), nn.Linear(d, d)
        self.to_out = nn.ModuleList([nn.Linear(d, d)])

    def forward(self, x):
        b, n, d = x.shape
        sp = lambda z: z.view(b, n, self.heads, d // self.heads).transpose(1, 2)
        q, k, v = sp(self.to_q(x)), sp(self.to_k(x)), sp(self.to_v(x))
        if q.device.type == "cpu" and q.dtype == torch.bfloat16 and n <= 256:
            o = AttentionBf16.apply(*(z.flatten(0, 1) for z in (q, k, v))).view(q.shape)
        else:
            o = F.scaled_dot_product_attention(q, k, v)
        return self.to_out[0](o.transpose(1, 2).reshape(b, n, d))


class Proj(nn.Module):
    def __init__(self, d, m):
        super().__init__()
        self.proj = nn.Linear(d, m)

    def forward(self, x):
        return F.gelu(self.proj(x), approximate="tanh")


class FeedForward(nn.Module):
    def __init__(self, d):
        super().__init__()
        self.net = nn.ModuleList([Proj(d, 4 * d), nn.Identity(), nn.Linear(4 * d, d)])

    def forward(self, x):
        return self.net[2](self.net[0](x))


class Block(nn.Module):
    def __init__(self, n, d, heads):
        super().__init__()
        self.norm1, self.attn1, self.ff = AdaNorm(n, d), Attention(d, heads), FeedForward(d)

    def forward(self, x, tt, y):
        d = x.shape[-1]
        s1, g1, a1, s2, g2, a2 = self.norm1.linear(F.silu(self.norm1.emb(tt, y)))[:, None].chunk(6, -1)
        x = x + a1 * self.attn1(F.layer_norm(x, (d,), eps=1e-6) * (1 + g1) + s1)
        return x + a2 * self.ff(F.layer_norm(x, (d,), eps=1e-5) * (1 + g2) + s2)


class PatchEmbed(nn.Module):
    def __init__(self, ch, d, p):
        super().__init__()
        self.proj = nn.Conv2d(ch, d, p, p)


class DiT(nn.Module):
    """v (or epsilon, x0) of noisy images [B, ch, s, s] at time steps t [B] for class ids y [B]."""

    def __init__(self, size=64, patch=4, ch=3, d=128, heads=4, layers=6, classes=16):
        super().__init__()
        self.cfg = dict(size=size, patch=patch, ch=ch, d=d, heads=heads, layers=layers, classes=classes)
        self.patch, self.ch, self.d, self.base = patch, ch, d, size // patch
        self.pos_embed = PatchEmbed(ch, d, patch)
        self.transformer_blocks = nn.ModuleList([Block(classes, d, heads) for _ in range(layers)])
        self.proj_out_1, self.proj_out_2 = nn.Linear(d, 2 * d), nn.Linear(d, patch * patch * ch)
        self._pos = {}
        for m in self.modules():
            if isinstance(m, nn.Linear):
                nn.init.xavier_uniform_(m.weight)
                nn.init.zeros_(m.bias)
        nn.init.xavier_uniform_(self.pos_embed.proj.weight.view(d, -1))
        nn.init.zeros_(self.pos_embed.proj.bias)
        for b in self.transformer_blocks:
            nn.init.normal_(b.norm1.emb.class_embedder.embedding_table.weight, std=0.02)
            for l in (b.norm1.emb.timestep_embedder.linear_1, b.norm1.emb.timestep_embedder.linear_2):
                nn.init.normal_(l.weight, std=0.02)
            nn.init.zeros_(b.norm1.linear.weight)          # adaLN-zero
        for l in (self.proj_out_1, self.proj_out_2):
            nn.init.zeros_(l.weight)

    def forward(self, x, t, y):
        b, _, hh, _ = x.shape
        g = hh // self.patch
        key = (g, x.device)
        if key not in self._pos:
            self._pos[key] = sincos_2d(self.d, g, self.base).to(x.device)
        tt = timestep_table(t)
        h = self.pos_embed.proj(x).flatten(2).transpose(1, 2) + self._pos[key]
        for blk in self.transformer_blocks:
            h = blk(h, tt, y)
        sh, sc = self.proj_out_1(F.silu(self.transformer_blocks[0].norm1.emb(tt, y)))[:, None].chunk(2, -1)
        h = self.proj_out_2(F.layer_norm(h, (self.d,), eps=1e-6) * (1 + sc) + sh)
        p = self.patch
        return h.view(b, g, g, p, p, self.ch).permute(0, 5, 1, 3, 2, 4).reshape(b, self.ch, g * p, g * p)


def train_flops(cfg, size):
    """Matrix work of one training sample, forward and backward, in FLOP (MLP ratio 4)."""
    n, d = (size // cfg["patch"]) ** 2, cfg["d"]
    return 3 * cfg["layers"] * n * (24 * d * d + 4 * n * d)


# ---------------------------------------------------------------- diffusion
class Schedule:
    """Linear betas; xt = a x0 + s e with a^2 = alphas_cumprod and s^2 = 1 - a^2."""

    def __init__(self, pred="v_prediction", T=1000, b0=1e-4, b1=0.02, device="cpu"):
        self.pred, self.T = pred, T
        self.ac = torch.cumprod(1 - torch.linspace(b0, b1, T, dtype=torch.float64), 0).float().to(device)

    def coef(self, t):
        a = self.ac[t]
        return a.sqrt()[:, None, None, None], (1 - a).sqrt()[:, None, None, None]

    def target(self, x0, e, a, s):
        return {"epsilon": e, "sample": x0, "v_prediction": a * e - s * x0}[self.pred]

    def x0(self, xt, out, a, s):
        if self.pred == "sample":
            return out
        return (xt - s * out) / a if self.pred == "epsilon" else a * xt - s * out


@torch.no_grad()
def sample(model, sch, y, size, steps=50, cfg=3.0, seed=0, ac_dtype=None):
    """DPM-Solver++(2M), classifier-free guidance on the model output, x0 clipped at every step."""
    dev = sch.ac.device
    g = torch.Generator().manual_seed(seed)
    x = torch.randn(len(y), model.ch, size, size, generator=g).to(dev)
    y = y.to(dev)
    null = torch.full_like(y, model.cfg["classes"])
    ts = torch.linspace(0, sch.T - 1, steps + 1).round().flip(0)[:-1].long()
    lam = lambda a: 0.5 * (a.log() - (1 - a).log())
    prev_x0 = prev_h = None
    for i, t in enumerate(ts):
        tb = torch.full((len(y),), int(t), device=dev)
        a, s = sch.coef(tb)
        with torch.autocast(dev.type, dtype=ac_dtype, enabled=ac_dtype is not None):
            o = model(torch.cat([x, x]), torch.cat([tb, tb]), torch.cat([y, null])).float()
        cond, uncond = o.chunk(2)
        o = uncond + cfg * (cond - uncond)
        x0 = sch.x0(x, o, a, s).clamp(-1, 1)
        if i + 1 == len(ts):
            return x0
        ac, an = sch.ac[int(t)], sch.ac[int(ts[i + 1])]
        h = lam(an) - lam(ac)
        d = x0 if prev_x0 is None else x0 + 0.5 * (h / prev_h) * (x0 - prev_x0)
        x = ((1 - an) / (1 - ac)).sqrt() * x - an.sqrt() * torch.expm1(-h) * d
        prev_x0, prev_h = x0, h


def grid_png(x, cols, path, scale=1):
    """Images [N, 3, s, s] in -1..1, row by row with white gaps of 2 pixels."""
    x = ((x.cpu() + 1) * 127.5).round().byte().permute(0, 2, 3, 1).numpy()
    n, s = len(x), x.shape[1]
    canvas = np.full(((n + cols - 1) // cols * (s + 2), cols * (s + 2), 3), 255, np.uint8)
    for i in range(n):
        r, c = divmod(i, cols)
        canvas[r * (s + 2):r * (s + 2) + s, c * (s + 2):c * (s + 2) + s] = x[i]
    im = Image.fromarray(canvas)
    im.resize((im.width * scale, im.height * scale), Image.NEAREST).save(path)


# ---------------------------------------------------------------- saving
def save_diffusers(model, sch, out, half=False, labels=None):
    c = model.cfg
    os.makedirs(f"{out}/transformer", exist_ok=True)
    os.makedirs(f"{out}/scheduler", exist_ok=True)
    sd = {k: (v.half() if half else v.float()).contiguous().cpu() for k, v in model.state_dict().items()}
    save_file(sd, f"{out}/transformer/diffusion_pytorch_model.safetensors", metadata={"format": "pt"})
    json.dump(dict(_class_name="DiTTransformer2DModel", num_attention_heads=c["heads"],
                   attention_head_dim=c["d"] // c["heads"], in_channels=c["ch"], out_channels=c["ch"],
                   num_layers=c["layers"], sample_size=c["size"], patch_size=c["patch"],
                   num_embeds_ada_norm=c["classes"], norm_type="ada_norm_zero", attention_bias=True,
                   activation_fn="gelu-approximate", norm_elementwise_affine=False, norm_eps=1e-5),
              open(f"{out}/transformer/config.json", "w"), indent=2)
    json.dump(dict(_class_name="DPMSolverMultistepScheduler", num_train_timesteps=sch.T, beta_start=1e-4,
                   beta_end=0.02, beta_schedule="linear", prediction_type=sch.pred, solver_order=2,
                   algorithm_type="dpmsolver++", solver_type="midpoint", timestep_spacing="linspace"),
              open(f"{out}/scheduler/scheduler_config.json", "w"), indent=2)
    json.dump(dict(_class_name="DiTPipeline", id2label={str(i): l for i, l in enumerate(labels or [])},
                   transformer=["diffusers", "DiTTransformer2DModel"], vae=[None, None],
                   scheduler=["diffusers", "DPMSolverMultistepScheduler"]),
              open(f"{out}/model_index.json", "w"), indent=2)


# ---------------------------------------------------------------- training
def optimizers(model, lr, muon):
    """Muon for the matrices of attention and MLP (torch >= 2.9), AdamW for the rest."""
    mats, rest = [], []
    for n, p in model.named_parameters():
        hidden = p.ndim == 2 and "transformer_blocks" in n and ("attn1" in n or "ff" in n)
        (mats if hidden and muon and hasattr(torch.optim, "Muon") else rest).append(p)
    opts = [torch.optim.AdamW(rest, lr=lr, betas=(0.9, 0.99), weight_decay=0.0)]
    if mats:
        opts.append(torch.optim.Muon(mats, lr=lr, momentum=0.95, weight_decay=0.01,
                                     adjust_lr_fn="match_rms_adamw"))
    return opts


def set_rate(opts, peak, step, frac):
    """100 steps of warm-up, constant, then linear to 5 % over the last 40 % of the time."""
    rate = peak * min(1, (step + 1) / 100) * (1.0 if frac < 0.6 else max(0.05, (1 - frac) / 0.4))
    for group in (g for o in opts for g in o.param_groups):
        group["lr"] = rate
    return rate


class Images:
    """All training images in memory; draws random batches at a stage's size."""

    def __init__(self, prefixes, size, device, generator):
        shape = (-1, size, size, 3)
        x = np.concatenate([np.fromfile(p + ".bin", np.uint8).reshape(shape) for p in prefixes])
        y = np.concatenate([np.fromfile(p + ".lab", np.uint8) for p in prefixes])
        self.x, self.y = torch.from_numpy(x).to(device), torch.from_numpy(y).long().to(device)
        self.size, self.generator = size, generator

    def __len__(self):
        return len(self.x)

    def batch(self, n, size, null_class, drop):
        """f32 images [n, 3, size, size] in -1..1 and class ids, a share `drop` of them null."""
        idx = torch.randint(0, len(self.x), (n,), generator=self.generator).to(self.x.device)
        x = self.x[idx].permute(0, 3, 1, 2).float() / 127.5 - 1
        if size != self.size:
            x = F.avg_pool2d(x, self.size // size)
        dropped = torch.rand(n, generator=self.generator).to(self.x.device) < drop
        return x, torch.where(dropped, null_class, self.y[idx])


def loss_of(forward, sch, x0, y, generator, autocast):
    """Mean squared error of the prediction at stratified random time steps."""
    n, dev = len(x0), x0.device
    u = (torch.arange(n) + torch.rand(n, generator=generator)) / n
    t = (u * sch.T).long().clamp(max=sch.T - 1).to(dev)
    e = torch.randn(x0.shape, generator=generator).to(dev) if dev.type == "cpu" else torch.randn_like(x0)
    al, s = sch.coef(t)
    with autocast():
        out = forward(al * x0 + s * e, t, y)
    err = (out.float() - sch.target(x0, e, al, s)).square()
    if sch.pred == "sample":                   # the v loss written for x0, its weight capped
        err = err * (1 / s.square()).clamp(max=20.0)
    return err.mean()


@torch.no_grad()
def update_average(ema, model, decay):
    torch._foreach_lerp_(list(ema.parameters()), list(model.parameters()), 1 - decay)


def parse_args():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("--data", required=True, help="comma-separated PREFIXes of .bin/.lab files")
    ap.add_argument("--out", required=True)
    ap.add_argument("--size", type=int, default=64, help="final image size, also that of the data")
    ap.add_argument("--patch", type=int, default=4)
    ap.add_argument("--width", type=int, default=128)
    ap.add_argument("--depth", type=int, default=6)
    ap.add_argument("--heads", type=int, default=4)
    ap.add_argument("--classes", type=int, default=16)
    ap.add_argument("--labels", default="", help="comma-separated names for model_index.json")
    ap.add_argument("--stages", default="32:1200:64,64:600:32")
    ap.add_argument("--lr", type=float, default=2e-3)
    ap.add_argument("--no-muon", action="store_true")
    ap.add_argument("--pred", default="v_prediction", choices=["v_prediction", "epsilon", "sample"])
    ap.add_argument("--ema", type=float, default=0.999)
    ap.add_argument("--drop", type=float, default=0.1, help="share of labels replaced by the null class")
    ap.add_argument("--cfg", type=float, default=3.0, help="guidance scale of the previews")
    ap.add_argument("--seed", type=int, default=0)
    ap.add_argument("--threads", type=int, default=2)
    ap.add_argument("--bf16", action="store_true", help="bf16 autocast on the CPU too (CUDA always uses it)")
    ap.add_argument("--compile", action="store_true")
    ap.add_argument("--preview", type=int, default=600, help="seconds between previews")
    ap.add_argument("--resume", default="", help="a diffusion_pytorch_model.safetensors to go on from")
    ap.add_argument("--grid", type=int, default=4, help="images per class in the grid after each stage")
    return ap.parse_args()


def main():
    a = parse_args()
    torch.manual_seed(a.seed)
    torch.set_num_threads(a.threads)
    dev = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    cuda = dev.type == "cuda"
    if cuda:
        torch.set_float32_matmul_precision("high")
    autocast = lambda: torch.autocast(dev.type, dtype=torch.bfloat16, enabled=cuda or a.bf16)
    preview_dtype = torch.bfloat16 if cuda else None
    os.makedirs(a.out, exist_ok=True)

    gen = torch.Generator().manual_seed(a.seed)
    images = Images(a.data.split(","), a.size, dev, gen)
    labels = a.labels.split(",") if a.labels else [str(i) for i in range(a.classes)]
    model = DiT(a.size, a.patch, 3, a.width, a.heads, a.depth, a.classes).to(dev)
    if a.resume:
        model.load_state_dict(load_file(a.resume))
    ema = copy.deepcopy(model).eval().requires_grad_(False)
    sch = Schedule(a.pred, device=dev)
    opts = optimizers(model, a.lr, not a.no_muon)
    forward = torch.compile(model) if a.compile else model
    n_params = sum(p.numel() for p in model.parameters()) / 1e6
    print(f"images {len(images)} params {n_params:.2f}M device {dev}", flush=True)

    stages = [tuple(map(int, s.split(":"))) for s in a.stages.split(",")]
    total, start, step, seen = sum(s[1] for s in stages), time.time(), 0, 0
    log = open(f"{a.out}/log.jsonl", "a")
    for si, (size, secs, batch) in enumerate(stages):
        stage_start, stage_seen, last_preview, acc, accn = time.time(), seen, time.time(), 0.0, 0
        while time.time() - stage_start < secs:
            rate = set_rate(opts, a.lr, step, min(1.0, (time.time() - start) / total))
            x0, y = images.batch(batch, size, a.classes, a.drop)
            loss = loss_of(forward, sch, x0, y, gen, autocast)
            for o in opts:
                o.zero_grad(set_to_none=True)
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            for o in opts:
                o.step()
            update_average(ema, model, min(a.ema, (1 + step) / (10 + step)))
            step, seen, acc, accn = step + 1, seen + batch, acc + loss.detach(), accn + 1
            if step % 100 == 0:
                sps = (seen - stage_seen) / (time.time() - stage_start)
                row = dict(stage=si, size=size, step=step, seen=seen, sec=round(time.time() - start),
                           lr=round(rate, 6), loss=round(float(acc) / accn, 5), sps=round(sps, 2),
                           gflops=round(sps * train_flops(model.cfg, size) / 1e9, 1))
                acc, accn = 0.0, 0
                print(json.dumps(row), flush=True)
                log.write(json.dumps(row) + "\n")
                log.flush()
            if time.time() - last_preview > a.preview:
                last_preview = time.time()
                x = sample(ema, sch, torch.arange(min(16, a.classes)), size, 20, a.cfg, ac_dtype=preview_dtype)
                grid_png(x, 8, f"{a.out}/preview_{step}.png", 2)
                save_diffusers(ema, sch, a.out, labels=labels)
        save_diffusers(ema, sch, a.out, labels=labels)
        y = torch.arange(a.classes).repeat_interleave(a.grid)
        x = sample(ema, sch, y, size, 50, a.cfg, seed=1, ac_dtype=preview_dtype)
        grid_png(x, 16, f"{a.out}/grid_stage{si}_{size}.png")
        print(f"stage {si} done: {seen - stage_seen} samples", flush=True)
    save_diffusers(ema, sch, f"{a.out}/f16", half=True, labels=labels)


if __name__ == "__main__":
    main()
