// The kernels, written once over 16-wide vectors and compiled for each target. The includer defines NAME(x) and, where the
// target has them, WK_VNNI or WK_AVX2, after setting the target.
#include "kernel.h"
#include <math.h>
#if defined(WK_VNNI) || defined(WK_AVX2)
#include <immintrin.h>
#endif
#include <string.h>

typedef float vf __attribute__((vector_size(64)));
typedef int32_t vi __attribute__((vector_size(64)));
typedef float vfu __attribute__((vector_size(64), aligned(4), may_alias));
typedef uint16_t vhu __attribute__((vector_size(32), aligned(2), may_alias));
typedef int8_t vcu __attribute__((vector_size(16), aligned(1), may_alias));
#define INLINE static inline __attribute__((always_inline))

INLINE vf load(const float *p) { return *(const vfu *)p; }
INLINE void store(float *p, vf v) { *(vfu *)p = v; }
INLINE vf all(float x) { return x - (vf){}; }
INLINE vf pick(vi mask, vf a, vf b) { return (vf)((mask & (vi)a) | (~mask & (vi)b)); }
INLINE float sum(vf v) {
  float s = 0;
  for (int i = 0; i < 16; i++) s += v[i];
  return s;
}
INLINE float most(vf v) {
  float s = v[0];
  for (int i = 1; i < 16; i++) s = v[i] > s ? v[i] : s;
  return s;
}
// e^x for x ≤ 88: 2^n · a polynomial on |r| ≤ ln 2 / 2 (Cephes expf), relative error under 2e-7.
INLINE vf vexp(vf x) {
  x = pick(x < all(-87.f), all(-87.f), x);
  x = pick(x > all(88.f), all(88.f), x);
  vf t = x * 1.44269504f + 12582912.f; // round to nearest
  vf n = t - 12582912.f;
  vf r = x - n * 0.693359375f - n * -2.12194440e-4f;
  vf p = ((((1.9875691500e-4f * r + 1.3981999507e-3f) * r + 8.3334519073e-3f) * r + 4.1665795894e-2f) * r + 1.6666665459e-1f) * r + 5.0000001201e-1f;
  p = p * r * r + r + 1.f;
  return p * (vf)((__builtin_convertvector(n, vi) + 127) << 23);
}
INLINE vf scales(const uint8_t *p) { return (vf)(__builtin_convertvector(*(const vhu *)p, vi) << 16); }

// binary16 and back. The bits of a half, moved to a float's place, are its value times 2^-112.
INLINE vf from_half(const uint16_t *p) {
#if defined(WK_VNNI)
  return (vf)_mm512_cvtph_ps(_mm256_loadu_si256((const __m256i *)p));
#elif defined(WK_AVX2)
  union { vf v; __m256 h[2]; } u;
  u.h[0] = _mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)p));
  u.h[1] = _mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)(p + 8)));
  return u.v;
#else
  vi h = __builtin_convertvector(*(const vhu *)p, vi);
  return (vf)((vi)((vf)((h & 0x7fff) << 13) * 0x1p112f) | ((h & 0x8000) << 16));
#endif
}
// Rounds to nearest, ties to even; what a half cannot hold becomes the largest it can.
INLINE void to_half(uint16_t *p, vf x) {
  x = pick(x > all(65504.f), all(65504.f), pick(x < all(-65504.f), all(-65504.f), x));
#if defined(WK_VNNI)
  _mm256_storeu_si256((__m256i *)p, _mm512_cvtps_ph((__m512)x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC));
#elif defined(WK_AVX2)
  union { vf v; __m256 h[2]; } u = {x};
  _mm_storeu_si128((__m128i *)p, _mm256_cvtps_ph(u.h[0], _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC));
  _mm_storeu_si128((__m128i *)(p + 8), _mm256_cvtps_ph(u.h[1], _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC));
#else
  vi sign = ((vi)x >> 16) & 0x8000, b = (vi)((vf)((vi)x & 0x7fffffff) * 0x1p-112f);
  *(vhu *)p = __builtin_convertvector(((b + 0xfff + ((b >> 13) & 1)) >> 13) | sign, vhu);
#endif
}

