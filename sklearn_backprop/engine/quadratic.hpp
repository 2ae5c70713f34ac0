// Least-squares costs J(theta) = 1/(2W) sum w |y - Z theta|^2 and their gradients.
// theta holds one contiguous vector per target; an intercept, if any, is its last
// entry.
#pragma once

#include <algorithm>
#include <vector>

#include "blas.hpp"
#include "rows.hpp"
#include "simd.hpp"
#include "team.hpp"

namespace sklearn_backprop::quadratic {

namespace dense {

constexpr Index kLanes = 16;

inline double dot_of_few(const double* a, const double* b, Index n) {
  double sum = 0.0;
  for (Index j = 0; j < n; ++j) sum += a[j] * b[j];
  return sum;
}

// Several partial sums, so that additions need not wait for each other.
SKB_CLONES inline double dot_of_many(const double* a, const double* b, Index n) {
  double lane[kLanes] = {};
  Index j = 0;
  for (; j + kLanes <= n; j += kLanes) {
    for (Index l = 0; l < kLanes; ++l) lane[l] += a[j + l] * b[j + l];
  }
  for (; j < n; ++j) lane[0] += a[j] * b[j];
  double sum = 0.0;
  for (const double part : lane) sum += part;
  return sum;
}

inline double dot(const double* a, const double* b, Index n) {
  return n < kLanes ? dot_of_few(a, b, n) : dot_of_many(a, b, n);
}

// out += factor * x
SKB_CLONES inline void add_multiple(const double* x, double factor, Index n,
                                    double* out) {
  for (Index j = 0; j < n; ++j) out[j] += factor * x[j];
}

}  // namespace dense

class Cost {
 public:
  virtual ~Cost() = default;
  virtual Index n_coefficients() const = 0;
  virtual Index n_targets() const = 0;
  // J at theta; gradient (n_targets x n_coefficients) is overwritten.
  virtual double evaluate(const double* theta, double* gradient) = 0;

  std::size_t size() const {
    return static_cast<std::size_t>(n_coefficients() * n_targets());
  }
};

// From H = Z'WZ/W, b = Z'Wy/W and c = y'Wy/W: a step costs the same for any number of
// rows.
class GramCost final : public Cost {
 public:
  GramCost(const double* hessian, const double* linear, double constant, Index n,
           Index n_targets)
      : hessian_(hessian, hessian + n * n),
        linear_(linear, linear + n * n_targets),
        constant_(constant),
        n_(n),
        n_targets_(n_targets) {}

  Index n_coefficients() const override { return n_; }
  Index n_targets() const override { return n_targets_; }

  // gradient = H theta - b;  J = (theta'(gradient - b) + c) / 2
  double evaluate(const double* theta, double* gradient) override {
    if (n_ <= kFewCoefficients) {
      multiply_few(theta, gradient);
    } else {
      std::copy(linear_.begin(), linear_.end(), gradient);
      blas::multiply('N', n_, n_targets_, n_, hessian_.data(), n_, theta, -1.0,
                     gradient);
    }
    const Index n = n_ * n_targets_;
    return 0.5 * (dense::dot(theta, gradient, n) -
                  dense::dot(theta, linear_.data(), n) + constant_);
  }

 private:
  static constexpr Index kFewCoefficients = 16;  // calling BLAS would take longer

  // In registers: a step waits for the one before it, and no sum for memory.
  void multiply_few(const double* theta, double* gradient) const {
    for (Index t = 0; t < n_targets_; ++t) {
      for (Index i = 0; i < n_; ++i) {
        double sum = -linear_[static_cast<std::size_t>(t * n_ + i)];
        const double* column = hessian_.data() + i;
        for (Index j = 0; j < n_; ++j) sum += column[j * n_] * theta[t * n_ + j];
        gradient[t * n_ + i] = sum;
      }
    }
  }

  std::vector<double> hessian_, linear_;
  double constant_;
  Index n_, n_targets_;
};

// Dense rows, one after the other in memory.
struct DenseRows {
  const double* data;
  Index n_rows, n_cols;

  Index n_stored() const { return n_rows * n_cols; }
  double dot_row(Index i, const double* u) const {
    return dense::dot(data + i * n_cols, u, n_cols);
  }
  void add_row(Index i, double factor, double* out) const {
    dense::add_multiple(data + i * n_cols, factor, n_cols, out);
  }
};

// Compressed sparse rows.
struct SparseRows {
  const double* data;
  const std::int32_t* indices;
  const std::int32_t* indptr;
  Index n_rows, n_cols;

