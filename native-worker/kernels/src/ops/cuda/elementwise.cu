// The layers between matrix products, one pass over memory each, computed in f32 whatever
// the stored type.
//
// A block handles a row; a thread handles packs of K neighbouring values, K = 4 where rows
// and addresses allow it and else 1. Names end in the type and K: gelu_tanh_bf16_4.

#include <cuda_bf16.h>
#include <cuda_fp16.h>

template <typename T, int K> struct alignas(K * sizeof(T)) Pack {
  T values[K];
};

__device__ inline float wide(float x) { return x; }
__device__ inline float wide(__half x) { return __half2float(x); }
__device__ inline float wide(__nv_bfloat16 x) { return __bfloat162float(x); }

__device__ inline void narrow(float x, float &to) { to = x; }
__device__ inline void narrow(float x, __half &to) { to = __float2half_rn(x); }
__device__ inline void narrow(float x, __nv_bfloat16 &to) { to = __float2bfloat16_rn(x); }

template <typename T, int K> __device__ inline Pack<T, K> load(const T *from) {
  return *reinterpret_cast<const Pack<T, K> *>(from);
}

template <typename T, int K> __device__ inline void store(T *to, const Pack<T, K> &pack) {
  *reinterpret_cast<Pack<T, K> *>(to) = pack;
}

// Sum over the block, for every thread. All threads must call it.
__device__ inline float block_sum(float x) {
  __shared__ float of_warps[32];
  for (int step = 16; step > 0; step /= 2) x += __shfl_xor_sync(0xffffffffu, x, step);
  // The last call's result may still be read.
  __syncthreads();
  if (threadIdx.x % 32 == 0) of_warps[threadIdx.x / 32] = x;
  __syncthreads();
  float sum = 0.0f;
  for (int warp = 0; warp < (blockDim.x + 31) / 32; ++warp) sum += of_warps[warp];
  return sum;
}

// 0.5 x (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3)))
template <typename T, int K>
__device__ void gelu_tanh(const T *x, T *out, unsigned width) {
  const size_t row = size_t(blockIdx.x) * width;
  for (unsigned i = threadIdx.x * K; i < width; i += blockDim.x * K) {
    Pack<T, K> pack = load<T, K>(x + row + i);
    for (int k = 0; k < K; ++k) {
      const float v = wide(pack.values[k]);
      const float inner = 0.7978845608028654f * (v + 0.044715f * v * v * v);
      narrow(0.5f * v * (1.0f + tanhf(inner)), pack.values[k]);
    }
    store(out + row + i, pack);
  }
}

// x += bias, the same for every row; in place.
template <typename T, int K>
__device__ void add_bias(T *x, const T *bias, unsigned width) {
  const size_t row = size_t(blockIdx.x) * width;
  for (unsigned i = threadIdx.x * K; i < width; i += blockDim.x * K) {
    Pack<T, K> pack = load<T, K>(x + row + i);
    const Pack<T, K> added = load<T, K>(bias + i);
    for (int k = 0; k < K; ++k)
      narrow(wide(pack.values[k]) + wide(added.values[k]), pack.values[k]);
    store(x + row + i, pack);
  }
}

// Layer norm without affine, then x (1 + scale) + shift; shift and scale are per image.
// Dynamic shared memory: width floats.
template <typename T, int K>
__device__ void layer_norm_modulate(const T *x, const T *shift, const T *scale, T *out,
                                    unsigned width, unsigned n_tokens, float eps) {
  extern __shared__ float values[];
  const size_t row = size_t(blockIdx.x) * width;
  const size_t image = size_t(blockIdx.x / n_tokens) * width;
  float sum = 0.0f;
  for (unsigned i = threadIdx.x * K; i < width; i += blockDim.x * K) {
    const Pack<T, K> pack = load<T, K>(x + row + i);
    for (int k = 0; k < K; ++k) {
      values[i + k] = wide(pack.values[k]);
      sum += values[i + k];
    }
  }
  const float mean = block_sum(sum) / float(width);
  // Every thread reads back only what it wrote itself.
  float squares = 0.0f;
  for (unsigned i = threadIdx.x * K; i < width; i += blockDim.x * K)
    for (int k = 0; k < K; ++k) {
      const float away = values[i + k] - mean;
      squares += away * away;
    }
  const float inverse = rsqrtf(block_sum(squares) / float(width) + eps);
  for (unsigned i = threadIdx.x * K; i < width; i += blockDim.x * K) {
    const Pack<T, K> factor = load<T, K>(scale + image + i);
    const Pack<T, K> added = load<T, K>(shift + image + i);
    Pack<T, K> pack;
    for (int k = 0; k < K; ++k) {
      const float normed = (values[i + k] - mean) * inverse;
      narrow(normed * (1.0f + wide(factor.values[k])) + wide(added.values[k]), pack.values[k]);
    }
    store(out + row + i, pack);
  }
}

