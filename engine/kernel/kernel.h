// The C side of package kernel. Shapes are row-major; sizes count elements unless they say bytes.
#ifndef WEAVE_KERNEL_H
#define WEAVE_KERNEL_H
#include <stdint.h>
#include <stddef.h>

enum { ROWS = 16, GROUP = 32, TILE = 16 };               // rows of a packed block, columns of a group, lanes of a tile
enum { PACKED = ROWS * GROUP + ROWS * 2 };               // bytes of one block of one group: weights, then scales in bfloat16

typedef struct { float *dst; const uint8_t *w; int rows; } wk_out;

// Quantised activations: q [n, cols] in the path's own form, at most 2 bytes each; scale and base [n, cols/GROUP]; base is −128 times the group's sum.
typedef struct { void *q; float *scale; int32_t *base; int n, cols; } wk_act;

// Keys and values of one layer in binary16, each head's on its own, cap tokens apart. Keys stand in blocks of 16 tokens:
// [head][block][dim][16]; values [head][token][dim].
typedef struct { uint16_t *k, *v; } wk_layer;
typedef struct { int layers, heads, dim, n, cap; wk_layer *at; uint16_t *slab; } wk_memory; // one slab for all layers

typedef struct { wk_memory *mem; int n; float *bias; } wk_segment;   // bias: one a layer
typedef struct { wk_memory *own; int before, n, row, first, count; } wk_lane; // segments [first, first+count); row of the first query
typedef struct { wk_lane *lanes; int n; wk_segment *segs; int nsegs; int heads, dim, layer; const float *q; float *out; float scale; int scratch; } wk_attention;

typedef struct {
  const char *name;
  void (*quantize)(wk_act *a, const float *x, int lo, int hi);
  void (*blocks)(const wk_out *o, const wk_act *a, int lo, int hi, int add); // row blocks [lo, hi)
  void (*rmsnorm)(float *dst, const float *x, const float *w, int n, int d, float eps);
  void (*swiglu)(float *dst, const float *gate, const float *up, int n);
  void (*rope)(float *x, int n, int heads, int dim, const int32_t *pos, const float *cs, const float *sn);
  void (*append)(const wk_memory *m, int layer, const float *k, const float *v, int at, int n);
  float (*dot)(const float *a, const float *b, int n);
  void (*sumexp)(const float *x, int n, float *top, double *log);
  void (*attend)(const wk_attention *c, int lane, int head, int tile, float *scratch);
  void (*gemm)(int lo, int hi, int n, int k, const float *a, int ta, int lda, const float *b, int tb, int ldb, float alpha, float beta, float *c, int ldc, float *pack);
} wk_path;

int wk_paths(const wk_path **out); // those this machine can run, best first
void wk_use(const wk_path *p);
void wk_threads(int n);

void wk_matmul(const wk_out *outs, int nouts, const float *x, wk_act *a, int add);
void wk_rmsnorm(float *dst, const float *x, const float *w, int n, int d, float eps);
void wk_swiglu(float *dst, const float *gate, const float *up, int n);
void wk_rope(float *x, int n, int heads, int dim, const int32_t *pos, const float *cs, const float *sn);
float wk_dot(const float *a, const float *b, int n);
void wk_sumexp(const float *x, int rows, int n, float *top, double *log);
void wk_dotrows(float *dst, const float *mat, const float *q, int rows, int n);
void wk_gemm(int m, int n, int k, const float *a, int ta, int lda, const float *b, int tb, int ldb, float alpha, float beta, float *c, int ldc);

wk_memory *wk_memory_new(int layers, int heads, int dim);
void wk_memory_free(wk_memory *m);
int wk_memory_append(wk_memory *m, int layer, const float *k, const float *v, int at, int n); // 0: out of memory
void wk_attend(wk_attention *c, float *scratch);
#endif
