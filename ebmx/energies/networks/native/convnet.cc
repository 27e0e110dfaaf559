// Energies of a batch of images by a ConvNet with SiLU, and their gradients by the images: one
// custom call of XLA. `_kernel.py` builds this file, `_energy.py` calls it.
//
// A vector holds the same number of LN examples, so that a convolution is a matrix product without
// copies of patches. Layers stand in buffers (example group, y, x, channel, lane), padded by zeros.
// A chunk of `lanes` examples goes forward and backward while it is in the cache; threads of XLA's
// pool share the chunks. All memory is in the last result, whose size `convnet_scratch` says.
#include "xla/ffi/api/c_api.h"

#ifdef __AVX512F__
#define LN 16
#elif defined(__AVX2__)
#define LN 8
#else
#define LN 4
#endif
#define INLINE static inline __attribute__((always_inline))
#define EXPORT extern "C" __attribute__((visibility("default")))
typedef float V __attribute__((vector_size(4 * LN)));
typedef int32_t I __attribute__((vector_size(4 * LN)));

INLINE V all(float a) { return V{} + a; }
INLINE V load(const float* p) { return *(const V*)p; }
INLINE void store(float* p, V v) { *(V*)p = v; }

// Cephes' expf: exp(r) by a polynomial on [-log(2)/2, log(2)/2], times a power of two
INLINE V exponential(V x) {
  x = x < -87.f ? all(-87.f) : x;
  x = x > 88.f ? all(88.f) : x;
  V n = (x * 1.44269504f + 12582912.f) - 12582912.f;  // rounds
  V r = x - n * 0.693359375f;
  r = r + n * 2.12194440e-4f;
  V p = all(1.9875691500e-4f);
  p = p * r + 1.3981999507e-3f;
  p = p * r + 8.3334519073e-3f;
  p = p * r + 4.1665795894e-2f;
  p = p * r + 1.6666665459e-1f;
  p = p * r + 5.0000001201e-1f;
  p = p * r * r + (r + 1.f);
  I bits = (__builtin_convertvector(n, I) + 127) << 23;
  V power;
  __builtin_memcpy(&power, &bits, sizeof power);
  return p * power;
}

struct Tap { long in; const float* w; };  // where an input pixel is, its weights (in, out)

// One product: for `W` outputs along a row and `C` channels, the sum over taps and `K` inputs.
struct Product {
  const float* in; long in_step;      // from one output's input to the next one's
  const Tap* taps; int num_taps, K, w_step;
  float* out; long out_step;
  float* slope; long slope_step;      // derivatives of SiLU: written forward, read backward
  const float* bias;
};
enum Mode { SILU, TIMES_SLOPE, PLAIN };

template <int CB, int PX, int MODE>
static void block(const Product& a, int x, int c0) {
  V sum[CB][PX];
  for (int c = 0; c < CB; c++)
    for (int p = 0; p < PX; p++) sum[c][p] = a.bias ? all(a.bias[c0 + c]) : all(0.f);
  const int num_taps = a.num_taps, K = a.K, w_step = a.w_step;
  const long step = a.in_step;
  for (int t = 0; t < num_taps; t++) {
    const float* in = a.in + x * step + a.taps[t].in;
    const float* w = a.taps[t].w + c0;
    for (int k = 0; k < K; k++, in += LN, w += w_step) {
#pragma GCC unroll 16
      for (int p = 0; p < PX; p++) {
        V v = load(in + p * step);
#pragma GCC unroll 16
        for (int c = 0; c < CB; c++) sum[c][p] += all(w[c]) * v;
      }
    }
  }
  for (int c = 0; c < CB; c++)
    for (int p = 0; p < PX; p++) {
      float* out = a.out + (x + p) * a.out_step + (c0 + c) * LN;
      float* slope = a.slope + (x + p) * a.slope_step + (c0 + c) * LN;
      V z = sum[c][p];
      if (MODE == SILU) {
        V s = 1.f / (1.f + exponential(-z)), h = z * s;
        store(out, h);
        store(slope, s + h * (1.f - s));
      } else {
        store(out, MODE == TIMES_SLOPE ? z * load(slope) : z);
      }
    }
}