// skip + gate * y, the gate per image.
template <typename T, int K>
__device__ void gated_skip(const T *skip, const T *gate, const T *y, T *out, unsigned width,
                           unsigned n_tokens) {
  const size_t row = size_t(blockIdx.x) * width;
  const size_t image = size_t(blockIdx.x / n_tokens) * width;
  for (unsigned i = threadIdx.x * K; i < width; i += blockDim.x * K) {
    Pack<T, K> pack = load<T, K>(skip + row + i);
    const Pack<T, K> gated = load<T, K>(y + row + i);
    const Pack<T, K> factor = load<T, K>(gate + image + i);
    for (int k = 0; k < K; ++k) {
      const float product = wide(factor.values[k]) * wide(gated.values[k]);
      narrow(wide(pack.values[k]) + product, pack.values[k]);
    }
    store(out + row + i, pack);
  }
}

// x / sqrt(mean(x^2) + eps) * weight; a row is a head.
template <typename T, int K>
__device__ void rms_norm(const T *x, const T *weight, T *out, unsigned width, float eps) {
  const size_t row = size_t(blockIdx.x) * width;
  float squares = 0.0f;
  for (unsigned i = threadIdx.x * K; i < width; i += blockDim.x * K) {
    const Pack<T, K> pack = load<T, K>(x + row + i);
    for (int k = 0; k < K; ++k) squares += wide(pack.values[k]) * wide(pack.values[k]);
  }
  const float inverse = rsqrtf(block_sum(squares) / float(width) + eps);
  for (unsigned i = threadIdx.x * K; i < width; i += blockDim.x * K) {
    Pack<T, K> pack = load<T, K>(x + row + i);
    const Pack<T, K> factor = load<T, K>(weight + i);
    for (int k = 0; k < K; ++k)
      narrow(wide(pack.values[k]) * inverse * wide(factor.values[k]), pack.values[k]);
    store(out + row + i, pack);
  }
}

// Neighbours (a, b) become (a cos - b sin, b cos + a sin). A row is a token; the angles,
// (n_tokens, n_pairs), are those of its position and of the pair's place in its head.
template <typename T>
__device__ void rotate(const T *x, const float *cosines, const float *sines, T *out,
                       unsigned width, unsigned n_tokens, unsigned n_pairs) {
  const size_t row = size_t(blockIdx.x) * width;
  const size_t angles = size_t(blockIdx.x % n_tokens) * n_pairs;
  for (unsigned pair = threadIdx.x; pair < width / 2; pair += blockDim.x) {
    const size_t i = row + 2 * pair;
    const float a = wide(x[i]), b = wide(x[i + 1]);
    const float cosine = cosines[angles + pair % n_pairs];
    const float sine = sines[angles + pair % n_pairs];
    narrow(a * cosine - b * sine, out[i]);
    narrow(b * cosine + a * sine, out[i + 1]);
  }
}

#define WITH_PACKS(T, NAME, K)                                                                \
  extern "C" __global__ void gelu_tanh_##NAME##_##K(const T *x, T *out, unsigned width) {     \
    gelu_tanh<T, K>(x, out, width);                                                           \
  }                                                                                           \
  extern "C" __global__ void add_bias_##NAME##_##K(T *x, const T *bias, unsigned width) {     \
    add_bias<T, K>(x, bias, width);                                                           \
  }                                                                                           \
  extern "C" __global__ void layer_norm_modulate_##NAME##_##K(                                \
      const T *x, const T *shift, const T *scale, T *out, unsigned width, unsigned n_tokens,  \
      float eps) {                                                                            \
    layer_norm_modulate<T, K>(x, shift, scale, out, width, n_tokens, eps);                    \
  }                                                                                           \
  extern "C" __global__ void gated_skip_##NAME##_##K(const T *skip, const T *gate,            \
                                                     const T *y, T *out, unsigned width,      \
                                                     unsigned n_tokens) {                     \
    gated_skip<T, K>(skip, gate, y, out, width, n_tokens);                                    \
  }                                                                                           \
  extern "C" __global__ void rms_norm_##NAME##_##K(const T *x, const T *weight, T *out,       \
                                                   unsigned width, float eps) {               \
    rms_norm<T, K>(x, weight, out, width, eps);                                               \
  }

#define OF_TYPE(T, NAME)                                                                      \
  WITH_PACKS(T, NAME, 1)                                                                      \
  WITH_PACKS(T, NAME, 4)                                                                      \
  extern "C" __global__ void rotate_##NAME##_1(const T *x, const float *cosines,              \
                                               const float *sines, T *out, unsigned width,    \
                                               unsigned n_tokens, unsigned n_pairs) {         \
    rotate<T>(x, cosines, sines, out, width, n_tokens, n_pairs);                              \
  }

OF_TYPE(float, f32)
OF_TYPE(__half, f16)
OF_TYPE(__nv_bfloat16, bf16)
