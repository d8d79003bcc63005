// The arithmetic of training: the same bits on every host.
//
// Every kernel is compiled for each instruction set below. +, -, *, / and sqrt are IEEE 754's, multiply-adds are fused
// where they are written and nowhere else, and each sum is taken in one written order, whatever the width of the
// machine's vectors.
#pragma once

#include <stddef.h>
#include <stdint.h>

// What a processor may offer beyond the language.
enum {
  ck_portable = 0,  // plain C; on arm64 this is the native code
  ck_avx2 = 1,      // x86-64-v3: AVX2 and FMA
  ck_avx512 = 2,    // x86-64-v4
};

// The instruction set in use: the best that the processor has, until `ck_use` has named another one.
int ck_instruction_set(void);
// Uses this instruction set, or the best below it that the processor has; returns the one that is used.
int ck_use(int instruction_set);

// Panels are how the right side of a product lies in memory: 16 columns at a time, a row of 16 after another, padded
// with zeros. A matrix of `depth` rows and `columns` columns takes ck_panel_floats(depth, columns).
static inline size_t ck_panel_floats(size_t depth, size_t columns) { return (columns + 15) / 16 * 16 * depth; }
// Packs a matrix [depth, columns] whose rows begin `stride` apart.
void ck_pack(float *panels, const float *matrix, size_t stride, size_t depth, size_t columns);
// Packs the transpose of a matrix [columns, depth] whose rows begin `stride` apart.
void ck_pack_transposed(float *panels, const float *matrix, size_t stride, size_t depth, size_t columns);

// A matrix product's right side: element (k, j) lies at start + j / 16 * panel + k * stride + j % 16, and 16 floats are
// readable wherever a column of the result lies.
typedef struct {
  const float *start;
  size_t panel, stride;
} ck_right;

// A matrix product's left side: element (i, k) lies at start + i * row + k * step.
typedef struct {
  const float *start;
  size_t row, step;
} ck_left;

// result[i, j] = bias[j] + the sum over k of left(i, k) right(k, j): one chain of fused multiply-adds in the order of
// k, which begins with the bias, or with 0 where there is none. The result's rows begin `stride` apart.
void ck_matrix_product(float *result, size_t stride, ck_left left, ck_right right, const float *bias, size_t rows,
                       size_t columns, size_t depth);
// sums[j] = the sum over the rows i of matrix[i, j], in the order of i, from 0.
void ck_column_sums(float *sums, const float *matrix, size_t stride, size_t rows, size_t columns);

// exp, log, tanh and 1 / (1 + exp(-x)) of each value; the error stays below 0.51 ulp.
void ck_exp(float *values, size_t count);
void ck_log(float *values, size_t count);
void ck_tanh(float *values, size_t count);
void ck_logistic(float *values, size_t count);
// The natural logarithm in double, of a float above 0; NaN below, -infinity at 0.
double ck_log_double(float value);

// Activations of each value; the error of SELU, SiLU and GELU stays below 1 ulp, that of ELU below 0.51.
//   elu: x above 0, else exp(x) - 1;  selu: 1.0507 x above 0, else 1.0507 * 1.6733 (exp(x) - 1)
//   leaky_relu: x above 0, else 0.01 x;  silu: x / (1 + exp(-x))
//   gelu: x times the normal distribution's share below x
void ck_elu(float *values, size_t count);
void ck_selu(float *values, size_t count);
void ck_leaky_relu(float *values, size_t count);
void ck_silu(float *values, size_t count);
void ck_gelu(float *values, size_t count);
// The gradient at an activation's input from that at its output, in place.
void ck_elu_gradient(float *gradient, const float *output, size_t count);
void ck_selu_gradient(float *gradient, const float *output, size_t count);
void ck_leaky_relu_gradient(float *gradient, const float *output, size_t count);
void ck_silu_gradient(float *gradient, const float *input, size_t count);
void ck_gelu_gradient(float *gradient, const float *input, size_t count);

// max(x, 0), and the gradient that passes through it from the output.
void ck_relu(float *values, size_t count);
void ck_relu_gradient(float *gradient, const float *output, size_t count);

// Drops values with the probability threshold / 2^32 and multiplies the others by scale. Rows have `width` values and
// begin `stride` apart; what is dropped follows from the key and the value's row and column.
void ck_dropout(float *values, size_t stride, size_t rows, size_t width, uint64_t key, uint32_t threshold,
                float scale);

// Adds values * scale, a power of two, rounded to the nearest whole number (ties to even), to the sums; none where a
// product is 2^51 or more in size.
// Returns 0, or 1 where a value is too large, or 2 where one is not finite.
int ck_add_fixed_point(int64_t *sums, const float *values, size_t count, double scale);
// Adds whole numbers.
void ck_add_whole(int64_t *sums, const int64_t *values, size_t count);
// Has the processor fetch what lies there, for a read that comes soon.
static inline void ck_prefetch(const void *address) { __builtin_prefetch(address); }
// A number with as many bits as the largest size of a whole number.
uint64_t ck_largest_magnitude(const int64_t *values, size_t count);

// A step of Adam; g = sum unit + decay w.
//   m = beta1 m + (1 - beta1) g,  v = beta2 v + (1 - beta2) g g,
//   w = keep w - rate m / (sqrt(v) correction + epsilon)
// where rate is the learning rate over 1 - beta1^t, and correction 1 / sqrt(1 - beta2^t).
typedef struct {
  double unit;
  float beta1, beta2, rate, correction, epsilon, decay, keep;
} ck_adam_step;
void ck_adam(float *weights, float *first, float *second, const int64_t *sums, size_t count, ck_adam_step step);

// A step of gradient descent; g = sum unit + decay w. Without a velocity w -= rate g; with one
//   u = momentum u + g,  w -= rate u, or rate (g + momentum u) where nesterov is not 0.
typedef struct {
  double unit;
  float momentum, rate, decay;
  int nesterov;
} ck_descent_step;
void ck_descend(float *weights, float *velocity, const int64_t *sums, size_t count, ck_descent_step step);

// The sum of (value unit)^2, in eight sums of every eighth value.
double ck_square_sum(const int64_t *values, size_t count, double unit);

// A hash of the values' bits that differs, but for one chance in 2^61, where they do; below 2^61.
uint64_t ck_digest(const float *values, size_t count);
