#if defined(__x86_64__)
#pragma GCC target("avx2,fma,f16c")
#define NAME(x) wk_avx2_##x
#define LABEL avx2
#define WK_AVX2
#include "body.h"
#endif