static void NAME(append)(const wk_memory *m, int layer, const float *k, const float *v, int at, int n) {
  int dim = m->dim;
  for (int h = 0; h < m->heads; h++) {
    uint16_t *mk = m->at[layer].k + (size_t)h * m->cap * dim, *mv = m->at[layer].v + (size_t)h * m->cap * dim;
    for (int i = 0; i < n; i++) {
      const float *sk = k + ((size_t)i * m->heads + h) * dim, *sv = v + ((size_t)i * m->heads + h) * dim;
      uint16_t *dk = mk + (size_t)((at + i) / 16) * dim * 16 + (at + i) % 16, *dv = mv + (size_t)(at + i) * dim;
      for (int d = 0; d < dim; d += 16) {
        uint16_t half[16];
        to_half(half, load(sk + d));
        for (int j = 0; j < 16; j++) dk[(size_t)(d + j) * 16] = half[j];
        to_half(dv + d, load(sv + d));
      }
    }
  }
}

static void NAME(quantize)(wk_act *a, const float *x, int lo, int hi) {
  int groups = a->cols / GROUP;
  for (int i = lo; i < hi; i++)
    for (int g = 0; g < groups; g++) {
      const float *s = x + (size_t)i * a->cols + g * GROUP;
      int8_t *q = a->q + (size_t)i * a->cols + g * GROUP;
      vf u = load(s), v = load(s + 16);
      vf m = (vf)((vi)u & 0x7fffffff), m2 = (vf)((vi)v & 0x7fffffff);
      float top = most(pick(m > m2, m, m2)), f = top > 0 ? 127.f / top : 0;
      vi qu = (vi)(u * f + 12582912.f) - 0x4b400000, qv = (vi)(v * f + 12582912.f) - 0x4b400000;
      *(vcu *)q = __builtin_convertvector(qu, vcu);
      *(vcu *)(q + 16) = __builtin_convertvector(qv, vcu);
      vi both = qu + qv;
      int32_t t = 0;
      for (int j = 0; j < 16; j++) t += both[j];
      a->scale[i * groups + g] = top / 127.f;
      a->base[i * groups + g] = -128 * t;
    }
}

// One block of 16 rows against N lanes: acc[i] = Σ_g wscale · ascale · Σ_c w·a.
INLINE void lanes(const uint8_t *w, const int8_t *q, const float *as, const int32_t *base, int cols, vf *out, const int N) {
  int groups = cols / GROUP;
  vf acc[TILE];
  for (int i = 0; i < N; i++) acc[i] = (vf){};
  for (int g = 0; g < groups; g++, w += PACKED) {
    vf ws = scales(w + ROWS * GROUP);
#if defined(WK_VNNI)
    __m512i b[8];
    for (int c = 0; c < 8; c++) b[c] = _mm512_loadu_si512(w + 64 * c);
    for (int i = 0; i < N; i++) {
      const int8_t *p = q + (size_t)i * cols + g * GROUP;
      __m512i t = _mm512_set1_epi32(base[i * groups + g]);
      for (int c = 0; c < 8; c++) {
        int32_t four;
        memcpy(&four, p + 4 * c, 4);
        t = _mm512_dpbusd_epi32(t, b[c], _mm512_set1_epi32(four));
      }
      acc[i] += (vf)_mm512_cvtepi32_ps(t) * (ws * as[i * groups + g]);
    }
#elif defined(WK_AVX2)
    const __m256i flip = _mm256_set1_epi8((char)0x80), ones = _mm256_set1_epi16(1);
    (void)base;
    for (int i = 0; i < N; i++) {
      const int8_t *p = q + (size_t)i * cols + g * GROUP;
      __m256i t0 = _mm256_setzero_si256(), t1 = t0;
      for (int c = 0; c < 8; c++) {
        __m256i b0 = _mm256_xor_si256(_mm256_loadu_si256((const __m256i *)(w + 64 * c)), flip);
        __m256i b1 = _mm256_xor_si256(_mm256_loadu_si256((const __m256i *)(w + 64 * c + 32)), flip);
        int32_t four;
        memcpy(&four, p + 4 * c, 4);
        __m256i a = _mm256_set1_epi32(four);
        // |w| ≤ 127 and |a| ≤ 127, so a pair of products stays below 2^15: exact.
        t0 = _mm256_add_epi32(t0, _mm256_madd_epi16(_mm256_maddubs_epi16(_mm256_abs_epi8(b0), _mm256_sign_epi8(a, b0)), ones));
        t1 = _mm256_add_epi32(t1, _mm256_madd_epi16(_mm256_maddubs_epi16(_mm256_abs_epi8(b1), _mm256_sign_epi8(a, b1)), ones));
      }
      union { vf v; __m256 h[2]; } s;
      s.h[0] = _mm256_cvtepi32_ps(t0);
      s.h[1] = _mm256_cvtepi32_ps(t1);
      acc[i] += s.v * (ws * as[i * groups + g]);
    }
#else
    for (int i = 0; i < N; i++) {
      const int8_t *p = q + (size_t)i * cols + g * GROUP;
      vi t = base[i * groups + g] - (vi){};
      for (int c = 0; c < 8; c++)
        for (int r = 0; r < ROWS; r++)
          for (int j = 0; j < 4; j++) t[r] += (int32_t)w[64 * c + 4 * r + j] * p[4 * c + j];
      acc[i] += __builtin_convertvector(t, vf) * (ws * as[i * groups + g]);
    }
#endif
  }
  for (int i = 0; i < N; i++) out[i] = acc[i];
}