template <int PX, int MODE>
static void channels(const Product& a, int x, int C) {
#if LN == 8  // 16 registers; with AVX-512 there are 32
  constexpr int CB = PX == 1 ? 8 : PX <= 3 ? 4 : PX == 4 ? 3 : PX == 7 ? 1 : 2;
#else
  constexpr int CB = PX == 1 ? 16 : PX <= 3 ? 8 : 4;
#endif
  int c = 0;
  for (; c + CB <= C; c += CB) block<CB, PX, MODE>(a, x, c);
  for (; c < C; c++) block<1, PX, MODE>(a, x, c);
}

template <int MODE>
static void product(const Product& a, int W, int C) {
  for (int x = 0, n; x < W; x += n) {
    n = W - x;
#if LN == 8
    n = C == 1 ? (n % 7 == 0 ? 7 : n > 4 ? 4 : n) : n > 4 ? 3 : n == 4 ? 2 : n;
#else
    n = n == 7 || n >= 14 ? (n % 4 == 0 ? 4 : 7) : n > 6 ? 4 : n;
#endif
    switch (n) {
      case 1: channels<1, MODE>(a, x, C); break;
      case 2: channels<2, MODE>(a, x, C); break;
      case 3: channels<3, MODE>(a, x, C); break;
      case 4: channels<4, MODE>(a, x, C); break;
      case 5: channels<5, MODE>(a, x, C); break;
      case 6: channels<6, MODE>(a, x, C); break;
      case 7: channels<7, MODE>(a, x, C); break;
    }
  }
}

struct Conv {
  int H, W, C, k, s, p, OH, OW, OC, q;  // q: zeros around the gradient by the output
  const float *w, *wt, *b;              // (k, k, in, out), (k, k, out, in)
  float *in, *slope, *g;
  long in_row() const { return (long)(W + 2 * p) * C * LN; }
  long g_row() const { return (long)(OW + 2 * q) * OC * LN; }
  long in_size() const { return (H + 2 * p) * in_row(); }
  long g_size() const { return (OH + 2 * q) * g_row(); }
  long slope_size() const { return (long)OH * OW * OC * LN; }
};
struct Linear { int in, out; const float *w, *wt, *b; float *h, *slope, *g; };

struct Net {
  int num_convs, num_linear, G;  // G: groups of LN examples in a chunk
  long pixels;                   // numbers of one image
  Conv* convs;
  Linear* linear;
  Tap* taps;
  float *features, *gradient;
  float* base;
  long used;
  float* get(long n) { float* r = base + used; used += (n + 15) / 16 * 16; return r; }

  // Reads sizes, `config`, and lays all buffers into `memory`.
  void plan(const int64_t* config, float* memory) {
    base = memory;
    used = 0;
    int H = *config++, W = *config++, C = *config++, largest = 0;
    G = *config / LN;
    config += 2;
    pixels = (long)H * W * C;
    num_convs = *config++;
    convs = (Conv*)get(num_convs * (sizeof(Conv) / 4));
    for (int i = 0; i < num_convs; i++, config += 4) {
      Conv l = {H, W, C, (int)config[1], (int)config[2], (int)config[3]};
      l.OH = (H + 2 * l.p - l.k) / l.s + 1, l.OW = (W + 2 * l.p - l.k) / l.s + 1, l.OC = *config;
      // the outputs that an input pixel at either end would feed if there were no end
      int high = (H - 1 + l.p) / l.s - (l.OH - 1), wide = (W - 1 + l.p) / l.s - (l.OW - 1);
      int low = (l.k - 1 - l.p + l.s - 1) / l.s;
      l.q = low > 0 ? low : 0;
      l.q = high > l.q ? high : l.q;
      l.q = wide > l.q ? wide : l.q;
      l.in = get(l.in_size() * G), l.slope = get(l.slope_size() * G), l.g = get(l.g_size() * G);
      largest = l.k > largest ? l.k : largest;
      H = l.OH, W = l.OW, C = l.OC;
      if (memory) convs[i] = l;
    }
    taps = (Tap*)get((long)largest * largest * (sizeof(Tap) / 4));
    int in = H * W * C;
    features = get((long)in * LN * G);
    num_linear = *config++;
    linear = (Linear*)get(num_linear * (sizeof(Linear) / 4));
    for (int i = 0; i < num_linear; i++, config++) {
      Linear l = {in, (int)*config};
      long n = (long)l.out * LN * G;
      l.h = get(n), l.slope = get(n), l.g = get(n);
      in = l.out;
      if (memory) linear[i] = l;
    }
    gradient = get(pixels * LN * G);
  }

