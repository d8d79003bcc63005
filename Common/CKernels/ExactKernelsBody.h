// The kernels of ExactKernels.h, for one instruction set: the including file defines NAME.

#define INLINE static inline __attribute__((always_inline))

typedef float NAME(v16) __attribute__((vector_size(64), aligned(4), may_alias));
#define V16 NAME(v16)

// MARK: Products

// One tile of the result: each element is a chain of fused multiply-adds in the order of k.
#define TILE(ROWS)                                                                                                   \
  INLINE void NAME(tile##ROWS)(float *result, size_t stride, const float *left, size_t row, size_t step,             \
                               const float *right, size_t right_stride, size_t depth, const float *bias, int more) { \
    V16 sum[ROWS];                                                                                                   \
    for (int r = 0; r < ROWS; ++r)                                                                                   \
      sum[r] = more ? *(const V16 *)(result + r * stride) : bias ? *(const V16 *)bias : (V16){0};                    \
    for (size_t k = 0; k < depth; ++k) {                                                                             \
      V16 y = *(const V16 *)(right + k * right_stride);                                                              \
      for (int r = 0; r < ROWS; ++r) {                                                                               \
        float x = left[r * row + k * step];                                                                          \
        V16 all = {x, x, x, x, x, x, x, x, x, x, x, x, x, x, x, x};                                                  \
        sum[r] = __builtin_elementwise_fma(all, y, sum[r]);                                                          \
      }                                                                                                              \
    }                                                                                                                \
    for (int r = 0; r < ROWS; ++r) *(V16 *)(result + r * stride) = sum[r];                                           \
  }
TILE(6) TILE(5) TILE(4) TILE(3) TILE(2) TILE(1)

INLINE void NAME(tiles)(float *result, size_t stride, const float *left, size_t row, size_t step, const float *right,
                        size_t right_stride, size_t depth, const float *bias, int more, size_t rows) {
  size_t i = 0;
  for (; i + 6 <= rows; i += 6)
    NAME(tile6)(result + i * stride, stride, left + i * row, row, step, right, right_stride, depth, bias, more);
  const float *x = left + i * row;
  float *y = result + i * stride;
  switch (rows - i) {
    case 5: NAME(tile5)(y, stride, x, row, step, right, right_stride, depth, bias, more); break;
    case 4: NAME(tile4)(y, stride, x, row, step, right, right_stride, depth, bias, more); break;
    case 3: NAME(tile3)(y, stride, x, row, step, right, right_stride, depth, bias, more); break;
    case 2: NAME(tile2)(y, stride, x, row, step, right, right_stride, depth, bias, more); break;
    case 1: NAME(tile1)(y, stride, x, row, step, right, right_stride, depth, bias, more); break;
    default: break;
  }
}

// Sums longer than this pause in the result, so that a panel's part stays in the first cache.
#define DEPTH 256

static void NAME(ck_matrix_product)(float *result, size_t stride, ck_left left, ck_right right, const float *bias,
                                    size_t rows, size_t columns, size_t depth) {
  size_t first = 0;
  do {
    size_t length = depth - first < DEPTH ? depth - first : DEPTH;
    const float *x = left.start + first * left.step;
    for (size_t j = 0; j < columns; j += 16) {
      const float *y = right.start + j / 16 * right.panel + first * right.stride;
      if (columns - j >= 16) {
        NAME(tiles)(result + j, stride, x, left.row, left.step, y, right.stride, length, bias ? bias + j : 0, first > 0,
                    rows);
        continue;
      }
      // The last columns go through memory of their own: whole vectors would reach beyond the result's rows.
      size_t width = columns - j;
      float own_bias[16] = {0}, own[6 * 16] = {0};
      if (bias) memcpy(own_bias, bias + j, width * sizeof(float));
      for (size_t i = 0; i < rows; i += 6) {
        size_t count = rows - i < 6 ? rows - i : 6;
        if (first > 0)
          for (size_t r = 0; r < count; ++r) memcpy(own + 16 * r, result + (i + r) * stride + j, width * sizeof(float));
        const float *z = x + i * left.row;
        NAME(tiles)(own, 16, z, left.row, left.step, y, right.stride, length, own_bias, first > 0, count);
        for (size_t r = 0; r < count; ++r) memcpy(result + (i + r) * stride + j, own + 16 * r, width * sizeof(float));
      }
    }
    first += length;
  } while (first < depth);
}

