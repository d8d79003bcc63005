#include "CKernels.h"

#include <float.h>
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

CLONES int ck_offsets(int64_t *target, const void *stored, size_t count, int64_t first, int64_t last, int shift,
                      int64_t base) {
  const char *from = stored;
  int64_t mask = ((int64_t)1 << shift) - 1;
  int64_t wrong = 0;
  for (size_t i = 0; i < count; ++i) {
    uint32_t before, here;
    memcpy(&before, from + 4 * i - 4, 4);
    memcpy(&here, from + 4 * i, 4);
    int64_t low = (int32_t)__builtin_bswap32(before), high = (int32_t)__builtin_bswap32(here);
    wrong |= (high - low) | (last - high);
    target[i] = base + ((high - first) >> shift);
    // The sign bit marks offsets that fall or pass the end, and parts of items.
    wrong |= -((high - first) & mask);
  }
  return wrong < 0;
}

#define EXTREMES_REAL(NAME, TYPE, COUNT, ABS, LARGEST, LANES)                             \
  CLONES size_t NAME(const TYPE *values, size_t count, TYPE *least, TYPE *most) {         \
    TYPE low[LANES], high[LANES];                                                         \
    COUNT finite[LANES];                                                                  \
    for (int j = 0; j < LANES; ++j) low[j] = INFINITY, high[j] = -INFINITY, finite[j] = 0; \
    size_t total = 0, i = 0;                                                              \
    while (count - i >= LANES) {                                                          \
      /* The lanes' counts are as narrow as the values: emptied before they can overflow. */ \
      size_t stop = count - i > ((size_t)1 << 30) ? i + ((size_t)1 << 30) : count;        \
      for (; i + LANES <= stop; i += LANES)                                               \
        for (int j = 0; j < LANES; ++j) {                                                 \
          TYPE x = values[i + j];                                                         \
          COUNT ok = ABS(x) <= LARGEST;                                                   \
          TYPE a = ok ? x : (TYPE)INFINITY, b = ok ? x : (TYPE)-INFINITY;                 \
          low[j] = a < low[j] ? a : low[j];                                               \
          high[j] = b > high[j] ? b : high[j];                                            \
          finite[j] += ok;                                                                \
        }                                                                                 \
      for (int j = 0; j < LANES; ++j) total += (size_t)finite[j], finite[j] = 0;          \
    }                                                                                     \
    for (; i < count; ++i) {                                                              \
      TYPE x = values[i];                                                                 \
      if (!(ABS(x) <= LARGEST)) continue;                                                 \
      low[0] = x < low[0] ? x : low[0];                                                   \
      high[0] = x > high[0] ? x : high[0];                                                \
      ++total;                                                                            \
    }                                                                                     \
    for (int j = 1; j < LANES; ++j) {                                                     \
      low[0] = low[j] < low[0] ? low[j] : low[0];                                         \
      high[0] = high[j] > high[0] ? high[j] : high[0];                                    \
    }                                                                                     \
    *least = low[0];                                                                      \
    *most = high[0];                                                                      \
    return total;                                                                         \
  }

EXTREMES_REAL(ck_extremes_f32, float, int32_t, fabsf, FLT_MAX, 32)
EXTREMES_REAL(ck_extremes_f64, double, int64_t, fabs, DBL_MAX, 16)

#define EXTREMES_WHOLE(NAME, TYPE)                                                    \
  CLONES void NAME(const TYPE *values, size_t count, TYPE *least, TYPE *most) {       \
    TYPE low = count ? values[0] : 0, high = low;                                     \
    for (size_t i = 0; i < count; ++i) {                                              \
      low = values[i] < low ? values[i] : low;                                        \
      high = values[i] > high ? values[i] : high;                                     \
    }                                                                                 \
    *least = low;                                                                     \
    *most = high;                                                                     \
  }

EXTREMES_WHOLE(ck_extremes_i8, int8_t)
EXTREMES_WHOLE(ck_extremes_u8, uint8_t)
EXTREMES_WHOLE(ck_extremes_i16, int16_t)
EXTREMES_WHOLE(ck_extremes_u16, uint16_t)
EXTREMES_WHOLE(ck_extremes_i32, int32_t)
EXTREMES_WHOLE(ck_extremes_u32, uint32_t)
EXTREMES_WHOLE(ck_extremes_i64, int64_t)
EXTREMES_WHOLE(ck_extremes_u64, uint64_t)

CLONES int64_t ck_widest_step(const int64_t *offsets, size_t count) {
  int64_t widest = 0;
  for (size_t i = 1; i < count; ++i) {
    int64_t step = offsets[i] - offsets[i - 1];
    widest = step > widest ? step : widest;
  }
  return widest;
}

