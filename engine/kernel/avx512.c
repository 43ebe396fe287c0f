#if defined(__x86_64__)
#pragma GCC target("avx512f,avx512bw,avx512vl,avx512dq,avx512vnni,avx2,fma")
#define NAME(x) wk_avx512_##x
#define LABEL avx512vnni
#define WK_VNNI
#include "body.h"
#endif