  Index n_stored() const { return indptr[n_rows]; }
  double dot_row(Index i, const double* u) const {
    double sum = 0.0;
    for (Index k = indptr[i]; k < indptr[i + 1]; ++k) sum += data[k] * u[indices[k]];
    return sum;
  }
  void add_row(Index i, double factor, double* out) const {
    for (Index k = indptr[i]; k < indptr[i + 1]; ++k) {
      out[indices[k]] += data[k] * factor;
    }
  }
};

// From the data themselves, with Z = (X - center)/scale (and a column of ones) applied
// on the fly, so that X is neither copied nor, if sparse, filled. A row is used for its
// residual and for the gradient while it is in cache.
template <typename RowsOf>
class DataCost final : public Cost {
 public:
  // y (n_rows x n_targets); share (n_rows) = w/W; center, scale (n_cols).
  DataCost(RowsOf x, const double* y, const double* share, const double* center,
           const double* scale, Index n_targets, bool has_intercept, int n_threads)
      : x_(x),
        y_(y, y + x.n_rows * n_targets),
        share_(share, share + x.n_rows),
        center_(center, center + x.n_cols),
        scale_(scale, scale + x.n_cols),
        n_targets_(n_targets),
        has_intercept_(has_intercept),
        n_threads_(x.n_stored() > kParallelSize ? n_threads : 1),
        sums_(static_cast<std::size_t>(n_threads_), Sums(size_of(x.n_cols))),
        raw_(size_of(x.n_cols * n_targets)),
        start_(size_of(n_targets)) {}

  Index n_coefficients() const override { return x_.n_cols + (has_intercept_ ? 1 : 0); }
  Index n_targets() const override { return n_targets_; }

  double evaluate(const double* theta, double* gradient) override {
    move_to_raw_units(theta);
    double cost = 0.0;
    for (Index t = 0; t < n_targets_; ++t) {
      const Sums& total = sum_rows(t);
      cost += 0.5 * total.squares;
      double* g = gradient + t * n_coefficients();
      for (Index j = 0; j < x_.n_cols; ++j) {
        g[j] = (total.products[size_of(j)] - center_[size_of(j)] * total.residual) /
               scale_[size_of(j)];
      }
      if (has_intercept_) g[x_.n_cols] = total.residual;
    }
    return cost;
  }

 private:
  static constexpr Index kParallelSize = 400'000;  // worth the start of a thread

  struct Sums {
    explicit Sums(std::size_t n) : products(n) {}
    std::vector<double> products;
    double residual = 0.0, squares = 0.0;

    void clear() { *this = Sums(products.size()); }
    void add(const Sums& other) {
      for (std::size_t j = 0; j < products.size(); ++j)
        products[j] += other.products[j];
      residual += other.residual;
      squares += other.squares;
    }
  };

  static std::size_t size_of(Index n) { return static_cast<std::size_t>(n); }

  // raw_ <- theta / scale, start_ <- intercept - center . raw
  void move_to_raw_units(const double* theta) {
    for (Index t = 0; t < n_targets_; ++t) {
      const double* coefficients = theta + t * n_coefficients();
      double start = has_intercept_ ? coefficients[x_.n_cols] : 0.0;
      double* raw = raw_.data() + t * x_.n_cols;
      for (Index j = 0; j < x_.n_cols; ++j) {
        raw[j] = coefficients[j] / scale_[size_of(j)];
        start -= center_[size_of(j)] * raw[j];
      }
      start_[size_of(t)] = start;
    }
  }

  // Sums of share * residual, times one, itself and the row, for one target. The shares
  // of the threads and the order of their sum depend on nothing but their number.
  const Sums& sum_rows(Index t) {
    Team(n_threads_).share([&](const Member& member) {
      Sums& mine = sums_[static_cast<std::size_t>(member.rank())];
      mine.clear();
      const auto [begin, end] = member.share_of(x_.n_rows);
      for (Index i = begin; i < end; ++i) add_row(t, i, mine);
    });
    for (std::size_t k = 1; k < sums_.size(); ++k) sums_.front().add(sums_[k]);
    return sums_.front();
  }

  void add_row(Index t, Index i, Sums& sums) const {
    const double predicted =
        x_.dot_row(i, raw_.data() + t * x_.n_cols) + start_[size_of(t)];
    const double residual = predicted - y_[size_of(i * n_targets_ + t)];
    const double weighted = share_[size_of(i)] * residual;
    x_.add_row(i, weighted, sums.products.data());
    sums.residual += weighted;
    sums.squares += weighted * residual;
  }

  RowsOf x_;
  std::vector<double> y_, share_, center_, scale_;
  Index n_targets_;
  bool has_intercept_;
  int n_threads_;
  std::vector<Sums> sums_;
  std::vector<double> raw_, start_;
};

}  // namespace sklearn_backprop::quadratic
