// What a pane shows: a part of the pair, nearer or farther, as bytes of colour. Maps get
// their colours here.
//
// Nearer than one to one, a pixel stays a square; farther, what falls onto a screen
// pixel is averaged.

struct Frame {
    // Screen pixels of the pane.
    pane: vec2<u32>,
    // Columns and rows of the pictures.
    picture: vec2<u32>,
    // What stands at the pane's top left, in picture pixels.
    corner: vec2<f32>,
    // Picture pixels of one screen pixel.
    step: f32,
    // How many times a difference is enlarged.
    gain: f32,
    // 0 raw, 1 compressed, 2 wipe, 3 difference, 4 SSIM.
    content: u32,
    // The first screen column that shows the compressed picture.
    wipe: u32,
    // The frame's width in memory.
    stride: u32,
    nothing: u32,
}

@group(0) @binding(0) var<uniform> frame: Frame;
// Four bytes for each pixel: red, green, blue, alpha, red lowest.
@group(0) @binding(1) var<storage, read> raw: array<u32>;
@group(0) @binding(2) var<storage, read> compressed: array<u32>;
@group(0) @binding(3) var<storage, read> difference: array<f32>;
@group(0) @binding(4) var<storage, read> ssim: array<f32>;
// 256 colours, as pixels.
@group(0) @binding(5) var<storage, read> palette: array<u32>;
@group(0) @binding(6) var<storage, read_write> screen: array<u32>;

// Most picture pixels, on each axis, that are averaged into one of the screen.
const MAX_TAPS: f32 = 8.0;

// The height of a map at a pixel, in [0, 1].
fn height(idx: u32) -> f32 {
    if (frame.content == 3u) {
        return difference[idx] * frame.gain;
    }
    return 1.0 - ssim[idx];
}

// What one picture pixel adds: a colour, or a height in its first component.
fn taken(idx: u32, column: u32) -> vec4<f32> {
    if (frame.content >= 3u) {
        return vec4<f32>(height(idx), 0.0, 0.0, 0.0);
    }
    if (frame.content == 1u || (frame.content == 2u && column >= frame.wipe)) {
        return unpack4x8unorm(compressed[idx]);
    }
    return unpack4x8unorm(raw[idx]);
}

@compute @workgroup_size(16, 16)
fn main(@builtin(global_invocation_id) at: vec3<u32>) {
    if (at.x >= frame.pane.x || at.y >= frame.pane.y) {
        return;
    }
    let target_idx = at.y * frame.stride + at.x;
    let middle = frame.corner + (vec2<f32>(at.xy) + 0.5) * frame.step;
    if (any(middle < vec2<f32>(0.0)) || any(middle >= vec2<f32>(frame.picture))) {
        screen[target_idx] = 0u;
        return;
    }
    let last = vec2<i32>(frame.picture) - 1;
    let n_taps = clamp(ceil(frame.step), 1.0, MAX_TAPS);
    var sum = vec4<f32>(0.0);
    for (var down = 0.0; down < n_taps; down += 1.0) {
        for (var across = 0.0; across < n_taps; across += 1.0) {
            // Evenly over the square of the screen pixel; with one tap, its middle.
            let share = (vec2<f32>(across, down) + 0.5) / n_taps - 0.5;
            let place = vec2<i32>(floor(middle + share * frame.step));
            let pixel = vec2<u32>(clamp(place, vec2<i32>(0), last));
            sum += taken(pixel.y * frame.picture.x + pixel.x, at.x);
        }
    }
    let mean = sum / (n_taps * n_taps);
    if (frame.content >= 3u) {
        screen[target_idx] = palette[u32(clamp(mean.x, 0.0, 1.0) * 255.0 + 0.5)];
    } else {
        screen[target_idx] = pack4x8unorm(mean);
    }
}
