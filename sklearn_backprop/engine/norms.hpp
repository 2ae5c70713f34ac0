// Sums of squares, and norms from them.
#pragma once

#include <algorithm>
#include <cmath>
#include <numeric>

#include "simd.hpp"

namespace sklearn_backprop {

// What keeps a variance of zero from a division by it.
constexpr double kNormEpsilon = 1e-5;

// Sums over so many lanes vectorise.
constexpr Index kLanes = 16;

// The sum of squares of a block, in two packs.
template <typename T>
struct SquareSum {
  static constexpr Index width = 32 / sizeof(T);
  Pack<T> first = {}, second = {};

  SKB_INLINE void add(const T* x) {
    const Pack<T> a = *reinterpret_cast<const Pack<T>*>(x);
    const Pack<T> b = *reinterpret_cast<const Pack<T>*>(x + width);
    first += a * a;
    second += b * b;
  }
  // With the elements from `i` to `n`, which fill no two packs.
  SKB_INLINE double total(const T* x, Index i, Index n) const {
    const Pack<T> both = first + second;
    double sum[width];
    for (Index l = 0; l < width; ++l) sum[l] = double(both[l]);
    for (Index half = width / 2; half > 0; half /= 2) {  // few additions in a row
      for (Index l = 0; l < half; ++l) sum[l] += sum[l + half];
    }
    for (; i < n; ++i) sum[0] += double(x[i]) * double(x[i]);
    return sum[0];
  }
};

template <typename T>
SKB_INLINE double careful_sum_of_squares(const T* x, Index n) {
  double sum[kLanes] = {};
  Index i = 0;
  for (; i + kLanes <= n; i += kLanes) {
    for (Index l = 0; l < kLanes; ++l) sum[l] += double(x[i + l]) * double(x[i + l]);
  }
  for (; i < n; ++i) sum[0] += double(x[i]) * double(x[i]);
  return std::accumulate(sum, sum + kLanes, 0.0);
}

// Squares of float overflow, and vanish, long before double's: a block that may have is
// summed again in double.
template <typename T>
SKB_INLINE double checked(double sum, const T* x, Index n) {
  const bool is_safe = sum > 1e-25 && sum < 1e38;
  return is_safe ? sum : careful_sum_of_squares(x, n);
}

constexpr Index kSumBlock = 1024;

// NaN or infinite only if some element is, or the sum is beyond double's range.
template <typename T>
SKB_CLONES double sum_of_squares(const T* x, Index n) {
  constexpr Index width = SquareSum<T>::width;
  double total = 0;
  for (; n > 0; x += kSumBlock, n -= kSumBlock) {
    const Index count = n < kSumBlock ? n : kSumBlock;
    SquareSum<T> sum;
    Index i = 0;
    for (; i + 2 * width <= count; i += 2 * width) sum.add(x + i);
    total += checked(sum.total(x, i, count), x, count);
  }
  return total;
}

// Whether all numbers are finite: one by one only where their squares do not say so.
template <typename T>
bool are_finite(const T* x, Index n) {
  return std::isfinite(sum_of_squares(x, n)) ||
         std::all_of(x, x + n, [](T value) { return std::isfinite(value); });
}

// Sums of squares of a and b (n), both at once so that neither waits for itself.
struct TwoSums {
  double a = 0;
  double b = 0;
};

template <typename T>
SKB_CLONES void add_squares(const T* a, const T* b, Index n, TwoSums* total) {
  constexpr Index width = SquareSum<T>::width;
  for (; n > 0; a += kSumBlock, b += kSumBlock, n -= kSumBlock) {
    const Index count = n < kSumBlock ? n : kSumBlock;
    SquareSum<T> a_sum, b_sum;
    Index i = 0;
    for (; i + 2 * width <= count; i += 2 * width) {
      a_sum.add(a + i);
      b_sum.add(b + i);
    }
    total->a += checked(a_sum.total(a, i, count), a, count);
    total->b += checked(b_sum.total(b, i, count), b, count);
  }
}

}  // namespace sklearn_backprop