// Sixteen sums, whatever the machine's vectors: the result is the same on all.
#define MOMENTS(SUFFIX, TYPE, VALUE)                                                                            \
  CLONES void ck_first_moments_##SUFFIX(const TYPE *values, const uint8_t *parts, size_t count, uint8_t part,   \
                                        ck_moments *out) {                                                      \
    double sum[16], low[16], high[16];                                                                          \
    int64_t good[16], bad[16];                                                                                  \
    for (int j = 0; j < 16; ++j) sum[j] = 0, low[j] = INFINITY, high[j] = -INFINITY, good[j] = 0, bad[j] = 0;   \
    for (size_t i = 0; i < count; i += 16) {                                                                    \
      int lanes = count - i < 16 ? (int)(count - i) : 16;                                                       \
      if (lanes == 16) {                                                                                        \
        for (int j = 0; j < 16; ++j) FIRST(TYPE, VALUE)                                                         \
      } else {                                                                                                  \
        for (int j = 0; j < lanes; ++j) FIRST(TYPE, VALUE)                                                      \
      }                                                                                                         \
    }                                                                                                           \
    for (int j = 1; j < 16; ++j) {                                                                              \
      sum[0] += sum[j], good[0] += good[j], bad[0] += bad[j];                                                   \
      low[0] = low[j] < low[0] ? low[j] : low[0];                                                               \
      high[0] = high[j] > high[0] ? high[j] : high[0];                                                          \
    }                                                                                                           \
    *out = (ck_moments){good[0], bad[0], sum[0], low[0], high[0]};                                              \
  }                                                                                                             \
  CLONES double ck_second_moment_##SUFFIX(const TYPE *values, const uint8_t *parts, size_t count, uint8_t part, \
                                          double mean) {                                                        \
    double sum[16];                                                                                             \
    for (int j = 0; j < 16; ++j) sum[j] = 0;                                                                    \
    for (size_t i = 0; i < count; i += 16) {                                                                    \
      int lanes = count - i < 16 ? (int)(count - i) : 16;                                                       \
      if (lanes == 16) {                                                                                        \
        for (int j = 0; j < 16; ++j) SECOND(TYPE, VALUE)                                                        \
      } else {                                                                                                  \
        for (int j = 0; j < lanes; ++j) SECOND(TYPE, VALUE)                                                     \
      }                                                                                                         \
    }                                                                                                           \
    for (int j = 1; j < 16; ++j) sum[0] += sum[j];                                                              \
    return sum[0];                                                                                              \
  }

#define FIRST(TYPE, VALUE)                              \
  {                                                     \
    TYPE raw = values[i + j];                           \
    double x = VALUE(raw);                              \
    int64_t mine = parts[i + j] == part;                \
    int64_t ok = mine & (fabs(x) <= (double)FLT_MAX);   \
    good[j] += ok;                                      \
    bad[j] += mine - ok;                                \
    sum[j] += ok ? x : 0.0;                             \
    double a = ok ? x : INFINITY, b = ok ? x : -INFINITY; \
    low[j] = a < low[j] ? a : low[j];                   \
    high[j] = b > high[j] ? b : high[j];                \
  }

#define SECOND(TYPE, VALUE)                                                \
  {                                                                        \
    TYPE raw = values[i + j];                                              \
    double x = VALUE(raw);                                                 \
    int ok = (parts[i + j] == part) & (fabs(x) <= (double)FLT_MAX);        \
    double distance = ok ? x - mean : 0.0;                                 \
    sum[j] += distance * distance;                                         \
  }

#define PLAIN(raw) ((double)(raw))
#define TRUTH(raw) ((raw) ? 1.0 : 0.0)

MOMENTS(bool, uint8_t, TRUTH)
MOMENTS(i8, int8_t, PLAIN)
MOMENTS(u8, uint8_t, PLAIN)
MOMENTS(i16, int16_t, PLAIN)
MOMENTS(u16, uint16_t, PLAIN)
MOMENTS(i32, int32_t, PLAIN)
MOMENTS(u32, uint32_t, PLAIN)
MOMENTS(i64, int64_t, PLAIN)
MOMENTS(u64, uint64_t, PLAIN)
MOMENTS(f32, float, PLAIN)
MOMENTS(f64, double, PLAIN)

CLONES void ck_normalise(float *target, const float *row, const float *offset, const float *scale, const float *fill,
                         size_t count) {
  for (size_t i = 0; i < count; ++i) {
    float x = row[i];
    float y = (x - offset[i]) * scale[i];
    target[i] = x == x ? y : fill[i];
  }
}
