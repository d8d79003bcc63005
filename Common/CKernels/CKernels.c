#include "CKernels.h"

#include <math.h>
#include <string.h>

// Contraction to FMA would make the clones differ from host to host.
#pragma STDC FP_CONTRACT OFF

#if defined(__x86_64__)
#define CLONES __attribute__((target_clones("avx512f", "avx2", "default")))
#else
#define CLONES
#endif

#define SWAP(BITS)                                                                 \
  CLONES void ck_swap##BITS(void *target, const void *source, size_t count) {      \
    char *to = target;                                                             \
    const char *from = source;                                                     \
    for (size_t i = 0; i < count; ++i) {                                           \
      uint##BITS##_t value;                                                        \
      memcpy(&value, from + i * sizeof value, sizeof value);                       \
      value = __builtin_bswap##BITS(value);                                        \
      memcpy(to + i * sizeof value, &value, sizeof value);                         \
    }                                                                              \
  }

SWAP(16)
SWAP(32)
SWAP(64)

CLONES int ck_add_fixed_point(int64_t *sum, const float *gradient, size_t count, double scale, double limit) {
  int unfit = 0;
  for (size_t i = 0; i < count; ++i) unfit |= !(fabs((double)gradient[i] * scale) < limit);
  if (unfit) {
    int infinite = 0;
    for (size_t i = 0; i < count; ++i) infinite |= !isfinite(gradient[i]);
    return infinite ? 2 : 1;
  }
  for (size_t i = 0; i < count; ++i) sum[i] += (int64_t)rint((double)gradient[i] * scale);
  return 0;
}

CLONES void ck_normalise(float *target, const float *row, const float *offset, const float *scale, const float *fill,
                         size_t count) {
  for (size_t i = 0; i < count; ++i) {
    float x = row[i];
    float y = (x - offset[i]) * scale[i];
    target[i] = x == x ? y : fill[i];
  }
}

CLONES void ck_adam(float *weights, float *first, float *second, const int64_t *sum, size_t count, double unit, float beta1,
                    float beta2, float rate, float correction1, float correction2, float epsilon) {
  for (size_t i = 0; i < count; ++i) {
    float g = (float)((double)sum[i] * unit);
    float m = beta1 * first[i] + (1.0f - beta1) * g;
    float v = beta2 * second[i] + (1.0f - beta2) * (g * g);
    first[i] = m;
    second[i] = v;
    weights[i] -= rate * (m / correction1) / (sqrtf(v / correction2) + epsilon);
  }
}
