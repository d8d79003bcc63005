// Loops that need SIMD on any x86-64: each picks its clone at run time, and each has a Swift twin in the tests.
#pragma once
#include <stddef.h>
#include <stdint.h>

// Copies `count` big-endian numbers of 2, 4 or 8 bytes into the machine's order. Source and target may be unaligned.
void ck_swap16(void *target, const void *source, size_t count);
void ck_swap32(void *target, const void *source, size_t count);
void ck_swap64(void *target, const void *source, size_t count);

// Adds round-to-nearest-even(gradient[i] * scale) to sum[i]. `scale` is a power of two, so the product is exact in double.
// Returns 0; 1 where a value is not below `limit` in size; 2 where one is not finite. Then `sum` is unchanged.
int ck_add_fixed_point(int64_t *sum, const float *gradient, size_t count, double scale, double limit);

// target[i] = (x == x) ? (x - offset[i]) * scale[i] : fill[i], in float.
void ck_normalise(float *target, const float *row, const float *offset, const float *scale, const float *fill, size_t count);

// One Adam step on `weights`, with gradient[i] = sum[i] * unit; moments in float. See Models/Optimizer for the formula.
void ck_adam(float *weights, float *first, float *second, const int64_t *sum, size_t count, double unit, float beta1, float beta2,
             float rate, float correction1, float correction2, float epsilon);