  void forward(int groups) {
    for (int i = 0; i < num_convs; i++) {
      const Conv& l = convs[i];
      const Conv* next = i + 1 < num_convs ? &convs[i + 1] : nullptr;
      long out_row = next ? next->in_row() : (long)l.OW * l.OC * LN;
      long out_size = next ? next->in_size() : l.slope_size();
      float* out = next ? next->in + next->p * (out_row + l.OC * LN) : features;
      int n = 0;
      for (int y = 0; y < l.k; y++)
        for (int x = 0; x < l.k; x++)
          taps[n++] = {y * l.in_row() + x * l.C * LN, l.w + (long)(y * l.k + x) * l.C * l.OC};
      for (int g = 0; g < groups; g++)
        for (int y = 0; y < l.OH; y++) {
          long step = (long)l.OC * LN, slope = g * l.slope_size() + y * l.OW * step;
          product<SILU>({l.in + g * l.in_size() + y * l.s * l.in_row(), (long)l.s * l.C * LN, taps, n,
                         l.C, l.OC, out + g * out_size + y * out_row, step, l.slope + slope, step, l.b},
                        l.OW, l.OC);
        }
    }
    const float* in = features;
    for (int i = 0; i < num_linear; i++) {
      const Linear& l = linear[i];
      Tap tap = {0, l.w};
      long step = (long)l.out * LN;
      Product a = {in, (long)l.in * LN, &tap, 1, l.in, l.out, l.h, step, l.slope, step, l.b};
      i + 1 < num_linear ? product<SILU>(a, groups, l.out) : product<PLAIN>(a, groups, l.out);
      in = l.h;
    }
  }

  void backward(int groups) {
    for (int g = 0; g < groups; g++) store(linear[num_linear - 1].g + g * LN, all(1.f));
    for (int i = num_linear - 1; i > 0; i--) {
      const Linear &l = linear[i], &before = linear[i - 1];
      Tap tap = {0, l.wt};
      long step = (long)l.in * LN;
      product<TIMES_SLOPE>({l.g, (long)l.out * LN, &tap, 1, l.out, l.in, before.g, step,
                            before.slope, step, nullptr}, groups, l.in);
    }
    const Linear& first = linear[0];
    const Conv& last = convs[num_convs - 1];
    for (int y = 0; y < last.OH; y++) {
      int row = last.OW * last.OC;
      Tap tap = {0, first.wt + (long)y * row};
      float* out = last.g + (y + last.q) * last.g_row() + last.q * last.OC * LN;
      product<TIMES_SLOPE>({first.g, (long)first.out * LN, &tap, 1, first.out, first.in, out,
                            last.g_size(), last.slope + (long)y * row * LN, last.slope_size(), nullptr},
                           groups, row);
    }
    for (int i = num_convs - 1; i >= 0; i--)
      for (int y = 0; y < convs[i].s; y++)
        for (int x = 0; x < convs[i].s; x++) phase(i, y, x, groups);
  }