static void NAME(ck_column_sums)(float *sums, const float *matrix, size_t stride, size_t rows, size_t columns) {
  memset(sums, 0, columns * sizeof(float));
  for (size_t i = 0; i < rows; ++i)
    for (size_t j = 0; j < columns; ++j) sums[j] += matrix[i * stride + j];
}

static void NAME(ck_pack)(float *panels, const float *matrix, size_t stride, size_t depth, size_t columns) {
  for (size_t j = 0; j < columns; j += 16) {
    size_t width = columns - j < 16 ? columns - j : 16;
    for (size_t k = 0; k < depth; ++k, panels += 16) {
      if (width < 16) memset(panels, 0, 16 * sizeof(float));
      memcpy(panels, matrix + k * stride + j, width * sizeof(float));
    }
  }
}

static void NAME(ck_pack_transposed)(float *panels, const float *matrix, size_t stride, size_t depth, size_t columns) {
  for (size_t j = 0; j < columns; j += 16, panels += 16 * depth) {
    size_t width = columns - j < 16 ? columns - j : 16;
    if (width < 16) memset(panels, 0, 16 * depth * sizeof(float));
    for (size_t k = 0; k < depth; k += 8) {
      size_t length = depth - k < 8 ? depth - k : 8;
      for (size_t c = 0; c < width; ++c)
        for (size_t r = 0; r < length; ++r) panels[(k + r) * 16 + c] = matrix[(j + c) * stride + k + r];
    }
  }
}

// MARK: Functions

// exp(x) = power (1 + p) for |x| <= 708.
INLINE double NAME(reduced)(double x, double *power) {
  const double magic = 6755399441055744.0;  // 1.5 * 2^52: adding it rounds to a whole number, in the low bits
  double shifted = x * 1.4426950408889634074 + magic;
  double k = shifted - magic;
  double r = (x - k * 0.693147180369123816490) - k * 1.90821492927058770002e-10;
  double p = 1.0 / 362880;
  p = p * r + 1.0 / 40320;
  p = p * r + 1.0 / 5040;
  p = p * r + 1.0 / 720;
  p = p * r + 1.0 / 120;
  p = p * r + 1.0 / 24;
  p = p * r + 1.0 / 6;
  p = p * r + 0.5;
  p = p * r + 1.0;
  *power = double_of((bits_of(shifted) + 1023) << 52);
  return p * r;
}

// NaN passes through: comparisons with it are false.
INLINE double NAME(clamped)(double x, double limit) {
  x = x > limit ? limit : x;
  return x < -limit ? -limit : x;
}

INLINE float NAME(exp_one)(float value) {
  double power, p = NAME(reduced)(NAME(clamped)(value, 150), &power);
  return (float)(power + power * p);
}

INLINE float NAME(logistic_one)(float value) {
  double power, p = NAME(reduced)(NAME(clamped)(-(double)value, 150), &power);
  return (float)(1.0 / (1.0 + (power + power * p)));
}

INLINE float NAME(tanh_one)(float value) {
  double power, p = NAME(reduced)(NAME(clamped)(2.0 * (double)value, 60), &power);
  double less_one = power * p + (power - 1.0);
  double result = less_one / (less_one + 2.0);
  return value == 0 ? value : (float)result;  // keeps the sign of zero
}

// 2 artanh((m - 1) / (m + 1)) + e log 2 with x = m 2^e, m from 0.707 to 1.414.
INLINE double NAME(log_of)(float value) {
  double x = value;
  uint64_t bits = bits_of(x);
  int64_t e = (int64_t)(bits - 0x3FE6A09E667F3BCDull) >> 52;
  double m = double_of(bits - ((uint64_t)e << 52));
  double s = (m - 1.0) / (m + 1.0), z = s * s;
  double p = 1.0 / 15;
  p = p * z + 1.0 / 13;
  p = p * z + 1.0 / 11;
  p = p * z + 1.0 / 9;
  p = p * z + 1.0 / 7;
  p = p * z + 1.0 / 5;
  p = p * z + 1.0 / 3;
  double result = (double)(int32_t)e * 0.693147180559945309417 + (2.0 * s + 2.0 * s * z * p);
  result = x > 0 ? result : x == 0 ? -__builtin_inf() : __builtin_nan("");
  return x == __builtin_inf() ? x : result;
}