static void NAME(blocks)(const wk_out *o, const wk_act *a, int lo, int hi, int add) {
  int groups = a->cols / GROUP;
  vf out[TILE];
  for (int b = lo; b < hi; b++) {
    const uint8_t *w = o->w + (size_t)b * groups * PACKED;
    int left = o->rows - b * ROWS;
    for (int i = 0; i < a->n;) {
      const int8_t *q = a->q + (size_t)i * a->cols;
      const float *s = a->scale + (size_t)i * groups;
      const int32_t *z = a->base + (size_t)i * groups;
      int n = a->n - i;
#define CASE(N) lanes(w, q, s, z, a->cols, out, N); n = N
      if (n >= 16) { CASE(16); }
      else if (n >= 12) { CASE(12); }
      else if (n >= 8) { CASE(8); }
      else switch (n) {
        case 7: CASE(7); break;
        case 6: CASE(6); break;
        case 5: CASE(5); break;
        case 4: CASE(4); break;
        case 3: CASE(3); break;
        case 2: CASE(2); break;
        default: CASE(1);
        }
#undef CASE
      for (int j = 0; j < n; j++) {
        float *d = o->dst + (size_t)(i + j) * o->rows + b * ROWS;
        if (left >= ROWS)
          store(d, add ? load(d) + out[j] : out[j]);
        else
          for (int r = 0; r < left; r++) d[r] = add ? d[r] + out[j][r] : out[j][r];
      }
      i += n;
    }
  }
}

static float NAME(dot)(const float *a, const float *b, int n) {
  vf s = {}, t = {};
  int i = 0;
  for (; i + 32 <= n; i += 32) {
    s += load(a + i) * load(b + i);
    t += load(a + i + 16) * load(b + i + 16);
  }
  float r = sum(s + t);
  for (; i < n; i++) r += a[i] * b[i];
  return r;
}

