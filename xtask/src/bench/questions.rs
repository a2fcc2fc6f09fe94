//! What both sides are asked, and which ratio is good enough.

/// A request to both, what it is, and the largest ratio that is good enough.
pub(super) struct Question {
    pub(super) what: &'static str,
    pub(super) request: String,
    pub(super) target: f64,
}

/// What, request and target. Short kernels run several times in a row, as a model runs
/// them: after a pause, caches and new memory would be measured instead.
const KERNELS: [(&str, &str, f64); 11] = [
    (
        "linear 2048 × 1152 → 1152",
        "linear 2048 1152 1152 f32 x5",
        1.15,
    ),
    (
        "linear 2048 × 1152 → 4608",
        "linear 2048 1152 4608 f32 x2",
        1.15,
    ),
    (
        "linear 2048 × 4608 → 1152",
        "linear 2048 4608 1152 f32 x2",
        1.15,
    ),
    (
        "linear 2048 × 1152 → 4608, weight in f16 (PyTorch: f32)",
        "linear 2048 1152 4608 f16 x2",
        1.15,
    ),
    (
        "full attention, 16 heads × 72, N = 1024",
        "attention full 1024 16 72 x5",
        0.75,
    ),
    (
        "full attention, N = 4096",
        "attention full 4096 16 72",
        0.75,
    ),
    (
        "full attention, N = 8192",
        "attention full 8192 16 72",
        0.75,
    ),
    (
        "layer norm + modulate, 2048 × 1152",
        "layer_norm_modulate 2048 1152 x50",
        1.0,
    ),
    ("GELU (tanh), 2048 × 4608", "gelu 2048 4608 x20", 1.0),
    ("softmax, 16384 × 1024", "softmax 16384 1024 x10", 1.0),
    ("gate + skip, 2048 × 1152", "gate_skip 2048 1152 x50", 1.0),
];

pub(super) fn kernel_questions() -> Vec<Question> {
    let questions = KERNELS.iter().map(|&(what, request, target)| Question {
        what,
        request: request.to_owned(),
        target,
    });
    questions.collect()
}

/// `dit`: a folder of the size of DiT-XL/2-512; `shipped`: the model of this repository.
pub(super) fn model_questions(dit: &str, shipped: &str) -> [Question; 4] {
    [
        (
            "one DiT-XL/2 block, 1024 tokens, batch 2",
            format!("block {dit} 2"),
            1.0,
        ),
        (
            "one raw step of the shipped model, batch 16",
            format!("forward {shipped} 16"),
            0.9,
        ),
        (
            "one raw step of DiT-XL/2-512, batch 2",
            format!("forward {dit} 2"),
            1.0,
        ),
        ("VAE, 512 × 512 pixels", format!("vae {dit}/vae 64 64"), 1.2),
    ]
    .map(|(what, request, target)| Question {
        what,
        request,
        target,
    })
}
