#define _GNU_SOURCE
#include "kernel.h"
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#if defined(__linux__)
#include <sys/mman.h>
#endif

extern const wk_path wk_generic_path;
#if defined(__x86_64__)
extern const wk_path wk_avx512_path, wk_avx2_path;
#endif

static const wk_path *path = &wk_generic_path;

int wk_paths(const wk_path **out) {
  int n = 0;
#if defined(__x86_64__)
  __builtin_cpu_init();
  int avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("f16c");
  if (avx2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl") &&
      __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vnni"))
    out[n++] = &wk_avx512_path;
  if (avx2) out[n++] = &wk_avx2_path;
#endif
  out[n++] = &wk_generic_path;
  return n;
}
void wk_use(const wk_path *p) { path = p; }

// The pool: a job is chunks 0 … total−1; whoever is free claims the next. A claim is a compare-and-swap on the job's number,
// its total and the next chunk together, so that a thread that wakes late cannot touch a job that is over, nor one to come.
typedef void (*work)(void *arg, int chunk, int thread);
static struct {
  _Atomic uint64_t ticket; // job number << 32 | total << 16 | next chunk
  _Atomic int done, sleepers;
  work fn;
  void *arg;
  int threads, started;
  pthread_mutex_t mu;
  pthread_cond_t wake;
} pool = {.threads = 1, .mu = PTHREAD_MUTEX_INITIALIZER, .wake = PTHREAD_COND_INITIALIZER};

static inline void pause_cpu(void) {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#endif
}

static int claim(uint64_t job, int thread) {
  for (uint64_t t = atomic_load(&pool.ticket); t >> 32 == job && (t & 0xffff) < (t >> 16 & 0xffff);)
    if (atomic_compare_exchange_weak(&pool.ticket, &t, t + 1)) {
      pool.fn(pool.arg, (int)(t & 0xffff), thread);
      atomic_fetch_add(&pool.done, 1);
      return 1;
    }
  return 0;
}

static void *worker(void *id) {
  int thread = (int)(intptr_t)id;
  uint64_t seen = 0;
  for (;;) {
    uint64_t job = atomic_load(&pool.ticket) >> 32;
    for (int spins = 0; job == seen && spins < 4000; spins++) {
      pause_cpu();
      job = atomic_load(&pool.ticket) >> 32;
    }
    if (job == seen) {
      pthread_mutex_lock(&pool.mu);
      atomic_fetch_add(&pool.sleepers, 1);
      while (atomic_load(&pool.ticket) >> 32 == seen) pthread_cond_wait(&pool.wake, &pool.mu);
      atomic_fetch_sub(&pool.sleepers, 1);
      pthread_mutex_unlock(&pool.mu);
      continue;
    }
    if (thread < pool.threads)
      while (claim(job, thread)) {}
    seen = job;
  }
  return NULL;
}

// wk_threads sets how many threads work, the caller's among them. Not while a job runs.
void wk_threads(int n) {
  if (n < 1) n = 1;
  if (n > 64) n = 64;
  pool.threads = n;
  for (; pool.started < n - 1; pool.started++) {
    pthread_t t;
    pthread_attr_t a;
    pthread_attr_init(&a);
    pthread_attr_setdetachstate(&a, PTHREAD_CREATE_DETACHED);
    if (pthread_create(&t, &a, worker, (void *)(intptr_t)(pool.started + 1))) break;
  }
}

// each runs fn for chunks 0 … total−1, at most MOST_CHUNKS of them, and returns when all are done.
enum { MOST_CHUNKS = 60000 };
static void each(work fn, void *arg, int total) {
  if (total <= 1 || pool.threads == 1) {
    for (int i = 0; i < total; i++) fn(arg, i, 0);
    return;
  }
  pool.fn = fn;
  pool.arg = arg;
  atomic_store(&pool.done, 0);
  uint64_t job = (uint32_t)((atomic_load(&pool.ticket) >> 32) + 1);
  atomic_store(&pool.ticket, job << 32 | (uint64_t)total << 16);
  if (atomic_load(&pool.sleepers) > 0) {
    pthread_mutex_lock(&pool.mu);
    pthread_cond_broadcast(&pool.wake);
    pthread_mutex_unlock(&pool.mu);
  }
  while (claim(job, 0)) {}
  while (atomic_load(&pool.done) < total) pause_cpu();
}

typedef struct { const wk_out *outs; int nouts, add, step; const float *x; wk_act *a; } matmul_job;

static void quantize_chunk(void *arg, int chunk, int thread) {
  matmul_job *j = arg;
  int lo = chunk * 16, hi = lo + 16 < j->a->n ? lo + 16 : j->a->n;
  path->quantize(j->a, j->x, lo, hi);
}
static void matmul_chunk(void *arg, int chunk, int thread) {
  matmul_job *j = arg;
  int lo = chunk * j->step, hi = lo + j->step, base = 0;
  for (int o = 0; o < j->nouts; o++) {
    int b = (j->outs[o].rows + ROWS - 1) / ROWS, l = lo - base, h = hi - base;
    l = l < 0 ? 0 : l;
    h = h > b ? b : h;
    if (l < h) path->blocks(&j->outs[o], j->a, l, h, j->add);
    base += b;
  }
}
void wk_matmul(const wk_out *outs, int nouts, const float *x, wk_act *a, int add) {
  matmul_job j = {outs, nouts, add, 0, x, a};
  if (a->n >= 8 && a->n < 16 * MOST_CHUNKS)
    each(quantize_chunk, &j, (a->n + 15) / 16);
  else
    path->quantize(a, x, 0, a->n);
  int blocks = 0;
  for (int o = 0; o < nouts; o++) blocks += (outs[o].rows + ROWS - 1) / ROWS;
  int chunks = pool.threads * 4;
  j.step = (blocks + chunks - 1) / chunks;
  each(matmul_chunk, &j, (blocks + j.step - 1) / j.step);
}

void wk_rmsnorm(float *dst, const float *x, const float *w, int n, int d, float eps) { path->rmsnorm(dst, x, w, n, d, eps); }

typedef struct { float *dst; const float *a, *b; size_t n, step; } ff_job;
static void swiglu_chunk(void *arg, int chunk, int thread) {
  ff_job *j = arg;
  size_t lo = chunk * j->step, hi = lo + j->step < j->n ? lo + j->step : j->n;
  path->swiglu(j->dst + lo, j->a + lo, j->b + lo, hi - lo);
}
void wk_swiglu(float *dst, const float *gate, const float *up, int n) {
  ff_job j = {dst, gate, up, n, n / 256 > 4096 ? n / 256 : 4096};
  each(swiglu_chunk, &j, (n + j.step - 1) / j.step);
}
void wk_rope(float *x, int n, int heads, int dim, const int32_t *pos, const float *cs, const float *sn) { path->rope(x, n, heads, dim, pos, cs, sn); }
float wk_dot(const float *a, const float *b, int n) { return path->dot(a, b, n); }

typedef struct { const float *x; size_t n; float *top; double *log; } sumexp_job;
static void sumexp_chunk(void *arg, int chunk, int thread) {
  sumexp_job *j = arg;
  path->sumexp(j->x + chunk * j->n, j->n, j->top + chunk, j->log + chunk);
}
void wk_sumexp(const float *x, int rows, int n, float *top, double *log) {
  sumexp_job j = {x, n, top, log};
  each(sumexp_chunk, &j, rows);
}

typedef struct { float *dst; const float *mat, *q; size_t rows, n, step; } rows_job;
static void rows_chunk(void *arg, int chunk, int thread) {
  rows_job *j = arg;
  size_t lo = chunk * j->step, hi = lo + j->step < j->rows ? lo + j->step : j->rows;
  for (size_t i = lo; i < hi; i++) j->dst[i] = path->dot(j->mat + i * j->n, j->q, j->n);
}
void wk_dotrows(float *dst, const float *mat, const float *q, int rows, int n) {
  rows_job j = {dst, mat, q, rows, n, rows / 256 > 256 ? rows / 256 : 256};
  each(rows_chunk, &j, (rows + j.step - 1) / j.step);
}

typedef struct { int m, n, k, ta, lda, tb, ldb, ldc, step; const float *a, *b; float alpha, beta, *c, *pack; size_t per; } gemm_job;
static void gemm_chunk(void *arg, int chunk, int thread) {
  gemm_job *j = arg;
  int lo = chunk * j->step, hi = lo + j->step < j->m ? lo + j->step : j->m;
  path->gemm(lo, hi, j->n, j->k, j->a, j->ta, j->lda, j->b, j->tb, j->ldb, j->alpha, j->beta, j->c, j->ldc, j->pack + j->per * thread);
}
void wk_gemm(int m, int n, int k, const float *a, int ta, int lda, const float *b, int tb, int ldb, float alpha, float beta, float *c, int ldc) {
  static float *pack;
  static size_t have;
  int step = m / 4096 > 96 ? (m / 4096 + 5) / 6 * 6 : 96;
  gemm_job j = {m, n, k, ta, lda, tb, ldb, ldc, step, a, b, alpha, beta, c, NULL, 256 * (size_t)(step + 32)};
  size_t need = j.per * pool.threads;
  if (need > have) {
    free(pack);
    pack = aligned_alloc(64, need * sizeof(float));
    have = pack ? need : 0;
  }
  if (!pack) abort();
  j.pack = pack;
  each(gemm_chunk, &j, (m + j.step - 1) / j.step);
}

wk_memory *wk_memory_new(int layers, int heads, int dim) {
  wk_memory *m = calloc(1, sizeof *m);
  if (!m) return NULL;
  *m = (wk_memory){.layers = layers, .heads = heads, .dim = dim, .at = calloc(layers, sizeof(wk_layer))};
  if (!m->at) {
    free(m);
    return NULL;
  }
  return m;
}
void wk_memory_free(wk_memory *m) {
  free(m->slab);
  free(m->at);
  free(m);
}
static int grow(wk_memory *m, int n) {
  if (n <= m->cap) return 1;
  int cap = m->cap ? m->cap : 16;
  while (cap < n) cap += cap < 256 ? cap : 256;
  size_t head = (size_t)cap * m->dim, had = (size_t)m->cap * m->dim, size = 2 * head * m->heads * m->layers * sizeof(uint16_t);
  const size_t huge = 1 << 21;
  uint16_t *slab = aligned_alloc(size < huge ? 64 : huge, size < huge ? (size + 63) & ~(size_t)63 : (size + huge - 1) & ~(huge - 1));
  if (!slab) return 0;
#if defined(__linux__)
  if (size >= huge) madvise(slab, size, MADV_HUGEPAGE);
#endif
  for (int l = 0; l < m->layers; l++) {
    uint16_t *k = slab + 2 * l * head * m->heads, *v = k + head * m->heads;
    for (int h = 0; h < m->heads && had; h++) {
      memcpy(k + h * head, m->at[l].k + h * had, had * sizeof(uint16_t));
      memcpy(v + h * head, m->at[l].v + h * had, had * sizeof(uint16_t));
    }
    m->at[l] = (wk_layer){k, v};
  }
  free(m->slab);
  m->slab = slab;
  m->cap = cap;
  return 1;
}
int wk_memory_append(wk_memory *m, int layer, const float *k, const float *v, int at, int n) {
  if (!grow(m, at + n)) return 0;
  path->append(m, layer, k, v, at, n);
  if (at + n > m->n) m->n = at + n;
  return 1;
}

typedef struct { const wk_attention *c; float *scratch; int heads; struct { int lane, head, tile; } *items; } attend_job;
static void attend_chunk(void *arg, int chunk, int thread) {
  attend_job *j = arg;
  path->attend(j->c, j->items[chunk].lane, j->items[chunk].head, j->items[chunk].tile, j->scratch + (size_t)thread * 8 * j->c->scratch);
}
void wk_attend(wk_attention *c, float *scratch) {
  enum { QUERIES = 8, MOST = 4096 };
  static struct { int lane, head, tile; } items[MOST];
  int kvh = c->lanes[0].own->heads, per = c->heads / kvh, n = 0;
  attend_job j = {c, scratch, kvh, (void *)items};
  for (int i = 0; i < c->n;) {
    int queries = 0, next = i;
    for (; next < c->n && c->lanes[next].first == c->lanes[i].first; next++) queries += c->lanes[next].n * per;
    for (int t = 0; t < queries; t += QUERIES)
      for (int h = 0; h < kvh; h++) {
        items[n].lane = i;
        items[n].head = h;
        items[n].tile = t;
        if (++n == MOST) {
          each(attend_chunk, &j, n);
          n = 0;
        }
      }
    i = next;
  }
  each(attend_chunk, &j, n);
}