// The largest of x and log Σ e^x.
static void NAME(sumexp)(const float *x, int n, float *top, double *log_) {
  vf m = all(-INFINITY);
  int i = 0;
  for (; i + 16 <= n; i += 16) m = pick(load(x + i) > m, load(x + i), m);
  float t = most(m);
  for (; i < n; i++) t = x[i] > t ? x[i] : t;
  double s = 0;
  for (i = 0; i + 16 <= n;) { // float32 sums of at most 1,024 terms each
    vf part = {};
    for (int end = i + 1024; i + 16 <= n && i < end; i += 16) part += vexp(load(x + i) - t);
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
  for (; i + 16 <= n; i += 16) {
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

enum { QUERIES = 8, VALUES = 4 };

// Scores of N queries against a block of 16 keys: out[i] = q_i · K.
INLINE void score(const float **q, const uint16_t *k, int dim, vf *out, const int N) {
  vf acc[QUERIES];
  for (int i = 0; i < N; i++) acc[i] = (vf){};
  for (int d = 0; d < dim; d++) {
    vf key = from_half(k + 16 * d);
    for (int i = 0; i < N; i++) acc[i] += q[i][d] * key;
  }
  for (int i = 0; i < N; i++) out[i] = acc[i];
}

INLINE void mix(float *const *out, float *const *p, const uint16_t *v, size_t stride, int n, int d, const int N, const int W) {
  vf acc[VALUES][4];
  for (int i = 0; i < N; i++)
    for (int c = 0; c < W; c++) acc[i][c] = load(out[i] + d + 16 * c);
  for (int t = 0; t < n; t++, v += stride) {
    vf row[4];
    for (int c = 0; c < W; c++) row[c] = from_half(v + d + 16 * c);
    for (int i = 0; i < N; i++)
      for (int c = 0; c < W; c++) acc[i][c] += p[i][t] * row[c];
  }
  for (int i = 0; i < N; i++)
    for (int c = 0; c < W; c++) store(out[i] + d + 16 * c, acc[i][c]);
}

// run is the keys that a stretch of a tile's queries sees: the first limit[i] of n.
typedef struct { int n, q0, q1; float bias; int limit[QUERIES]; } run;

// attend does queries [tile, tile+QUERIES) of the group of lanes that begins at lane and shares its segments, for one key head.
static void NAME(attend)(const wk_attention *c, int lane, int head, int tile, float *scratch) {
  const wk_lane *L = &c->lanes[lane];
  int kvh = L->own->heads, per = c->heads / kvh, dim = c->dim, width = c->heads * dim, nq = 0;
  const float *q[QUERIES];
  float *out[QUERIES], *p[QUERIES], *w[QUERIES];
  int own[QUERIES], limit[QUERIES], len[QUERIES], at = 0;
  for (int i = lane; i < c->n && c->lanes[i].first == L->first && nq < QUERIES; i++)
    for (int j = 0; j < c->lanes[i].n && nq < QUERIES; j++)
      for (int h = 0; h < per && nq < QUERIES; h++, at++) {
        if (at < tile) { // skip whole tokens where that is possible
          int skip = (tile - at) / per;
          if (h == 0 && skip > 1) {
            int rest = c->lanes[i].n - j;
            skip = skip < rest ? skip : rest;
            at += skip * per - 1;
            j += skip - 1;
            h = per;
          }
          continue;
        }
        size_t o = (size_t)(c->lanes[i].row + j) * width + (size_t)(head * per + h) * dim;
        q[nq] = c->q + o;
        out[nq] = c->out + o;
        own[nq] = i;
        limit[nq] = c->lanes[i].before + j + 1;
        p[nq] = scratch + (size_t)nq * c->scratch;
        len[nq++] = 0;
      }
  for (int pass = 0; pass < 2; pass++) {
    for (int i = 0; i < nq; i++) w[i] = p[i];
    for (int s = 0; s < L->count + nq; s++) {
      run r;
      const wk_memory *m;
      if (s < L->count) {
        const wk_segment *g = &c->segs[L->first + s];
        m = g->mem;
        r = (run){.n = g->n, .q0 = 0, .q1 = nq, .bias = g->bias[c->layer]};
        for (int i = 0; i < nq; i++) r.limit[i] = g->n;
      } else {
        int i = s - L->count;
        if (i > 0 && own[i] == own[i - 1]) continue;
        m = c->lanes[own[i]].own;
        r = (run){.q0 = i, .q1 = i};
        while (r.q1 < nq && own[r.q1] == own[i]) {
          r.limit[r.q1] = limit[r.q1];
          r.n = limit[r.q1] > r.n ? limit[r.q1] : r.n;
          r.q1++;
        }
      }
      int N = r.q1 - r.q0, blocks = (r.n + 15) / 16;
      const uint16_t *k = m->at[c->layer].k + (size_t)head * m->cap * dim, *v = m->at[c->layer].v + (size_t)head * m->cap * dim;
      if (pass == 0) {
        for (int b = 0; b < blocks; b++, k += (size_t)dim * 16) {
          vf sc[QUERIES];
          switch (N) {
          case 8: score(q + r.q0, k, dim, sc, 8); break;
          case 7: score(q + r.q0, k, dim, sc, 7); break;
          case 6: score(q + r.q0, k, dim, sc, 6); break;
          case 5: score(q + r.q0, k, dim, sc, 5); break;
          case 4: score(q + r.q0, k, dim, sc, 4); break;
          case 3: score(q + r.q0, k, dim, sc, 3); break;
          case 2: score(q + r.q0, k, dim, sc, 2); break;
          default: score(q + r.q0, k, dim, sc, 1);
          }
          for (int i = 0; i < N; i++) {
            const vi step = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
            vf x = sc[i] * c->scale + r.bias;
            store(w[r.q0 + i] + 16 * b, pick(step + 16 * b < r.limit[r.q0 + i] - (vi){}, x, all(-1e30f)));
          }
        }
      } else {
        for (int i = r.q0; i < r.q1; i += VALUES) {
          int V = r.q1 - i < VALUES ? r.q1 - i : VALUES, d = 0;
          for (; d + 64 <= dim; d += 64) switch (V) {
            case 4: mix(out + i, w + i, v, dim, r.n, d, 4, 4); break;
            case 3: mix(out + i, w + i, v, dim, r.n, d, 3, 4); break;
            case 2: mix(out + i, w + i, v, dim, r.n, d, 2, 4); break;
            default: mix(out + i, w + i, v, dim, r.n, d, 1, 4);
            }
          for (; d < dim; d += 16)
            for (int e = 0; e < V; e++) mix(out + i + e, w + i + e, v, dim, r.n, d, 1, 1);
        }
      }
      for (int i = r.q0; i < r.q1; i++) {
        w[i] += 16 * blocks;
        if (pass == 0) len[i] += 16 * blocks;
      }
    }
    if (pass == 0)
      for (int i = 0; i < nq; i++) {
        vf top = all(-1e30f), total = {};
        for (int t = 0; t < len[i]; t += 16) top = pick(load(p[i] + t) > top, load(p[i] + t), top);
        float m = most(top);
        for (int t = 0; t < len[i]; t += 16) {
          vf e = load(p[i] + t) - m;
          e = pick(e < all(-80.f), (vf){}, vexp(e));
          total += e;
          store(p[i] + t, e);
        }
        float f = 1.f / sum(total);
        for (int t = 0; t < len[i]; t += 16) store(p[i] + t, load(p[i] + t) * f);
        memset(out[i], 0, sizeof(float) * dim);
      }
  }
}

// gemm does rows [lo, hi) of C = alpha·op(A)·op(B) + beta·C. pack holds GEMM_K · (GEMM_N + 6) floats.
enum { GEMM_K = 256, GEMM_N = 32 };
INLINE void panel(int k, const float *a, const float *b, float *c, int ldc, float alpha, int m, int n, const int M) {
  vf acc[6][2];
  for (int i = 0; i < M; i++) acc[i][0] = acc[i][1] = (vf){};
  for (int p = 0; p < k; p++, a += 6, b += GEMM_N) {
    vf b0 = load(b), b1 = load(b + 16);
    for (int i = 0; i < M; i++) {
      acc[i][0] += a[i] * b0;
      acc[i][1] += a[i] * b1;
    }
  }
  for (int i = 0; i < m; i++) {
    if (n == GEMM_N) {
      store(c + (size_t)i * ldc, load(c + (size_t)i * ldc) + acc[i][0] * alpha);
      store(c + (size_t)i * ldc + 16, load(c + (size_t)i * ldc + 16) + acc[i][1] * alpha);
    } else
      for (int j = 0; j < n; j++) c[(size_t)i * ldc + j] += alpha * acc[i][j / 16][j % 16];
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
