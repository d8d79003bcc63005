// Loops that need SIMD on any x86-64: each picks its clone at run time, and each has a Swift twin in the tests.
#pragma once
#include <stddef.h>
#include <stdint.h>

#include "ExactKernels.h"

// Copies `count` big-endian numbers of 2, 4 or 8 bytes into the machine's order. Source and target may be unaligned.
void ck_swap16(void *target, const void *source, size_t count);
void ck_swap32(void *target, const void *source, size_t count);
void ck_swap64(void *target, const void *source, size_t count);

// Turns `count` big-endian 32-bit byte offsets, which rise from `first` (stored just before them) to at most `last` in
// steps of 2^shift bytes, into item offsets that begin at `base`. Returns 1 where they do not rise so; `target` is then
// of no use.
int ck_offsets(int64_t *target, const void *stored, size_t count, int64_t first, int64_t last, int shift, int64_t base);

// Least and most of the finite values; returns how many those are. With none, least is +inf and most is -inf.
size_t ck_extremes_f32(const float *values, size_t count, float *least, float *most);
size_t ck_extremes_f64(const double *values, size_t count, double *least, double *most);

// Least and most of whole numbers; both 0 where there are none.
void ck_extremes_i8(const int8_t *values, size_t count, int8_t *least, int8_t *most);
void ck_extremes_u8(const uint8_t *values, size_t count, uint8_t *least, uint8_t *most);
void ck_extremes_i16(const int16_t *values, size_t count, int16_t *least, int16_t *most);
void ck_extremes_u16(const uint16_t *values, size_t count, uint16_t *least, uint16_t *most);
void ck_extremes_i32(const int32_t *values, size_t count, int32_t *least, int32_t *most);
void ck_extremes_u32(const uint32_t *values, size_t count, uint32_t *least, uint32_t *most);
void ck_extremes_i64(const int64_t *values, size_t count, int64_t *least, int64_t *most);
void ck_extremes_u64(const uint64_t *values, size_t count, uint64_t *least, uint64_t *most);

// Of the values that belong to one part (of the training split): those of at most Float32's size, the others, and the
// first ones' sum and extremes. The second moment is the sum of squared distances from `mean`.
typedef struct {
  int64_t good;
  int64_t bad;
  double sum;
  double least;
  double most;
} ck_moments;

void ck_first_moments_bool(const uint8_t *values, const uint8_t *parts, size_t count, uint8_t part, ck_moments *out);
double ck_second_moment_bool(const uint8_t *values, const uint8_t *parts, size_t count, uint8_t part, double mean);
void ck_first_moments_i8(const int8_t *values, const uint8_t *parts, size_t count, uint8_t part, ck_moments *out);
double ck_second_moment_i8(const int8_t *values, const uint8_t *parts, size_t count, uint8_t part, double mean);
void ck_first_moments_u8(const uint8_t *values, const uint8_t *parts, size_t count, uint8_t part, ck_moments *out);
double ck_second_moment_u8(const uint8_t *values, const uint8_t *parts, size_t count, uint8_t part, double mean);
void ck_first_moments_i16(const int16_t *values, const uint8_t *parts, size_t count, uint8_t part, ck_moments *out);
double ck_second_moment_i16(const int16_t *values, const uint8_t *parts, size_t count, uint8_t part, double mean);
void ck_first_moments_u16(const uint16_t *values, const uint8_t *parts, size_t count, uint8_t part, ck_moments *out);
double ck_second_moment_u16(const uint16_t *values, const uint8_t *parts, size_t count, uint8_t part, double mean);
void ck_first_moments_i32(const int32_t *values, const uint8_t *parts, size_t count, uint8_t part, ck_moments *out);
double ck_second_moment_i32(const int32_t *values, const uint8_t *parts, size_t count, uint8_t part, double mean);
void ck_first_moments_u32(const uint32_t *values, const uint8_t *parts, size_t count, uint8_t part, ck_moments *out);
double ck_second_moment_u32(const uint32_t *values, const uint8_t *parts, size_t count, uint8_t part, double mean);
void ck_first_moments_i64(const int64_t *values, const uint8_t *parts, size_t count, uint8_t part, ck_moments *out);
double ck_second_moment_i64(const int64_t *values, const uint8_t *parts, size_t count, uint8_t part, double mean);
void ck_first_moments_u64(const uint64_t *values, const uint8_t *parts, size_t count, uint8_t part, ck_moments *out);
double ck_second_moment_u64(const uint64_t *values, const uint8_t *parts, size_t count, uint8_t part, double mean);
void ck_first_moments_f32(const float *values, const uint8_t *parts, size_t count, uint8_t part, ck_moments *out);
double ck_second_moment_f32(const float *values, const uint8_t *parts, size_t count, uint8_t part, double mean);
void ck_first_moments_f64(const double *values, const uint8_t *parts, size_t count, uint8_t part, ck_moments *out);
double ck_second_moment_f64(const double *values, const uint8_t *parts, size_t count, uint8_t part, double mean);

// The widest difference of neighbours; 0 where none is positive.
int64_t ck_widest_step(const int64_t *offsets, size_t count);

// target[i] = (x == x) ? (x - offset[i]) * scale[i] : fill[i], in float.
void ck_normalise(float *target, const float *row, const float *offset, const float *scale, const float *fill,
                  size_t count);
