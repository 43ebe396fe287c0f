// The kernels, written once over vectors of W floats and compiled for each target. The includer defines NAME(x) and, where the
// target has them, WK_VNNI or WK_AVX2, after setting the target. A vector is one register of the target: the compiler lowers
// wider ones through memory.
#include "kernel.h"
#include <math.h>
#if defined(WK_VNNI) || defined(WK_AVX2)
#include <immintrin.h>
#endif
#include <string.h>

#if defined(WK_VNNI)
enum { W = 16 };
#elif defined(WK_AVX2)
enum { W = 8 };
#else
enum { W = 4 };
#endif
typedef float vf __attribute__((vector_size(4 * W)));
typedef int32_t vi __attribute__((vector_size(4 * W)));
typedef int16_t vs __attribute__((vector_size(4 * W)));
typedef float vfu __attribute__((vector_size(4 * W), aligned(4), may_alias));
typedef int32_t viu __attribute__((vector_size(4 * W), aligned(4), may_alias));
typedef int16_t vsu __attribute__((vector_size(4 * W), aligned(1), may_alias));
typedef uint16_t vhu __attribute__((vector_size(2 * W), aligned(2), may_alias));
typedef int8_t vcu __attribute__((vector_size(W), aligned(1), may_alias));
#define INLINE static inline __attribute__((always_inline))

INLINE vf load(const float *p) { return *(const vfu *)p; }
INLINE void store(float *p, vf v) { *(vfu *)p = v; }
INLINE vf all(float x) { return x - (vf){}; }
INLINE vf pick(vi mask, vf a, vf b) { return (vf)((mask & (vi)a) | (~mask & (vi)b)); }
#if defined(WK_AVX2)
INLINE vf larger(vf a, vf b) { return (vf)_mm256_max_ps((__m256)a, (__m256)b); }
INLINE vf smaller(vf a, vf b) { return (vf)_mm256_min_ps((__m256)a, (__m256)b); }
#else
INLINE vf larger(vf a, vf b) { return pick(a > b, a, b); }
INLINE vf smaller(vf a, vf b) { return pick(a < b, a, b); }
#endif
INLINE float sum(vf v) {
  float s = 0;
  for (int i = 0; i < W; i++) s += v[i];
  return s;
}
INLINE float most(vf v) {
#if defined(WK_AVX2)
  __m128 m = _mm_max_ps(_mm256_castps256_ps128((__m256)v), _mm256_extractf128_ps((__m256)v, 1));
  m = _mm_max_ps(m, _mm_movehl_ps(m, m));
  return _mm_cvtss_f32(_mm_max_ss(m, _mm_movehdup_ps(m)));
#else
  float s = v[0];
  for (int i = 1; i < W; i++) s = v[i] > s ? v[i] : s;
  return s;
#endif
}
// e^x for x ≤ 88: 2^n · a polynomial on |r| ≤ ln 2 / 2 (Cephes expf), relative error under 2e-7.
INLINE vf vexp(vf x) {
  x = smaller(larger(x, all(-87.f)), all(88.f));
  vf t = x * 1.44269504f + 12582912.f; // round to nearest
  vf n = t - 12582912.f;
  vf r = x - n * 0.693359375f - n * -2.12194440e-4f;
  vf p = ((((1.9875691500e-4f * r + 1.3981999507e-3f) * r + 8.3334519073e-3f) * r + 4.1665795894e-2f) * r + 1.6666665459e-1f) * r + 5.0000001201e-1f;
  p = p * r * r + r + 1.f;
  return p * (vf)((__builtin_convertvector(n, vi) + 127) << 23);
}
#if defined(WK_AVX2)
INLINE vf scales(const uint8_t *p) { return (vf)_mm256_slli_epi32(_mm256_cvtepu16_epi32(_mm_loadu_si128((const __m128i *)p)), 16); }
#else
INLINE vf scales(const uint8_t *p) { return (vf)(__builtin_convertvector(*(const vhu *)p, vi) << 16); }
#endif

// binary16 and back. The bits of a half, moved to a float's place, are its value times 2^-112.
INLINE vf from_half(const uint16_t *p) {
#if defined(WK_VNNI)
  return (vf)_mm512_cvtph_ps(_mm256_loadu_si256((const __m256i *)p));
#elif defined(WK_AVX2)
  return (vf)_mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)p));
#else
  vi h = __builtin_convertvector(*(const vhu *)p, vi);
  return (vf)((vi)((vf)((h & 0x7fff) << 13) * 0x1p112f) | ((h & 0x8000) << 16));
#endif
}
// Rounds to nearest, ties to even; what a half cannot hold becomes the largest it can.
INLINE void to_half(uint16_t *p, vf x) {
  x = smaller(larger(x, all(-65504.f)), all(65504.f));
#if defined(WK_VNNI)
  _mm256_storeu_si256((__m256i *)p, _mm512_cvtps_ph((__m512)x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC));
#elif defined(WK_AVX2)
  _mm_storeu_si128((__m128i *)p, _mm256_cvtps_ph((__m256)x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC));
#else
  vi sign = ((vi)x >> 16) & 0x8000, b = (vi)((vf)((vi)x & 0x7fffffff) * 0x1p-112f);
  *(vhu *)p = __builtin_convertvector(((b + 0xfff + ((b >> 13) & 1)) >> 13) | sign, vhu);
#endif
}

#include "product.h"
#include "attend.h"