INLINE float NAME(log_one)(float value) { return (float)NAME(log_of)(value); }

// exp(x) - 1 of x up to 0.
INLINE double NAME(exp_less_one)(double x) {
  double power, p = NAME(reduced)(NAME(clamped)(x, 150), &power);
  return power * p + (power - 1.0);
}

INLINE double NAME(logistic_double)(double x) {
  double power, p = NAME(reduced)(NAME(clamped)(-x, 150), &power);
  return 1.0 / (1.0 + (power + power * p));
}

// The normal distribution's share below x, and its density. With z = |x| / sqrt(2) and t = 2 / (2 + z), erfc(z) is
// exp(-z^2) t times a polynomial that was fitted at Chebyshev nodes for z up to 12; its error there is below 2e-11.
INLINE double NAME(normal_share)(double x, double *density) {
  static const double c[] = {
      0.5627744787950557,     0.32956191919690203,    0.10737093011259005,    0.007247760053609027,
      -0.006781318244022572,  -0.0008280220072277307, 0.0007043511073125827,  1.6952102318203524e-05,
      -8.664427129283353e-05, 1.5345688203481863e-05, 8.089477060968938e-06,  -4.23309650827774e-06,
      -4.254539625859022e-09, 5.045136022896559e-07,  -1.0917206465442986e-07};
  double z = NAME(clamped)(x, 16.9) * 0.70710678118654752440;
  double square = z * z, size = z < 0 ? -z : z, t = 2.0 / (2.0 + size), u = (t - 4.0 / 7) / (3.0 / 7);
  double q = c[14];
  for (int i = 13; i >= 0; --i) q = q * u + c[i];
  double power, p = NAME(reduced)(-square, &power), e = power + power * p;
  *density = e * 0.39894228040143267794;
  double tail = 0.5 * e * t * q;
  return x < 0 ? tail : 1.0 - tail;
}

INLINE float NAME(elu_one)(float x) { return x > 0 ? x : (float)NAME(exp_less_one)(x); }
INLINE float NAME(elu_gradient_one)(float g, float y) { return y > 0 ? g : g * (y + 1.0f); }

#define SELU_SCALE 1.0507009873554804934
#define SELU_ALPHA 1.6732632423543772848
INLINE float NAME(selu_one)(float x) {
  return (float)(x > 0 ? SELU_SCALE * x : SELU_SCALE * SELU_ALPHA * NAME(exp_less_one)(x));
}
INLINE float NAME(selu_gradient_one)(float g, float y) {
  return y > 0 ? g * (float)SELU_SCALE : g * (y + (float)(SELU_SCALE * SELU_ALPHA));
}

INLINE float NAME(leaky_relu_one)(float x) { return x < 0 ? 0.01f * x : x; }
INLINE float NAME(leaky_relu_gradient_one)(float g, float y) { return y > 0 ? g : 0.01f * g; }

// Below these bounds the results are 0 in float, and a larger factor would bring them back.
INLINE double NAME(at_least)(double x, double bound) { return x < bound ? bound : x; }

INLINE float NAME(silu_one)(float x) { return (float)(NAME(at_least)(x, -150) * NAME(logistic_double)(x)); }
INLINE float NAME(silu_gradient_one)(float g, float x) {
  double s = NAME(logistic_double)(x);
  return (float)(g * (s * (1.0 + NAME(clamped)(x, 150) * (1.0 - s))));
}

INLINE float NAME(gelu_one)(float x) {
  double density;
  return (float)(NAME(at_least)(x, -16.9) * NAME(normal_share)(x, &density));
}
INLINE float NAME(gelu_gradient_one)(float g, float x) {
  double density, share = NAME(normal_share)(x, &density);
  return (float)(g * (share + NAME(clamped)(x, 16.9) * density));
}

