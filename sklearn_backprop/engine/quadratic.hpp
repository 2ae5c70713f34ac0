// Least-squares costs J(theta) = 1/(2W) sum w |y - Z theta|^2 and their gradients.
// theta holds one contiguous vector per target; an intercept, if any, is its last
// entry.
#pragma once

#include <algorithm>
#include <vector>

#include "blas.hpp"
#include "rows.hpp"

namespace sklearn_backprop::quadratic {

class Cost {
 public:
  virtual ~Cost() = default;
  virtual index_t n_coefficients() const = 0;
  virtual index_t n_targets() const = 0;
  // J at theta; gradient (n_targets x n_coefficients) is overwritten.
  virtual double evaluate(const double* theta, double* gradient) = 0;

  std::size_t size() const {
    return static_cast<std::size_t>(n_coefficients() * n_targets());
  }
};

inline double dot(const double* a, const double* b, std::size_t n) {
  double sum = 0.0;
  for (std::size_t i = 0; i < n; ++i) sum += a[i] * b[i];
  return sum;
}

// From H = Z'WZ/W, b = Z'Wy/W and c = y'Wy/W: a step costs the same for any number of
// rows.
class GramCost final : public Cost {
 public:
  GramCost(const double* hessian, const double* linear, double constant, index_t n,
           index_t n_targets)
      : hessian_(hessian, hessian + n * n),
        linear_(linear, linear + n * n_targets),
        constant_(constant),
        n_(n),
        n_targets_(n_targets) {}

  index_t n_coefficients() const override { return n_; }
  index_t n_targets() const override { return n_targets_; }

  // gradient = H theta - b;  J = (theta'(gradient - b) + c) / 2
  double evaluate(const double* theta, double* gradient) override {
    std::copy(linear_.begin(), linear_.end(), gradient);
    blas::multiply('N', n_, n_targets_, n_, hessian_.data(), n_, theta, -1.0, gradient);
    return 0.5 * (dot(theta, gradient, size()) - dot(theta, linear_.data(), size()) +
                  constant_);
  }

 private:
  std::vector<double> hessian_, linear_;
  double constant_;
  index_t n_, n_targets_;
};

// Products with dense rows, through BLAS, without a copy of them.
struct DenseMatrix {
  const double* data;
  index_t n_rows, n_cols;
  bool is_row_major;

  char as_stored() const { return is_row_major ? 'T' : 'N'; }
  char transposed() const { return is_row_major ? 'N' : 'T'; }
  index_t leading() const { return is_row_major ? n_cols : n_rows; }

  // out (n_targets x n_rows) = X u
  void multiply(const double* u, index_t n_targets, double* out) const {
    blas::multiply(as_stored(), n_rows, n_targets, n_cols, data, leading(), u, 0.0,
                   out);
  }
  // out (n_targets x n_cols) = X' r
  void multiply_transposed(const double* r, index_t n_targets, double* out) const {
    blas::multiply(transposed(), n_cols, n_targets, n_rows, data, leading(), r, 0.0,
                   out);
  }
};

// Products with compressed sparse rows.
struct SparseMatrix {
  const double* data;
  const std::int32_t* indices;
  const std::int32_t* indptr;
  index_t n_rows, n_cols;

  void multiply(const double* u, index_t n_targets, double* out) const {
    for (index_t t = 0; t < n_targets; ++t) {
      for (index_t i = 0; i < n_rows; ++i) {
        double sum = 0.0;
        for (index_t k = indptr[i]; k < indptr[i + 1]; ++k) {
          sum += data[k] * u[t * n_cols + indices[k]];
        }
        out[t * n_rows + i] = sum;
      }
    }
  }

  void multiply_transposed(const double* r, index_t n_targets, double* out) const {
    std::fill(out, out + n_cols * n_targets, 0.0);
    for (index_t t = 0; t < n_targets; ++t) {
      for (index_t i = 0; i < n_rows; ++i) {
        const double r_i = r[t * n_rows + i];
        for (index_t k = indptr[i]; k < indptr[i + 1]; ++k) {
          out[t * n_cols + indices[k]] += data[k] * r_i;
        }
      }
    }
  }
};

// From the data themselves, with Z = (X - center)/scale (and a column of ones) applied
// on the fly, so that X is neither copied nor, if sparse, filled.
template <typename Matrix>
class DataCost final : public Cost {
 public:
  // y (n_targets x n_rows); share (n_rows) = w/W; center, scale (n_cols).
  DataCost(Matrix x, const double* y, const double* share, const double* center,
           const double* scale, index_t n_targets, bool has_intercept)
      : x_(x),
        y_(y, y + x.n_rows * n_targets),
        share_(share, share + x.n_rows),
        center_(center, center + x.n_cols),
        scale_(scale, scale + x.n_cols),
        n_targets_(n_targets),
        has_intercept_(has_intercept),
        raw_(static_cast<std::size_t>(x.n_cols * n_targets)),
        residual_(y_.size()) {}

  index_t n_coefficients() const override {
    return x_.n_cols + (has_intercept_ ? 1 : 0);
  }
  index_t n_targets() const override { return n_targets_; }

  double evaluate(const double* theta, double* gradient) override {
    const double cost = update_residual(theta);
    x_.multiply_transposed(residual_.data(), n_targets_, raw_.data());
    for (index_t t = 0; t < n_targets_; ++t) {
      const double* r = residual_.data() + t * x_.n_rows;
      double* g = gradient + t * n_coefficients();
      double total = 0.0;
      for (index_t i = 0; i < x_.n_rows; ++i) total += r[i];
      for (index_t j = 0; j < x_.n_cols; ++j) {
        const std::size_t k = static_cast<std::size_t>(j);
        g[j] =
            (raw_[static_cast<std::size_t>(t * x_.n_cols + j)] - center_[k] * total) /
            scale_[k];
      }
      if (has_intercept_) g[x_.n_cols] = total;
    }
    return cost;
  }

 private:
  // residual_ = (w/W)(Z theta - y); returns J
  double update_residual(const double* theta) {
    const std::size_t p = static_cast<std::size_t>(x_.n_cols);
    std::vector<double> start(static_cast<std::size_t>(n_targets_));
    for (std::size_t t = 0; t < start.size(); ++t) {
      const double* coefficients = theta + static_cast<index_t>(t) * n_coefficients();
      if (has_intercept_) start[t] = coefficients[p];
      for (std::size_t j = 0; j < p; ++j) {
        raw_[t * p + j] = coefficients[j] / scale_[j];
        start[t] -= center_[j] * raw_[t * p + j];
      }
    }
    x_.multiply(raw_.data(), n_targets_, residual_.data());
    double cost = 0.0;
    for (std::size_t t = 0; t < start.size(); ++t) {
      for (std::size_t i = 0; i < share_.size(); ++i) {
        const std::size_t k = t * share_.size() + i;
        const double r = residual_[k] + start[t] - y_[k];
        cost += 0.5 * share_[i] * r * r;
        residual_[k] = share_[i] * r;
      }
    }
    return cost;
  }

  Matrix x_;
  std::vector<double> y_, share_, center_, scale_;
  index_t n_targets_;
  bool has_intercept_;
  std::vector<double> raw_, residual_;
};

}  // namespace sklearn_backprop::quadratic