static float NAME(dot)(const float *a, const float *b, int n) {
  vf s[4] = {};
  int i = 0;
  for (; i + 4 * W <= n; i += 4 * W)
    for (int j = 0; j < 4; j++) s[j] += load(a + i + j * W) * load(b + i + j * W);
  float r = sum((s[0] + s[1]) + (s[2] + s[3]));
  for (; i < n; i++) r += a[i] * b[i];
  return r;
}

// The largest of x and log Σ e^x.
static void NAME(sumexp)(const float *x, int n, float *top, double *log_) {
  vf m = all(-INFINITY);
  int i = 0;
  for (; i + W <= n; i += W) m = larger(load(x + i), m);
  float t = most(m);
  for (; i < n; i++) t = x[i] > t ? x[i] : t;
  double s = 0;
  for (i = 0; i + W <= n;) { // float32 sums of at most 1,024 terms each
    vf part = {};
    for (int end = i + 1024; i + W <= n && i < end; i += W) part += vexp(load(x + i) - t);
    s += sum(part);
  }
  for (; i < n; i++) s += expf(x[i] - t);
  *top = t;
  *log_ = t + log(s);
}

static void NAME(rmsnorm)(float *dst, const float *x, const float *w, int n, int d, float eps) {
  for (int i = 0; i < n; i++, x += d, dst += d) {
    float f = 1.f / sqrtf(NAME(dot)(x, x, d) / d + eps);
    for (int j = 0; j < d; j++) dst[j] = x[j] * f * w[j];
  }
}

static void NAME(swiglu)(float *dst, const float *gate, const float *up, int n) {
  int i = 0;
  for (; i + W <= n; i += W) {
    vf g = load(gate + i);
    store(dst + i, g / (1.f + vexp(-g)) * load(up + i));
  }
  for (; i < n; i++) dst[i] = gate[i] / (1.f + expf(-gate[i])) * up[i];
}

static void NAME(rope)(float *x, int n, int heads, int dim, const int32_t *pos, const float *cs, const float *sn) {
  int half = dim / 2;
  for (int i = 0; i < n; i++) {
    const float *c = cs + (size_t)pos[i] * half, *s = sn + (size_t)pos[i] * half;
    for (int h = 0; h < heads; h++, x += dim)
      for (int j = 0; j < half; j++) {
        float a = x[j], b = x[half + j];
        x[j] = a * c[j] - b * s[j];
        x[half + j] = b * c[j] + a * s[j];
      }
  }
}

// gemm does rows [lo, hi) of C = alpha·op(A)·op(B) + beta·C. pack holds GEMM_K · (GEMM_N + 6) floats.
enum { GEMM_K = 256, GEMM_N = 2 * W };
INLINE void panel(int k, const float *a, const float *b, float *c, int ldc, float alpha, int m, int n, const int M) {
  vf acc[6][2];
  for (int i = 0; i < M; i++) acc[i][0] = acc[i][1] = (vf){};
  for (int p = 0; p < k; p++, a += 6, b += GEMM_N) {
    vf b0 = load(b), b1 = load(b + W);
    for (int i = 0; i < M; i++) {
      acc[i][0] += a[i] * b0;
      acc[i][1] += a[i] * b1;
    }
  }
  for (int i = 0; i < m; i++) {
    if (n == GEMM_N) {
      store(c + (size_t)i * ldc, load(c + (size_t)i * ldc) + acc[i][0] * alpha);
      store(c + (size_t)i * ldc + W, load(c + (size_t)i * ldc + W) + acc[i][1] * alpha);
    } else
      for (int j = 0; j < n; j++) c[(size_t)i * ldc + j] += alpha * acc[i][j / W][j % W];
  }
}
static void NAME(gemm)(int lo, int hi, int n, int k, const float *a, int ta, int lda, const float *b, int tb, int ldb, float alpha, float beta, float *c, int ldc, float *pack) {
  for (int i = lo; i < hi; i++)
    for (int j = 0; j < n; j++) c[(size_t)i * ldc + j] = beta == 0 ? 0 : beta * c[(size_t)i * ldc + j];
  if (alpha == 0) return;
  float *pa = pack, *pb = pack + (size_t)GEMM_K * 6 * ((hi - lo + 5) / 6);
  for (int k0 = 0; k0 < k; k0 += GEMM_K) {
    int kk = k - k0 < GEMM_K ? k - k0 : GEMM_K;
    for (int i = lo; i < hi; i += 6) {
      float *d = pa + (size_t)(i - lo) / 6 * kk * 6;
      for (int p = 0; p < kk; p++)
        for (int r = 0; r < 6; r++) d[p * 6 + r] = i + r < hi ? (ta ? a[(size_t)(k0 + p) * lda + i + r] : a[(size_t)(i + r) * lda + k0 + p]) : 0;
    }
    for (int j = 0; j < n; j += GEMM_N) {
      int nn = n - j < GEMM_N ? n - j : GEMM_N;
      for (int p = 0; p < kk; p++)
        for (int r = 0; r < GEMM_N; r++) pb[p * GEMM_N + r] = r < nn ? (tb ? b[(size_t)(j + r) * ldb + k0 + p] : b[(size_t)(k0 + p) * ldb + j + r]) : 0;
      for (int i = lo; i < hi; i += 6)
        panel(kk, pa + (size_t)(i - lo) / 6 * kk * 6, pb, c + (size_t)i * ldc + j, ldc, alpha, hi - i < 6 ? hi - i : 6, nn, 6);
    }
  }
}

#define STR2(x) #x
#define STR(x) STR2(x)
const wk_path NAME(path) = {STR(LABEL), NAME(quantize), NAME(blocks), NAME(rmsnorm), NAME(swiglu), NAME(rope), NAME(append), NAME(dot), NAME(sumexp), NAME(attend), NAME(gemm)};
