// The second half of the SSIM map: the moments of eleven rows become those of the whole
// window, and these the similarity. One channel at a time is added to the map.
//
// The variance of a window is the mean of its rows' variances plus the variance of their
// means: nothing large is subtracted from anything large. So is the similarity itself
// written, with 2ab = a² + b² − (a − b)²: equal pictures give exactly 1.

// Columns, rows, channel (0 to 2), nothing.
@group(0) @binding(0) var<uniform> job: vec4<u32>;
// As ssim_rows.wgsl leaves them.
@group(0) @binding(1) var<storage, read> moments: array<vec4<f32>>;
// The eleven weights of the window, which add up to 1.
@group(0) @binding(2) var<storage, read> weights: array<f32>;
// Mean of the channels' similarities, once the last one is added.
@group(0) @binding(3) var<storage, read_write> map: array<f32>;

const RADIUS: i32 = 5;
// (0.01 · 255)² and (0.03 · 255)²: the constants of SSIM for bytes.
const C1: f32 = 6.5025;
const C2: f32 = 58.5225;

// A position of a side of n pixels, mirrored into it without repeating the edge.
fn mirrored(position: i32, n: i32) -> u32 {
    let distance = abs(position);
    return u32(select(distance, 2 * (n - 1) - distance, distance >= n));
}

@compute @workgroup_size(16, 16)
fn main(@builtin(global_invocation_id) at: vec3<u32>) {
    if (at.x >= job.x || at.y >= job.y) {
        return;
    }
    var rows: array<vec4<f32>, 11>;
    var mean = vec4<f32>(0.0);
    for (var tap = 0; tap < 11; tap++) {
        let row = mirrored(i32(at.y) + tap - RADIUS, i32(job.y));
        rows[tap] = moments[row * job.x + at.x];
        mean += weights[tap] * rows[tap];
    }
    let other_mean = mean.x - mean.y;
    var spread = mean.z;
    var apart = mean.w;
    for (var tap = 0; tap < 11; tap++) {
        let first = rows[tap].x - mean.x;
        let difference = rows[tap].y - mean.y;
        let second = first - difference;
        spread += weights[tap] * (first * first + second * second);
        apart += weights[tap] * difference * difference;
    }
    let light = 1.0 - mean.y * mean.y / (mean.x * mean.x + other_mean * other_mean + C1);
    let structure = 1.0 - apart / (spread + C2);
    let idx = at.y * job.x + at.x;
    let before = select(map[idx], 0.0, job.z == 0u);
    map[idx] = before + light * structure / 3.0;
}
