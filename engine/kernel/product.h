// int8 products.

// How a path keeps an activation, and the largest it keeps: dpbusd takes bytes. The others multiply words, and keep of four columns
// the even ones and then the odd, as the weights' bytes lie in words. AVX2 adds products up in 32 bits, and so has room for 15 bits.
#if defined(WK_VNNI)
typedef int8_t quant;
#define LARGEST 127.f
#elif defined(WK_AVX2)
typedef int16_t quant;
#define LARGEST 16383.f
#else
typedef int16_t quant;
#define LARGEST 127.f
#endif

static void NAME(quantize)(wk_act *a, const float *x, int lo, int hi) {
  int groups = a->cols / GROUP;
  for (int i = lo; i < hi; i++)
    for (int g = 0; g < groups; g++) {
      const float *s = x + (size_t)i * a->cols + g * GROUP;
      quant *to = (quant *)a->q + (size_t)i * a->cols + g * GROUP;
      vf m = {};
      for (int k = 0; k < GROUP; k += W) m = larger((vf)((vi)load(s + k) & 0x7fffffff), m);
      float top = most(m), f = top > 0 ? LARGEST / top : 0;
      vi q[GROUP / W], both = {};
      for (int k = 0; k < GROUP / W; k++) both += q[k] = (vi)(load(s + k * W) * f + 12582912.f) - 0x4b400000;
#if defined(WK_AVX2)
      const __m256i order = _mm256_setr_epi8(0, 1, 4, 5, 2, 3, 6, 7, 8, 9, 12, 13, 10, 11, 14, 15, 0, 1, 4, 5, 2, 3, 6, 7, 8, 9, 12, 13, 10, 11, 14, 15);
      for (int k = 0; k < GROUP / W; k += 2) {
        __m256i pairs = _mm256_permute4x64_epi64(_mm256_packs_epi32((__m256i)q[k], (__m256i)q[k + 1]), 0xd8);
        _mm256_storeu_si256((__m256i *)(to + k * W), _mm256_shuffle_epi8(pairs, order));
      }
#elif defined(WK_VNNI)
      for (int k = 0; k < GROUP / W; k++) *(vcu *)(to + k * W) = __builtin_convertvector(q[k], vcu);
#else
      for (int k = 0; k < GROUP / W; k++) {
        vi v = q[k];
        for (int c = 0; c < W; c++) to[k * W + (c & ~3) + (c & 1) * 2 + (c >> 1 & 1)] = v[c];
      }
#endif
      int32_t t = 0;
      for (int j = 0; j < W; j++) t += both[j];
      a->scale[i * groups + g] = top / LARGEST;
      a->base[i * groups + g] = -128 * t;
    }
}

#if defined(WK_AVX2)
// t + a·b. The barrier keeps the compiler from adding the products up first, which takes more registers than there are.
INLINE __m256i also(__m256i t, __m256i a, __m256i b) {
  t = _mm256_add_epi32(t, _mm256_madd_epi16(a, b));
  __asm__("" : "+x"(t));
  return t;
}
#endif

