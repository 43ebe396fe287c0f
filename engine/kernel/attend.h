// Attention.

static void NAME(append)(const wk_memory *m, int layer, const float *k, const float *v, int at, int n) {
  int dim = m->dim;
  for (int h = 0; h < m->heads; h++) {
    uint16_t *mk = m->at[layer].k + (size_t)h * m->cap * dim, *mv = m->at[layer].v + (size_t)h * m->cap * dim;
    for (int i = 0; i < n; i++) {
      const float *sk = k + ((size_t)i * m->heads + h) * dim, *sv = v + ((size_t)i * m->heads + h) * dim;
      uint16_t *dk = mk + (size_t)((at + i) / 16) * dim * 16 + (at + i) % 16, *dv = mv + (size_t)(at + i) * dim;
      for (int d = 0; d < dim; d += W) {
        uint16_t half[W];
        to_half(half, load(sk + d));
        for (int j = 0; j < W; j++) dk[(size_t)(d + j) * 16] = half[j];
        to_half(dv + d, load(sv + d));
      }
    }
  }
}

// QUERIES are the queries of a tile, VALUES those that share a pass over the values, AHEAD how many numbers ahead keys and values are
// fetched. What the registers hold: queries that are scored at once, by how many vectors of keys, and vectors of values that
// VALUES queries add up.
enum { QUERIES = 8, VALUES = 4, AHEAD = 2048 };
#if defined(WK_VNNI)
enum { SCORED = 8, KEYS = 1, WIDE = 4 };
#elif defined(WK_AVX2)
enum { SCORED = 4, KEYS = 2, WIDE = 2 };
#else
enum { SCORED = 8, KEYS = 1, WIDE = 2 };
#endif

// Scores of N queries against a block of 16 keys: out[i] = q_i · K.
INLINE void score(const float **q, const uint16_t *k, int dim, float (*out)[16], const int N) {
  for (int s = 0; s < 16; s += KEYS * W) {
    vf acc[SCORED][KEYS];
    for (int i = 0; i < N; i++)
      for (int c = 0; c < KEYS; c++) acc[i][c] = (vf){};
    for (int d = 0; d < dim; d++) {
      vf key[KEYS];
      for (int c = 0; c < KEYS; c++) key[c] = from_half(k + 16 * d + s + c * W);
      for (int i = 0; i < N; i++)
        for (int c = 0; c < KEYS; c++) acc[i][c] += q[i][d] * key[c];
    }
    for (int i = 0; i < N; i++)
      for (int c = 0; c < KEYS; c++) store(out[i] + s + c * W, acc[i][c]);
  }
}

// Adds to N queries' outputs, C vectors wide from column d, the values of n tokens by their weights p.
INLINE void mix(float *const *out, float *const *p, const uint16_t *v, size_t stride, int n, int d, const int N, const int C) {
  vf acc[VALUES][4];
  for (int i = 0; i < N; i++)
    for (int c = 0; c < C; c++) acc[i][c] = load(out[i] + d + W * c);
  for (int t = 0; t < n; t++, v += stride) {
    __builtin_prefetch(v + d + AHEAD, 0, 2);
    vf row[4];
    for (int c = 0; c < C; c++) row[c] = from_half(v + d + W * c);
    for (int i = 0; i < N; i++)
      for (int c = 0; c < C; c++) acc[i][c] += p[i][t] * row[c];
  }
  for (int i = 0; i < N; i++)
    for (int c = 0; c < C; c++) store(out[i] + d + W * c, acc[i][c]);
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
          for (int l = 0; l < dim * 16; l += 32) __builtin_prefetch(k + AHEAD + l, 0, 2);
          float sc[QUERIES][16];
          for (int i = 0; i < N; i += SCORED) {
            const float **t = q + r.q0 + i;
            switch (N - i < SCORED ? N - i : SCORED) {
            case 8: score(t, k, dim, sc + i, 8); break;
            case 7: score(t, k, dim, sc + i, 7); break;
            case 6: score(t, k, dim, sc + i, 6); break;
            case 5: score(t, k, dim, sc + i, 5); break;
            case 4: score(t, k, dim, sc + i, 4); break;
            case 3: score(t, k, dim, sc + i, 3); break;
            case 2: score(t, k, dim, sc + i, 2); break;
            default: score(t, k, dim, sc + i, 1);
            }
          }
          for (int i = 0; i < N; i++)
            for (int s = 0; s < 16; s += W) {
              static const int32_t step[16] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
              vf x = load(sc[i] + s) * c->scale + r.bias;
              store(w[r.q0 + i] + 16 * b + s, pick(*(const viu *)(step + s) + 16 * b < r.limit[r.q0 + i] - (vi){}, x, all(-1e30f)));
            }
        }
      } else {
        for (int i = r.q0; i < r.q1; i += VALUES) {
          int V = r.q1 - i < VALUES ? r.q1 - i : VALUES, d = 0;
          for (; d + 4 * W <= dim; d += 4 * W) switch (V) {
            case 4:
              for (int e = 0; e < 4; e += WIDE) mix(out + i, w + i, v, dim, r.n, d + e * W, 4, WIDE);
              break;
            case 3: mix(out + i, w + i, v, dim, r.n, d, 3, 4); break;
            case 2: mix(out + i, w + i, v, dim, r.n, d, 2, 4); break;
            default: mix(out + i, w + i, v, dim, r.n, d, 1, 4);
            }
          for (; d < dim; d += 16)
            for (int e = 0; e < V; e++) mix(out + i + e, w + i + e, v, dim, r.n, d, 1, 16 / W);
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
        for (int t = 0; t < len[i]; t += W) top = larger(load(p[i] + t), top);
        float m = most(top);
        for (int t = 0; t < len[i]; t += W) {
          vf e = load(p[i] + t) - m;
          e = pick(e < all(-80.f), (vf){}, vexp(e));
          total += e;
          store(p[i] + t, e);
        }
        float f = 1.f / sum(total);
        for (int t = 0; t < len[i]; t += W) store(p[i] + t, load(p[i] + t) * f);
        memset(out[i], 0, sizeof(float) * dim);
      }
  }
}

