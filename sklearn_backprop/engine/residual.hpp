// The gradient of least squares at given coefficients, accumulated in double-double:
// what iterative refinement needs, since X'(y - Xb) cancels almost wholly near the
// solution.
#pragma once

#include <algorithm>
#include <vector>

#include "double_double.hpp"
#include "rows.hpp"
#include "simd.hpp"
#include "team.hpp"

namespace sklearn_backprop::residual {

// Sums run in so many lanes side by side, and rows are padded with zeros to a multiple
// of it, so that every loop is one of vector instructions.
constexpr Index kLanes = 8;

inline Index padded(Index n) { return (n + kLanes - 1) / kLanes * kLanes; }

// Sums for one target: sum w r x_j (split in two arrays, padded), sum w r and sum w
// r^2.
struct Sums {
  explicit Sums(Index n_features)
      : hi(static_cast<std::size_t>(padded(n_features)), 0.0), lo(hi) {}
  std::vector<double> hi, lo;
  DoubleDouble residual, squares;

  void add(const Sums& other) {
    for (std::size_t j = 0; j < hi.size(); ++j) {
      const DoubleDouble sum =
          DoubleDouble{hi[j], lo[j]} + DoubleDouble{other.hi[j], other.lo[j]};
      hi[j] = sum.hi;
      lo[j] = sum.lo;
    }
    residual = residual + other.residual;
    squares = squares + other.squares;
  }
};

// start - x . b, for padded x and b (n)
SKB_CLONES inline DoubleDouble subtract_dot(DoubleDouble start, const double* x,
                                            const double* b, Index n) {
  double hi[kLanes] = {}, lo[kLanes] = {};
  for (Index j = 0; j < n; j += kLanes) {
    for (Index l = 0; l < kLanes; ++l) {
      const DoubleDouble sum =
          DoubleDouble{hi[l], lo[l]} + two_product(x[j + l], b[j + l]);
      hi[l] = sum.hi;
      lo[l] = sum.lo;
    }
  }
  for (Index half = kLanes / 2; half > 0; half /= 2) {
    for (Index l = 0; l < half; ++l) {
      const DoubleDouble sum =
          DoubleDouble{hi[l], lo[l]} + DoubleDouble{hi[l + half], lo[l + half]};
      hi[l] = sum.hi;
      lo[l] = sum.lo;
    }
  }
  return start + DoubleDouble{-hi[0], -lo[0]};
}

// (hi, lo) += x * factor, padded (n)
SKB_CLONES inline void add_multiple(const double* x, DoubleDouble factor, Index n,
                                    double* hi, double* lo) {
  SKB_INDEPENDENT
  for (Index j = 0; j < n; ++j) {
    const DoubleDouble sum = DoubleDouble{hi[j], lo[j]} + factor * x[j];
    hi[j] = sum.hi;
    lo[j] = sum.lo;
  }
}

// One target of rows and their weights, and coefficients to predict it with.
template <typename T>
struct Problem {
  StridedRows<T> x;
  StridedRows<double> y;
  Index target;
  const double* weight;  // null where all are 1
  const double* coef;
  double intercept;
};

// Sums over a member's share of the rows. The leader calls between() now and
// then; it may throw.
template <typename T, typename Between>
Sums sum_rows(const Member& member, const Problem<T>& problem, Between& between) {
  constexpr Index rows_between = 1024;
  const Index p = problem.x.n_cols, n = padded(p);
  Sums sums(p);
  std::vector<double> row(static_cast<std::size_t>(n), 0.0), b(row);
  std::copy(problem.coef, problem.coef + p, b.begin());
  const auto [begin, end] = member.share_of(problem.x.n_rows);
  for (Index i = begin; i < end; ++i) {
    if ((i - begin) % rows_between == 0) {
      if (member.must_stop()) break;
      if (member.is_first()) between();
    }
    for (Index j = 0; j < p; ++j) row[static_cast<std::size_t>(j)] = problem.x(i, j);
    const DoubleDouble r =
        subtract_dot(two_sum(problem.y(i, problem.target), -problem.intercept),
                     row.data(), b.data(), n);
    const DoubleDouble weighted = problem.weight == nullptr ? r : r * problem.weight[i];
    add_multiple(row.data(), weighted, n, sums.hi.data(), sums.lo.data());
    sums.residual = sums.residual + weighted;
    sums.squares = sums.squares + weighted * r;
  }
  return sums;
}

// total += the sums over all rows, shared out over `n_threads`.
template <typename T, typename Between>
void add_rows(const Problem<T>& problem, int n_threads, Sums& total, Between& between) {
  std::vector<Sums> shares(static_cast<std::size_t>(n_threads), Sums(problem.x.n_cols));
  Team(n_threads).share([&](Member& member) {
    shares[static_cast<std::size_t>(member.rank())] =
        sum_rows(member, problem, between);
  });
  for (const Sums& share : shares) total.add(share);
}

// gradient (p) <- sum w r (x - center - offset), taken in double-double and rounded
// once. The mean comes in two parts: where it is large, residuals have the rounding of
// the intercept in common, which falls out of no mean that is rounded itself.
inline void round_centered(const Sums& sums, const double* center, const double* offset,
                           std::size_t n_features, double* gradient) {
  for (std::size_t j = 0; j < n_features; ++j) {
    const DoubleDouble raw{sums.hi[j], sums.lo[j]};
    const DoubleDouble left = raw + (-(sums.residual * center[j]));
    gradient[j] = (left + (-(sums.residual * offset[j]))).value();
  }
}

}  // namespace sklearn_backprop::residual
