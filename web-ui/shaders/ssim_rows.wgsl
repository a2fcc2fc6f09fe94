// The first half of the SSIM map: what eleven pixels of a row are together, for one
// channel, under the Gaussian window. Beyond its ends a row is mirrored.
//
// Squares are summed around the mean, never around zero: in f32 the usual difference of
// two large sums would lose what smooth pictures differ by.

// Columns, rows, channel (0 to 2), nothing.
@group(0) @binding(0) var<uniform> job: vec4<u32>;
// Four bytes for each pixel: red, green, blue, alpha, red lowest.
@group(0) @binding(1) var<storage, read> raw: array<u32>;
@group(0) @binding(2) var<storage, read> compressed: array<u32>;
// The eleven weights of the window, which add up to 1.
@group(0) @binding(3) var<storage, read> weights: array<f32>;
// At each pixel: mean of raw, mean of raw − compressed, variance of raw plus that of
// compressed, variance of raw − compressed; in units of bytes.
@group(0) @binding(4) var<storage, read_write> moments: array<vec4<f32>>;

const RADIUS: i32 = 5;

// A position of a side of n pixels, mirrored into it without repeating the edge.
fn mirrored(position: i32, n: i32) -> u32 {
    let distance = abs(position);
    return u32(select(distance, 2 * (n - 1) - distance, distance >= n));
}

// The channel's byte: a whole number, exact in f32.
fn value(pixel: u32) -> f32 {
    return f32((pixel >> (8u * job.z)) & 255u);
}

@compute @workgroup_size(16, 16)
fn main(@builtin(global_invocation_id) at: vec3<u32>) {
    if (at.x >= job.x || at.y >= job.y) {
        return;
    }
    var pairs: array<vec2<f32>, 11>;
    var mean = vec2<f32>(0.0);
    for (var tap = 0; tap < 11; tap++) {
        let column = mirrored(i32(at.x) + tap - RADIUS, i32(job.x));
        let idx = at.y * job.x + column;
        pairs[tap] = vec2<f32>(value(raw[idx]), value(compressed[idx]));
        mean += weights[tap] * vec2<f32>(pairs[tap].x, pairs[tap].x - pairs[tap].y);
    }
    let means = vec2<f32>(mean.x, mean.x - mean.y);
    var spread = 0.0;
    var apart = 0.0;
    for (var tap = 0; tap < 11; tap++) {
        let around = pairs[tap] - means;
        let difference = pairs[tap].x - pairs[tap].y - mean.y;
        spread += weights[tap] * dot(around, around);
        apart += weights[tap] * difference * difference;
    }
    moments[at.y * job.x + at.x] = vec4<f32>(mean, spread, apart);
}