#define EACH(KERNEL, ONE)                                                  \
  static void NAME(KERNEL)(float *values, size_t count) {                  \
    for (size_t i = 0; i < count; ++i) values[i] = NAME(ONE)(values[i]);   \
  }
EACH(ck_exp, exp_one)
EACH(ck_log, log_one)
EACH(ck_tanh, tanh_one)
EACH(ck_logistic, logistic_one)
EACH(ck_elu, elu_one)
EACH(ck_selu, selu_one)
EACH(ck_leaky_relu, leaky_relu_one)
EACH(ck_silu, silu_one)
EACH(ck_gelu, gelu_one)

#define GRADIENT(KERNEL, ONE)                                                                     \
  static void NAME(KERNEL)(float *gradient, const float *values, size_t count) {                  \
    for (size_t i = 0; i < count; ++i) gradient[i] = NAME(ONE)(gradient[i], values[i]);           \
  }
GRADIENT(ck_elu_gradient, elu_gradient_one)
GRADIENT(ck_selu_gradient, selu_gradient_one)
GRADIENT(ck_leaky_relu_gradient, leaky_relu_gradient_one)
GRADIENT(ck_silu_gradient, silu_gradient_one)
GRADIENT(ck_gelu_gradient, gelu_gradient_one)

static void NAME(ck_relu)(float *values, size_t count) {
  for (size_t i = 0; i < count; ++i) values[i] = values[i] < 0 ? 0 : values[i];
}

static void NAME(ck_relu_gradient)(float *gradient, const float *output, size_t count) {
  for (size_t i = 0; i < count; ++i) gradient[i] = output[i] <= 0 ? 0 : gradient[i];
}

INLINE uint64_t NAME(mixed)(uint64_t z) {
  z += 0x9E3779B97F4A7C15ull;
  z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9ull;
  z = (z ^ z >> 27) * 0x94D049BB133111EBull;
  return z ^ z >> 31;
}

// 32 bits that depend on the value's number and the key.
INLINE uint32_t NAME(draw)(uint32_t number, uint32_t low, uint32_t high) {
  uint32_t x = number * 0x9E3779B1u + low;
  x = (x ^ x >> 16) * 0x7FEB352Du + high;
  x = (x ^ x >> 15) * 0x846CA68Bu;
  return x ^ x >> 16;
}

static void NAME(ck_dropout)(float *values, size_t stride, size_t rows, size_t width, uint64_t key, uint32_t threshold,
                             float scale) {
  uint32_t low = (uint32_t)key, high = (uint32_t)(key >> 32);
  for (size_t row = 0; row < rows; ++row) {
    float *own = values + row * stride;
    uint32_t first = (uint32_t)(row * width);
    for (uint32_t i = 0; i < (uint32_t)width; ++i)
      own[i] = NAME(draw)(first + i, low, high) < threshold ? 0 : own[i] * scale;
  }
}

// MARK: Sums and updates

// The bits from which on a float's size times `scale`, a power of two, is 2^51 or more; those of infinity at most.
INLINE int32_t NAME(fixed_point_limit)(double scale) {
  double limit = 0x1p51 / scale;
  if (!(limit <= FLT_MAX)) return 0x7F800000;
  float least = (float)limit;
  int32_t bits;
  memcpy(&bits, &least, sizeof bits);
  return bits > 0 ? bits : 1;
}

static int NAME(ck_add_fixed_point)(int64_t *sums, const float *values, size_t count, double scale) {
  int32_t largest = 0;
  for (size_t i = 0; i < count; ++i) {
    int32_t bits;
    memcpy(&bits, values + i, sizeof bits);
    bits &= 0x7FFFFFFF;
    largest = bits > largest ? bits : largest;
  }
  if (largest >= NAME(fixed_point_limit)(scale)) return largest >= 0x7F800000 ? 2 : 1;
  const double magic = 0x1.8p52;  // adding it leaves the whole number in the low bits
  const int64_t base = (int64_t)bits_of(magic);
  for (size_t i = 0; i < count; ++i) sums[i] += (int64_t)bits_of((double)values[i] * scale + magic) - base;
  return 0;
}

