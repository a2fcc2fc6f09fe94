// The absolute difference of two pictures at each pixel: that of the channel where it is
// largest, in [0, 1]. What dfa_core::metric::difference_map computes.

// Columns, rows, channel (not used here), nothing.
@group(0) @binding(0) var<uniform> job: vec4<u32>;
// Four bytes for each pixel: red, green, blue, alpha, red lowest.
@group(0) @binding(1) var<storage, read> raw: array<u32>;
@group(0) @binding(2) var<storage, read> compressed: array<u32>;
@group(0) @binding(3) var<storage, read_write> map: array<f32>;

// In whole numbers, which are exact on every device.
fn rgb(pixel: u32) -> vec3<i32> {
    return vec3<i32>(vec3<u32>(pixel & 255u, (pixel >> 8u) & 255u, (pixel >> 16u) & 255u));
}

@compute @workgroup_size(16, 16)
fn main(@builtin(global_invocation_id) at: vec3<u32>) {
    if (at.x >= job.x || at.y >= job.y) {
        return;
    }
    let idx = at.y * job.x + at.x;
    let apart = abs(rgb(raw[idx]) - rgb(compressed[idx]));
    map[idx] = f32(max(apart.r, max(apart.g, apart.b))) / 255.0;
}