  // The input pixels (s·a + y, s·b + x), which meet the same entries of the kernel.
  void phase(int i, int y, int x, int groups) {
    const Conv& l = convs[i];
    const Conv* before = i ? &convs[i - 1] : nullptr;
    int n = 0;
    for (int ky = 0; ky < l.k; ky++)
      for (int kx = 0; kx < l.k; kx++) {
        int dy = y + l.p - ky, dx = x + l.p - kx;
        if (dy % l.s == 0 && dx % l.s == 0)
          taps[n++] = {dy / l.s * l.g_row() + dx / l.s * l.OC * LN,
                       l.wt + (long)(ky * l.k + kx) * l.C * l.OC};
      }
    int rows = (l.H - y + l.s - 1) / l.s, columns = (l.W - x + l.s - 1) / l.s;
    long pixel = (long)l.C * LN, step = l.s * pixel, out_row = before ? before->g_row() : l.W * pixel;
    for (int g = 0; g < groups; g++)
      for (int a = 0; a < rows; a++) {
        int at = l.s * a + y;
        const float* in = l.g + g * l.g_size() + (a + l.q) * l.g_row() + l.q * l.OC * LN;
        if (before) {
          float* out = before->g + g * before->g_size() + (at + before->q) * out_row;
          float* slope = before->slope + g * before->slope_size() + (at * l.W + x) * pixel;
          product<TIMES_SLOPE>({in, (long)l.OC * LN, taps, n, l.OC, l.C,
                                out + (x + before->q) * pixel, step, slope, step, nullptr}, columns, l.C);
        } else {
          float* out = gradient + g * pixels * LN + at * out_row + x * pixel;
          product<PLAIN>({in, (long)l.OC * LN, taps, n, l.OC, l.C, out, step, nullptr, 0, nullptr},
                         columns, l.C);
        }
      }
  }

  // Lanes without an example hold zeros, and their results are not kept.
  void run(const float* x, int num, float* energies, float* gradients) {
    const Conv& l = convs[0];
    int groups = (num + LN - 1) / LN, row = l.W * l.C;
    for (int g = 0; g < groups; g++)
      for (int y = 0; y < l.H; y++) {
        float* to = l.in + g * l.in_size() + (y + l.p) * l.in_row() + l.p * l.C * LN;
        const float* from = x + (long)g * LN * pixels + (long)y * row;
        for (int c = 0; c < row; c++)
          for (int i = 0; i < LN; i++) to[c * LN + i] = g * LN + i < num ? from[i * pixels + c] : 0.f;
      }
    forward(groups);
    for (int i = 0; i < num; i++) energies[i] = linear[num_linear - 1].h[i];
    if (!gradients) return;
    backward(groups);
    for (int g = 0; g < groups; g++)
      for (long c = 0; c < pixels; c += 16)
        for (int i = 0; i < LN && g * LN + i < num; i++)
          for (long j = c; j < c + 16 && j < pixels; j++)
            gradients[(g * LN + i) * pixels + j] = gradient[(g * pixels + j) * LN + i];
  }
};

// ------------------------------------------------------------------------------- the custom call

struct Call {
  const XLA_FFI_CallFrame* frame;
  const int64_t* config;  // height, width, channels, lanes, threads, convolutions, linear layers
  long batch, worker_size;
  float* memory;
  const float* argument(int i) const { return (const float*)((XLA_FFI_Buffer*)frame->args.args[i])->data; }
  XLA_FFI_Buffer* result(int i) const { return (XLA_FFI_Buffer*)frame->rets.rets[i]; }

  Net net(int worker) const {
    Net n;
    float* memory = this->memory + worker * worker_size;
    __builtin_memset(memory, 0, worker_size * 4);
    n.plan(config, memory);
    int at = 1;
    for (int i = 0; i < n.num_convs; i++, at += 3)
      n.convs[i].w = argument(at), n.convs[i].wt = argument(at + 1), n.convs[i].b = argument(at + 2);
    for (int i = 0; i < n.num_linear; i++, at += 3)
      n.linear[i].w = argument(at), n.linear[i].wt = argument(at + 1), n.linear[i].b = argument(at + 2);
    return n;
  }
  void chunk(Net& n, long number) const {
    long begin = number * config[3], num = batch - begin < config[3] ? batch - begin : config[3];
    float* gradients = frame->rets.size == 3 ? (float*)result(1)->data + begin * n.pixels : nullptr;
    n.run(argument(0) + begin * n.pixels, num, (float*)result(0)->data + begin, gradients);
  }
};

// A call whose chunks are shared. `state` is its number, from bit 32 on, and the chunks not yet taken.
// The pool may run a task after the call has returned: it then finds another number, or no chunk.
struct Shared { int busy; uint64_t state; long done; const Call* call; };
static Shared places[64];

