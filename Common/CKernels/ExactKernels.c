#include "ExactKernels.h"

#include <float.h>
#include <math.h>
#include <string.h>

// A multiply-add is fused where it is written so, and nowhere else.
#pragma STDC FP_CONTRACT OFF

static inline __attribute__((always_inline)) double double_of(uint64_t bits) {
  double value;
  memcpy(&value, &bits, sizeof value);
  return value;
}

static inline __attribute__((always_inline)) uint64_t bits_of(double value) {
  uint64_t bits;
  memcpy(&bits, &value, sizeof bits);
  return bits;
}

#define NAME(KERNEL) KERNEL##_portable
#include "ExactKernelsBody.h"
#undef NAME

#if defined(__x86_64__)
#pragma clang attribute push(__attribute__((target("arch=x86-64-v3"))), apply_to = function)
#define NAME(KERNEL) KERNEL##_avx2
#include "ExactKernelsBody.h"
#undef NAME
#pragma clang attribute pop

#pragma clang attribute push(__attribute__((target("arch=x86-64-v4"))), apply_to = function)
#define NAME(KERNEL) KERNEL##_avx512
#include "ExactKernelsBody.h"
#undef NAME
#pragma clang attribute pop
#endif

// MARK: Choice

static _Atomic int chosen = -1;

static int best(void) {
#if defined(__x86_64__)
  __builtin_cpu_init();
  if (__builtin_cpu_supports("x86-64-v4")) return ck_avx512;
  if (__builtin_cpu_supports("x86-64-v3")) return ck_avx2;
#endif
  return ck_portable;
}

int ck_instruction_set(void) {
  int current = chosen;
  if (current < 0) chosen = current = best();
  return current;
}

int ck_use(int instruction_set) {
  int highest = best();
  chosen = instruction_set < ck_portable ? ck_portable : instruction_set < highest ? instruction_set : highest;
  return chosen;
}

#if defined(__x86_64__)
#define CHOOSE(KERNEL, ARGUMENTS)                          \
  switch (ck_instruction_set()) {                          \
    case ck_avx512: return KERNEL##_avx512 ARGUMENTS;      \
    case ck_avx2: return KERNEL##_avx2 ARGUMENTS;          \
    default: return KERNEL##_portable ARGUMENTS;           \
  }
#else
#define CHOOSE(KERNEL, ARGUMENTS) return KERNEL##_portable ARGUMENTS;
#endif

void ck_pack(float *panels, const float *matrix, size_t stride, size_t depth, size_t columns) {
  CHOOSE(ck_pack, (panels, matrix, stride, depth, columns))
}

void ck_pack_transposed(float *panels, const float *matrix, size_t stride, size_t depth, size_t columns) {
  CHOOSE(ck_pack_transposed, (panels, matrix, stride, depth, columns))
}

void ck_matrix_product(float *result, size_t stride, ck_left left, ck_right right, const float *bias, size_t rows,
                       size_t columns, size_t depth) {
  CHOOSE(ck_matrix_product, (result, stride, left, right, bias, rows, columns, depth))
}

void ck_column_sums(float *sums, const float *matrix, size_t stride, size_t rows, size_t columns) {
  CHOOSE(ck_column_sums, (sums, matrix, stride, rows, columns))
}

void ck_exp(float *values, size_t count) { CHOOSE(ck_exp, (values, count)) }
void ck_log(float *values, size_t count) { CHOOSE(ck_log, (values, count)) }
void ck_tanh(float *values, size_t count) { CHOOSE(ck_tanh, (values, count)) }
void ck_logistic(float *values, size_t count) { CHOOSE(ck_logistic, (values, count)) }
void ck_elu(float *values, size_t count) { CHOOSE(ck_elu, (values, count)) }
void ck_selu(float *values, size_t count) { CHOOSE(ck_selu, (values, count)) }
void ck_leaky_relu(float *values, size_t count) { CHOOSE(ck_leaky_relu, (values, count)) }
void ck_silu(float *values, size_t count) { CHOOSE(ck_silu, (values, count)) }
void ck_gelu(float *values, size_t count) { CHOOSE(ck_gelu, (values, count)) }
void ck_relu(float *values, size_t count) { CHOOSE(ck_relu, (values, count)) }

// One value: the same in all.
double ck_log_double(float value) { return log_of_portable(value); }

void ck_relu_gradient(float *gradient, const float *output, size_t count) {
  CHOOSE(ck_relu_gradient, (gradient, output, count))
}

void ck_elu_gradient(float *gradient, const float *output, size_t count) {
  CHOOSE(ck_elu_gradient, (gradient, output, count))
}

void ck_selu_gradient(float *gradient, const float *output, size_t count) {
  CHOOSE(ck_selu_gradient, (gradient, output, count))
}

void ck_leaky_relu_gradient(float *gradient, const float *output, size_t count) {
  CHOOSE(ck_leaky_relu_gradient, (gradient, output, count))
}

void ck_silu_gradient(float *gradient, const float *input, size_t count) {
  CHOOSE(ck_silu_gradient, (gradient, input, count))
}

void ck_gelu_gradient(float *gradient, const float *input, size_t count) {
  CHOOSE(ck_gelu_gradient, (gradient, input, count))
}

void ck_dropout(float *values, size_t stride, size_t rows, size_t width, uint64_t key, uint32_t threshold,
                float scale) {
  CHOOSE(ck_dropout, (values, stride, rows, width, key, threshold, scale))
}

int ck_add_fixed_point(int64_t *sums, const float *values, size_t count, double scale) {
  CHOOSE(ck_add_fixed_point, (sums, values, count, scale))
}

void ck_add_whole(int64_t *sums, const int64_t *values, size_t count) { CHOOSE(ck_add_whole, (sums, values, count)) }

uint64_t ck_largest_magnitude(const int64_t *values, size_t count) { CHOOSE(ck_largest_magnitude, (values, count)) }

void ck_adam(float *weights, float *first, float *second, const int64_t *sums, size_t count, ck_adam_step step) {
  CHOOSE(ck_adam, (weights, first, second, sums, count, step))
}

void ck_descend(float *weights, float *velocity, const int64_t *sums, size_t count, ck_descent_step step) {
  CHOOSE(ck_descend, (weights, velocity, sums, count, step))
}

double ck_square_sum(const int64_t *values, size_t count, double unit) { CHOOSE(ck_square_sum, (values, count, unit)) }

uint64_t ck_digest(const float *values, size_t count) { CHOOSE(ck_digest, (values, count)) }