static void NAME(ck_add_whole)(int64_t *sums, const int64_t *values, size_t count) {
  for (size_t i = 0; i < count; ++i) sums[i] = (int64_t)((uint64_t)sums[i] + (uint64_t)values[i]);
}

static uint64_t NAME(ck_largest_magnitude)(const int64_t *values, size_t count) {
  // A power of two below or at the largest is all that anybody asks for; `or` keeps it, and needs no comparison.
  uint64_t all = 0;
  for (size_t i = 0; i < count; ++i) {
    uint64_t sign = (uint64_t)(values[i] >> 63);
    all |= ((uint64_t)values[i] ^ sign) - sign;
  }
  return all;
}

// (double)value, of operations that have vectors everywhere: the halves are exact, and their sum rounds once.
INLINE double NAME(whole)(int64_t value) {
  double low = double_of(((uint64_t)value & 0xFFFFFFFFull) | 0x4330000000000000ull);
  double high = double_of(((uint64_t)value >> 32) ^ 0x4530000080000000ull);
  return (high - (0x1p84 + 0x1p63 + 0x1p52)) + low;
}

static void NAME(ck_adam)(float *weights, float *first, float *second, const int64_t *sums, size_t count,
                          ck_adam_step step) {
  for (size_t i = 0; i < count; ++i) {
    float w = weights[i];
    float g = (float)(NAME(whole)(sums[i]) * step.unit) + step.decay * w;
    float m = step.beta1 * first[i] + (1.0f - step.beta1) * g;
    float v = step.beta2 * second[i] + (1.0f - step.beta2) * (g * g);
    first[i] = m;
    second[i] = v;
    weights[i] = w * step.keep - step.rate * m / (__builtin_elementwise_sqrt(v) * step.correction + step.epsilon);
  }
}

static void NAME(ck_descend)(float *weights, float *velocity, const int64_t *sums, size_t count, ck_descent_step step) {
  for (size_t i = 0; i < count; ++i) {
    float w = weights[i];
    float g = (float)(NAME(whole)(sums[i]) * step.unit) + step.decay * w;
    if (velocity) {
      float u = step.momentum * velocity[i] + g;
      velocity[i] = u;
      g = step.nesterov ? g + step.momentum * u : u;
    }
    weights[i] = w - step.rate * g;
  }
}

static double NAME(ck_square_sum)(const int64_t *values, size_t count, double unit) {
  double sums[8] = {0};
  size_t i = 0;
  for (; i + 8 <= count; i += 8)
    for (int j = 0; j < 8; ++j) {
      double x = NAME(whole)(values[i + j]) * unit;
      sums[j] += x * x;
    }
  for (int j = 0; i < count; ++i, ++j) {
    double x = NAME(whole)(values[i]) * unit;
    sums[j] += x * x;
  }
  return ((sums[0] + sums[1]) + (sums[2] + sums[3])) + ((sums[4] + sums[5]) + (sums[6] + sums[7]));
}

// Sixteen sums of products with odd numbers, one for each index modulo 16, so that exchanged values show.
static uint64_t NAME(ck_digest)(const float *values, size_t count) {
  uint32_t sums[16], factors[16];
  for (uint32_t j = 0; j < 16; ++j) sums[j] = j, factors[j] = 0x9E3779B1u + 2 * j;
  size_t i = 0;
  for (; i + 16 <= count; i += 16)
    for (int j = 0; j < 16; ++j) {
      uint32_t bits;
      memcpy(&bits, values + i + j, sizeof bits);
      sums[j] = (sums[j] ^ bits) * factors[j];
      sums[j] ^= sums[j] >> 15;
    }
  uint64_t hash = count;
  for (; i < count; ++i) {
    uint32_t bits;
    memcpy(&bits, values + i, sizeof bits);
    hash = NAME(mixed)(hash ^ bits);
  }
  for (int j = 0; j < 16; ++j) hash = NAME(mixed)(hash ^ sums[j]);
  return hash >> 3;
}

#undef V16
#undef TILE
#undef EACH
#undef GRADIENT
#undef SELU_SCALE
#undef SELU_ALPHA
#undef DEPTH
#undef INLINE