static void work(Shared& s, uint64_t number, int worker) {
  Net net;
  for (bool ready = false;; ready = true) {
    uint64_t state = __atomic_load_n(&s.state, __ATOMIC_ACQUIRE);
    do {
      if (state >> 32 != number || !(uint32_t)state) return;
    } while (!__atomic_compare_exchange_n(&s.state, &state, state - 1, false, __ATOMIC_ACQ_REL,
                                          __ATOMIC_ACQUIRE));
    if (!ready) net = s.call->net(worker);
    s.call->chunk(net, (uint32_t)state - 1);
    __atomic_fetch_add(&s.done, 1, __ATOMIC_RELEASE);
  }
}
static void task(void* data) {
  uint64_t d = (uint64_t)data;
  work(places[d & 63], d >> 32, d >> 6 & 0xffff);
}

static int threads_of(const XLA_FFI_CallFrame* frame, long most) {
  int64_t num = 1;
  XLA_FFI_ThreadPool_NumThreads_Args args = {sizeof args, nullptr, frame->ctx, &num};
  if (XLA_FFI_Error* error = frame->api->XLA_FFI_ThreadPool_NumThreads(&args)) {
    XLA_FFI_Error_Destroy_Args destroy = {sizeof destroy, nullptr, error};
    frame->api->XLA_FFI_Error_Destroy(&destroy);
    return 1;
  }
  return num < most ? num : most;
}
#ifndef _WIN32
extern "C" int sched_yield(void);
#endif

EXPORT int64_t convnet_scratch(const int64_t* config) {
  Net n;
  n.plan(config, nullptr);
  return n.used;
}

EXPORT XLA_FFI_Error* convnet(XLA_FFI_CallFrame* frame) {
  if (frame->extension_start && frame->extension_start->type == XLA_FFI_Extension_Metadata) {
    XLA_FFI_Metadata* m = ((XLA_FFI_Metadata_Extension*)frame->extension_start)->metadata;
    m->api_version.major_version = XLA_FFI_API_MAJOR;
    m->api_version.minor_version = XLA_FFI_API_MINOR;
    m->traits = 0;
    return nullptr;
  }
  Call call = {frame, (const int64_t*)((XLA_FFI_Array*)frame->attrs.attrs[0])->data};
  call.batch = call.result(0)->dims[0];
  call.worker_size = convnet_scratch(call.config);
  uintptr_t memory = (uintptr_t)call.result(frame->rets.size - 1)->data;
  call.memory = (float*)((memory + 63) & ~(uintptr_t)63);
  long chunks = (call.batch + call.config[3] - 1) / call.config[3];
  int threads = threads_of(frame, chunks < call.config[4] ? chunks : call.config[4]), place = 0;
  Shared own = {}, *shared = &own;
  for (int free = 0; threads > 1 && place < 64; place++, free = 0)
    if (__atomic_compare_exchange_n(&places[place].busy, &free, 1, false, __ATOMIC_ACQUIRE,
                                    __ATOMIC_RELAXED)) {
      shared = &places[place];
      break;
    }
  uint64_t number = (uint32_t)((shared->state >> 32) + 1);
  shared->call = &call;
  shared->done = 0;
  __atomic_store_n(&shared->state, number << 32 | chunks, __ATOMIC_RELEASE);
  for (int worker = 1; shared != &own && worker < threads; worker++) {
    void* data = (void*)(number << 32 | (uint64_t)worker << 6 | place);
    XLA_FFI_ThreadPool_Schedule_Args args = {sizeof args, nullptr, frame->ctx, task, data};
    frame->api->XLA_FFI_ThreadPool_Schedule(&args);
  }
  work(*shared, number, 0);
  while (__atomic_load_n(&shared->done, __ATOMIC_ACQUIRE) != chunks)  // others end what they have begun
#ifndef _WIN32
    sched_yield();
#endif
  __atomic_store_n(&shared->busy, 0, __ATOMIC_RELEASE);
  return nullptr;
}
