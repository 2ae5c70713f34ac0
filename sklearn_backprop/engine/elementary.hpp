// Elementary functions without branches or tables, so that loops over them vectorise;
// within a few units in the last place of the C library's.
#pragma once

#include <cmath>
#include <cstring>
#include <limits>
#include <type_traits>

#include "simd.hpp"

namespace sklearn_backprop::elementary {

template <typename T>
struct Format;

// Bits are unsigned: those of NaN may overflow, which must wrap around.
template <>
struct Format<float> {
  using Bits = std::uint32_t;
  static constexpr int mantissa_bits = 23;
  static constexpr Bits bias = 127;
  static constexpr float lowest_exponent = -104.0F;  // exp() is 0 below
  static constexpr float highest_exponent = 89.0F;   // and infinite above
  static constexpr float ln2_high = 0.693359375F;    // few bits: n * ln2_high is exact
  static constexpr float ln2_low = -2.12194440e-4F;
};

template <>
struct Format<double> {
  using Bits = std::uint64_t;
  static constexpr int mantissa_bits = 52;
  static constexpr Bits bias = 1023;
  static constexpr double lowest_exponent = -746.0;
  static constexpr double highest_exponent = 710.0;
  static constexpr double ln2_high = 6.93147180369123816490e-01;
  static constexpr double ln2_low = 1.90821492927058770002e-10;
};

template <typename To, typename From>
SKB_INLINE To bit_cast(From from) {
  static_assert(sizeof(To) == sizeof(From));
  To to;
  std::memcpy(&to, &from, sizeof(To));
  return to;
}

// These keep NaN: a comparison with it is false.
template <typename T>
SKB_INLINE T at_least(T x, T low) {
  return x < low ? low : x;
}
template <typename T>
SKB_INLINE T at_most(T x, T high) {
  return x > high ? high : x;
}
template <typename T>
SKB_INLINE T absolute(T x) {
  return x < T(0) ? -x : x;
}

// c0 + x (c1 + x (c2 + ...))
template <typename T>
SKB_INLINE T horner(T, T c0) {
  return c0;
}
template <typename T, typename... Rest>
SKB_INLINE T horner(T x, T c0, Rest... rest) {
  return c0 + x * horner(x, rest...);
}

// x = n ln 2 + r with |r| <= ln(2)/2; adding 1.5 * 2^mantissa rounds to an integer and
// leaves it in the low bits.
template <typename T>
struct Reduced {
  T r;
  typename Format<T>::Bits n;
};

template <typename T>
SKB_INLINE Reduced<T> reduce(T x) {
  using F = Format<T>;
  constexpr T magic = T(1.5) * static_cast<T>(typename F::Bits(1) << F::mantissa_bits);
  const T shifted = x * T(1.44269504088896340736) + magic;
  const T n = shifted - magic;
  const auto bits =
      bit_cast<typename F::Bits>(shifted) - bit_cast<typename F::Bits>(magic);
  return {(x - n * F::ln2_high) - n * F::ln2_low, bits};
}

template <typename T>
SKB_INLINE T power_of_two(typename Format<T>::Bits n) {
  using F = Format<T>;
  return bit_cast<T>((n + F::bias) << F::mantissa_bits);
}

// e^r - 1 for |r| <= ln(2)/2: the Taylor series, cut where terms fall below rounding.
template <typename T>
SKB_INLINE T expm1_near_zero(T r) {
  if constexpr (std::is_same_v<T, float>) {
    return r + r * r *
                   horner(r, T(1. / 2), T(1. / 6), T(1. / 24), T(1. / 120), T(1. / 720),
                          T(1. / 5040));
  } else {
    return r + r * r *
                   horner(r, T(1. / 2), T(1. / 6), T(1. / 24), T(1. / 120), T(1. / 720),
                          T(1. / 5040), T(1. / 40320), T(1. / 362880), T(1. / 3628800),
                          T(1. / 39916800), T(1. / 479001600), T(1. / 6227020800));
  }
}

template <typename T>
SKB_INLINE T exp(T x) {
  using F = Format<T>;
  const auto reduced =
      reduce(at_most(at_least(x, F::lowest_exponent), F::highest_exponent));
  // Two factors: 2^n alone overflows, or loses the denormals, at the ends. Half of n is
  // that of n + 2 bias, which is not below zero.
  const auto half = ((reduced.n + 2 * F::bias) >> 1) - F::bias;
  return (T(1) + expm1_near_zero(reduced.r)) * power_of_two<T>(half) *
         power_of_two<T>(reduced.n - half);
}

// e^x - 1 for x up to about 80 (700): enough for its uses below.
template <typename T>
SKB_INLINE T expm1(T x) {
  const auto reduced = reduce(at_least(x, T(-50)));
  const T scale = power_of_two<T>(reduced.n);
  return scale * expm1_near_zero(reduced.r) + (scale - T(1));
}

template <typename T>
SKB_INLINE T tanh(T x) {
  const T magnitude = at_most(absolute(x), T(20));
  const T e = expm1(T(2) * magnitude);
  const T t = e / (e + T(2));
  return x < T(0) ? -t : t;
}

template <typename T>
SKB_INLINE T logistic(T x) {
  return T(1) / (T(1) + exp(-x));
}

// sin and cos of 2 pi t: of a quarter turn, by Taylor's series, and its mirror images.
template <typename T>
struct Wave {
  T sine;
  T cosine;
};

template <typename T>
SKB_INLINE Wave<T> sine_and_cosine(T t) {
  const T turn = t - std::rint(t);
  const T half = absolute(turn);
  const bool is_behind = half > T(0.25);
  const T angle = T(6.28318530717958647693) * (is_behind ? T(0.5) - half : half);
  const T s = angle * angle;
  T sine, cosine;
  if constexpr (std::is_same_v<T, float>) {
    sine = horner(s, T(1), T(-1. / 6), T(1. / 120), T(-1. / 5040), T(1. / 362880),
                  T(-1. / 39916800), T(1. / 6227020800));
    cosine = horner(s, T(1), T(-1. / 2), T(1. / 24), T(-1. / 720), T(1. / 40320),
                    T(-1. / 3628800), T(1. / 479001600));
  } else {
    sine = horner(s, T(1), T(-1. / 6), T(1. / 120), T(-1. / 5040), T(1. / 362880),
                  T(-1. / 39916800), T(1. / 6227020800), T(-1. / 1307674368000),
                  T(1. / 355687428096000), T(-1. / 121645100408832000),
                  T(1. / 51090942171709440000.), T(-1. / 25852016738884976640000.));
    cosine = horner(s, T(1), T(-1. / 2), T(1. / 24), T(-1. / 720), T(1. / 40320),
                    T(-1. / 3628800), T(1. / 479001600), T(-1. / 87178291200),
                    T(1. / 20922789888000), T(-1. / 6402373705728000),
                    T(1. / 2432902008176640000), T(-1. / 1124000727777607680000.),
                    T(1. / 620448401733239439360000.));
  }
  sine *= angle;
  return {turn < T(0) ? -sine : sine, is_behind ? -cosine : cosine};
}

// log(1 + u) for 0 <= u <= 1. With w = 1 + u rounded, log(w) + (1 + u - w) / w restores
// what rounding lost; log(w) = 2 atanh((w - 1) / (w + 1)) on [sqrt(1/2), sqrt(2)].
template <typename T>
SKB_INLINE T log1p(T u) {
  const T w = T(1) + u;
  const T lost = u - (w - T(1));
  const bool is_large = w > T(1.4142135623730951);
  const T f = is_large ? (w * T(0.5) - T(1)) : (w - T(1));
  const T k = is_large ? T(1) : T(0);
  const T s = f / (T(2) + f);
  const T s2 = s * s;
  T series;
  if constexpr (std::is_same_v<T, float>) {
    series = horner(s2, T(1. / 3), T(1. / 5), T(1. / 7), T(1. / 9));
  } else {
    series = horner(s2, T(1. / 3), T(1. / 5), T(1. / 7), T(1. / 9), T(1. / 11),
                    T(1. / 13), T(1. / 15), T(1. / 17), T(1. / 19), T(1. / 21));
  }
  const T log_w = T(2) * (s + s * s2 * series);
  return k * T(0.69314718055994530942) + (log_w + lost / w);
}

// log(x) for normal x >= 1: of 2^n w with 1 <= w < 2
template <typename T>
SKB_INLINE T log_from_one(T x) {
  using F = Format<T>;
  using Bits = typename F::Bits;
  constexpr Bits unit = Bits(1) << F::mantissa_bits;
  const auto bits = bit_cast<Bits>(x);
  // An integer in the low bits of 2^mantissa: vector units convert no wide ones.
  const T n =
      bit_cast<T>((bits >> F::mantissa_bits) | (F::bias + F::mantissa_bits) * unit) -
      T(unit + F::bias);
  const T w = bit_cast<T>((bits & (unit - 1)) | F::bias * unit);
  const T log_x = n * T(0.69314718055994530942) + log1p(w - T(1));
  return x <= std::numeric_limits<T>::max() ? log_x : x;
}

// log(1 + e^x) without overflow
template <typename T>
SKB_INLINE T softplus(T x) {
  return (x > T(0) ? x : T(0)) + log1p(exp(-absolute(x)));
}

// 1 - erf(z) for z >= 0: t exp(-z^2 + g(2t - 1)) with t = 1 / (1 + z/2), the form of
// Press et al. (Numerical Recipes, section 6.2); g is the Chebyshev series of
// log(erfc(z) / t) + z^2, computed to 60 digits, cut and written as a polynomial.
template <typename T>
SKB_INLINE T erfc_positive(T z) {
  const T t = T(1) / (T(1) + T(0.5) * z);
  const T u = T(2) * t - T(1);
  T g;
  if constexpr (std::is_same_v<T, float>) {
    g = horner(u, -0.671794092F, 0.672643155F, 0.0473438876F, -0.0468936406F,
               -0.00988001932F, 0.00880882537F, 0.00179406625F, -0.00228876524F,
               -0.000227910966F, 0.000573766372F, 8.00073816e-6F, -8.72838102e-5F);
  } else {
    g = horner(u, -0.67179408405669214, 0.67264322397765597, 0.047343306841863522,
               -0.046895610231083023, -0.0098726893640992216, 0.0088249385537387634,
               0.0017589335074028031, -0.0023458124448021561, -0.00014624628742128406,
               0.00067367826970698315, -9.3738947676672949e-5, -0.00017429984933155645,
               7.1418104334223008e-5, 3.1733105993770607e-5, -3.0237840540071371e-5,
               1.6992332312277022e-7, 8.6625353974755387e-6, -3.0076454344106693e-6,
               -1.409445991433531e-6, 1.3267813608518888e-6, -4.1468537546636414e-8,
               -3.1683413676941469e-7, 7.7455724087585122e-8, 3.9722035472737954e-8,
               -1.2776086554968677e-8, -1.5867042924138043e-9);
  }
  return t * exp(g - z * z);
}

// Standard normal distribution function
template <typename T>
SKB_INLINE T normal_cdf(T x) {
  const T tail = T(0.5) * erfc_positive(absolute(x) * T(0.70710678118654752440));
  return x > T(0) ? T(1) - tail : tail;
}

template <typename T>
SKB_INLINE T normal_pdf(T x) {
  return T(0.39894228040143267794) * exp(T(-0.5) * x * x);
}

}  // namespace sklearn_backprop::elementary