// One block of 16 rows against N lanes: out[i] = Σ_g wscale · ascale · Σ_c w·a. The inner sum is exact, and the outer in the same
// order for every N. The first lanes of a block fetch weights ahead.
INLINE void lanes(const uint8_t *w, const quant *q, const float *as, const int32_t *base, int cols, float (*out)[ROWS], int first, const int N) {
  int groups = cols / GROUP;
  enum { V = ROWS / W };
  vf acc[TILE][V];
  for (int i = 0; i < N; i++)
    for (int r = 0; r < V; r++) acc[i][r] = (vf){};
  for (int g = 0; g < groups; g++, w += PACKED) {
#if defined(WK_VNNI)
    vf ws = scales(w + ROWS * GROUP);
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
      acc[i][0] += (vf)_mm512_cvtepi32_ps(t) * (ws * as[i * groups + g]);
    }
#elif defined(WK_AVX2)
    const __m256i low = _mm256_set1_epi16(0xff);
    const quant *p = q + g * GROUP;
    if (first) // eight groups ahead, into the second cache
      for (int l = 0; l < PACKED; l += 64) _mm_prefetch((const char *)w + 8 * PACKED + l, _MM_HINT_T1);
    __m256i t[TILE][2];
    for (int i = 0; i < N; i++) t[i][0] = t[i][1] = _mm256_set1_epi32(base[i * groups + g]);
    for (int c = 0; c < 8; c++, p += 4) {
      __m256i b0 = _mm256_loadu_si256((const __m256i *)(w + 64 * c)), b1 = _mm256_loadu_si256((const __m256i *)(w + 64 * c + 32));
      __m256i even0 = _mm256_and_si256(b0, low), odd0 = _mm256_srli_epi16(b0, 8), even1 = _mm256_and_si256(b1, low), odd1 = _mm256_srli_epi16(b1, 8);
      for (int i = 0; i < N; i++) {
        int32_t e, o;
        memcpy(&e, p + (size_t)i * cols, 4);
        memcpy(&o, p + (size_t)i * cols + 2, 4);
        __m256i even = _mm256_set1_epi32(e), odd = _mm256_set1_epi32(o);
        t[i][0] = also(t[i][0], even0, even);
        t[i][1] = also(t[i][1], even1, even);
        t[i][0] = also(t[i][0], odd0, odd);
        t[i][1] = also(t[i][1], odd1, odd);
      }
    }
    vf ws[2] = {scales(w + ROWS * GROUP), scales(w + ROWS * GROUP + 2 * W)};
    for (int i = 0; i < N; i++)
      for (int r = 0; r < V; r++) acc[i][r] += (vf)_mm256_cvtepi32_ps(t[i][r]) * (ws[r] * as[i * groups + g]);
#else
    for (int r = 0; r < V; r++) {
      const quant *p = q + g * GROUP;
      vi t[TILE];
      for (int i = 0; i < N; i++) t[i] = (vi){};
      for (int c = 0; c < 8; c++, p += 4) {
        vs b = *(const vsu *)(w + 64 * c + 4 * W * r) ^ (int16_t)0x8080, even = b << 8 >> 8, odd = b >> 8;
        for (int i = 0; i < N; i++) {
          int32_t two[2];
          memcpy(two, p + (size_t)i * cols, 8);
          vi s = (vi)(even * (vs)(two[0] - (vi){}) + odd * (vs)(two[1] - (vi){})); // |w| and |a| ≤ 127: two products stay below 2^15
          t[i] += (s << 16 >> 16) + (s >> 16);
        }
      }
      vf ws = scales(w + ROWS * GROUP + 2 * W * r);
      for (int i = 0; i < N; i++) acc[i][r] += __builtin_convertvector(t[i], vf) * (ws * as[i * groups + g]);
    }
#endif
  }
  for (int i = 0; i < N; i++)
    for (int r = 0; r < V; r++) store(out[i] + r * W, acc[i][r]);
}

static void NAME(blocks)(const wk_out *o, const wk_act *a, int lo, int hi, int add) {
  int groups = a->cols / GROUP;
  float out[TILE][ROWS];
  for (int b = lo; b < hi; b++) {
    const uint8_t *w = o->w + (size_t)b * groups * PACKED;
    int left = o->rows - b * ROWS;
    for (int i = 0; i < a->n;) {
      const quant *q = (const quant *)a->q + (size_t)i * a->cols;
      const float *s = a->scale + (size_t)i * groups;
      const int32_t *z = a->base + (size_t)i * groups;
      int n = a->n - i;
#define CASE(N) lanes(w, q, s, z, a->cols, out, i == 0, N); n = N
#if defined(WK_VNNI)
      if (n >= 16) { CASE(16); }
      else if (n >= 12) { CASE(12); }
      else if (n >= 8) { CASE(8); }
      else
#endif
      switch (n) {
#if defined(WK_VNNI)
        case 7: CASE(7); break;
        case 6: CASE(6); break;
        case 5: CASE(5); break;
#endif
        case 3: CASE(3); break;
        case 2: CASE(2); break;
        case 1: CASE(1); break;
        default: CASE(4);
        }
#undef CASE
      for (int j = 0; j < n; j++) {
        float *d = o->dst + (size_t)(i + j) * o->rows + b * ROWS;
        if (left >= ROWS)
          for (int r = 0; r < ROWS; r += W) store(d + r, add ? load(d + r) + load(out[j] + r) : load(out[j] + r));
        else
          for (int r = 0; r < left; r++) d[r] = add ? d[r] + out[j][r] : out[j][r];
      }
      i += n;
    }
  }
}

