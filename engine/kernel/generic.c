#define NAME(x) wk_generic_##x
#define LABEL generic
#include "body.h"
