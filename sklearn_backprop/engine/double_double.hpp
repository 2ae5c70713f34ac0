// Double-double arithmetic: an unevaluated sum of two doubles, about 32 digits.
// Error-free sum: Knuth (1969); product: one fused multiply-add (Ogita, Rump, Oishi
// 2005).
#pragma once

#include <cmath>

namespace sklearn_backprop {

struct DoubleDouble {
  double hi = 0.0;
  double lo = 0.0;

  double value() const { return hi + lo; }
};

inline DoubleDouble two_sum(double a, double b) {
  const double sum = a + b;
  const double b_part = sum - a;
  return {sum, (a - (sum - b_part)) + (b - b_part)};
}

inline DoubleDouble two_product(double a, double b) {
  const double product = a * b;
  return {product, std::fma(a, b, -product)};
}

inline DoubleDouble operator+(DoubleDouble a, DoubleDouble b) {
  const DoubleDouble sum = two_sum(a.hi, b.hi);
  const DoubleDouble tail = two_sum(a.lo, b.lo);
  const double lo = sum.lo + tail.hi;
  const double hi = sum.hi + lo;
  return {hi, ((sum.hi - hi) + lo) + tail.lo};
}

inline DoubleDouble operator-(DoubleDouble a) { return {-a.hi, -a.lo}; }

inline DoubleDouble operator*(DoubleDouble a, double b) {
  DoubleDouble product = two_product(a.hi, b);
  product.lo = std::fma(a.lo, b, product.lo);
  return product;
}

inline DoubleDouble operator*(DoubleDouble a, DoubleDouble b) {
  DoubleDouble product = two_product(a.hi, b.hi);
  product.lo += a.hi * b.lo + a.lo * b.hi;
  return product;
}

}  // namespace sklearn_backprop
