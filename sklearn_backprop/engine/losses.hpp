// Losses: a pointwise loss composed with the link that maps raw outputs f (rows, K) to
// predictions. Value and derivative (in f) side by side. To add one, write its struct
// and give it a line in `make_loss` and `loss_links`.
#pragma once

#include <algorithm>
#include <cmath>
#include <memory>
#include <numeric>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "elementary.hpp"
#include "matrix.hpp"
#include "transpose.hpp"

namespace sklearn_backprop::losses {

namespace math = elementary;

// ---- Links ------------------------------------------------------------------------

// Of a link that acts on each output by itself, f becomes the derivative of prediction
// k.
template <typename Link, typename T>
void differentiate_pointwise(const Matrix<T>& f, Index k) {
  for (Index i = 0; i < f.rows; ++i) {
    const T derivative = Link::derivative(f.row(i)[k]);
    std::fill_n(f.row(i), f.cols, T(0));
    f.row(i)[k] = derivative;
  }
}

struct IdentityLink {
  template <typename T>
  static void apply(const Matrix<T>&) {}
  template <typename T>
  static T derivative(T) {
    return T(1);
  }
  template <typename T>
  static void differentiate(const Matrix<T>& f, Index k) {
    differentiate_pointwise<IdentityLink>(f, k);
  }
};

struct ExpLink {
  template <typename T>
  static SKB_CLONES void apply(const Matrix<T>& f) {
    SKB_INDEPENDENT
    for (Index e = 0; e < f.rows * f.cols; ++e) f.data[e] = math::exp(f.data[e]);
  }
  template <typename T>
  static T derivative(T f) {
    return math::exp(f);
  }
  template <typename T>
  static void differentiate(const Matrix<T>& f, Index k) {
    differentiate_pointwise<ExpLink>(f, k);
  }
};

struct SigmoidLink {
  template <typename T>
  static SKB_CLONES void apply(const Matrix<T>& f) {
    SKB_INDEPENDENT
    for (Index e = 0; e < f.rows * f.cols; ++e) f.data[e] = math::logistic(f.data[e]);
  }
  template <typename T>
  static T derivative(T f) {
    return math::logistic(f) * math::logistic(-f);
  }
  template <typename T>
  static void differentiate(const Matrix<T>& f, Index k) {
    differentiate_pointwise<SigmoidLink>(f, k);
  }
};

// f = exp(f - max f), row by row, which cannot overflow.
template <typename T>
SKB_CLONES void shift_and_exponentiate(const Matrix<T>& f) {
  for (Index i = 0; i < f.rows; ++i) {
    T* row = f.row(i);
    T maximum = row[0];
    for (Index k = 1; k < f.cols; ++k) maximum = row[k] > maximum ? row[k] : maximum;
    SKB_INDEPENDENT
    for (Index k = 0; k < f.cols; ++k) row[k] -= maximum;
  }
  SKB_INDEPENDENT
  for (Index e = 0; e < f.rows * f.cols; ++e) f.data[e] = math::exp(f.data[e]);
}

template <typename T>
SKB_INLINE void divide_by_sum(T* row, Index n) {
  T sum = T(0);
  for (Index k = 0; k < n; ++k) sum += row[k];
  const T inverse = T(1) / sum;
  for (Index k = 0; k < n; ++k) row[k] *= inverse;
}

struct SoftmaxLink {
  template <typename T>
  static void apply(const Matrix<T>& f) {
    shift_and_exponentiate(f);
    for (Index i = 0; i < f.rows; ++i) divide_by_sum(f.row(i), f.cols);
  }
  // d p_k / d f_j = p_k ([j = k] - p_j), with 1 - p_k summed from the others.
  template <typename T>
  static void differentiate(const Matrix<T>& f, Index k) {
    apply(f);
    for (Index i = 0; i < f.rows; ++i) {
      T* p = f.row(i);
      const T own = p[k];
      T others = T(0);
      for (Index j = 0; j < f.cols; ++j) {
        others += j != k ? p[j] : T(0);
        p[j] *= -own;
      }
      p[k] = own * others;
    }
  }
};

// ---- Losses that act on each output by itself -------------------------------------
// The row's loss is the mean over its outputs, or the sum where `is_sum`.

template <typename T>
struct Pointwise {
  T value;
  T derivative;
};

struct SquaredError {
  using Link = IdentityLink;
  static constexpr bool is_sum = false;
  template <typename T>
  static SKB_INLINE Pointwise<T> at(T f, T y, T) {
    const T r = f - y;
    return {T(0.5) * r * r, r};
  }
};

struct AbsoluteError {
  using Link = IdentityLink;
  static constexpr bool is_sum = false;
  template <typename T>
  static SKB_INLINE Pointwise<T> at(T f, T y, T) {
    const T r = f - y;
    const T sign = r > T(0) ? T(1) : (r < T(0) ? T(-1) : T(0));
    return {math::absolute(r), sign};
  }
};

// Huber (1964); min and max of r and delta instead of a branch.
struct Huber {
  using Link = IdentityLink;
  static constexpr bool is_sum = false;
  template <typename T>
  static SKB_INLINE Pointwise<T> at(T f, T y, T delta) {
    const T r = f - y;
    const T inner = math::at_most(math::at_least(r, -delta), delta);
    return {inner * (r - T(0.5) * inner), inner};
  }
};

struct Quantile {
  using Link = IdentityLink;
  static constexpr bool is_sum = false;
  template <typename T>
  static SKB_INLINE Pointwise<T> at(T f, T y, T q) {
    const T r = y - f;
    const T slope = r > T(0) ? q : (r < T(0) ? q - T(1) : T(0));
    return {slope * r, -slope};
  }
};

// Half the deviance, y log(y / mean) - y + mean: 0 where the mean is y, so that fits of
// any size of y compare. Differences are taken before products, which would cancel.
struct Poisson {
  using Link = ExpLink;
  static constexpr bool is_sum = false;
  template <typename T>
  static SKB_INLINE Pointwise<T> at(T f, T y, T) {
    const T mean = math::exp(f);
    const T deviation = mean - y;
    return {(y > T(0) ? y * (std::log(y) - f) : T(0)) + deviation, deviation};
  }
};

// -y log p - (1 - y) log(1 - p) = softplus(f) - y f
struct BinaryLogLoss {
  using Link = SigmoidLink;
  static constexpr bool is_sum = true;
  template <typename T>
  static SKB_INLINE Pointwise<T> at(T f, T y, T) {
    const T positive = f > T(0) ? f : T(0);
    return {(positive - y * f) + math::log1p(math::exp(-math::absolute(f))),
            math::logistic(f) - y};
  }
};

struct SigmoidSquaredError {
  using Link = SigmoidLink;
  static constexpr bool is_sum = false;
  template <typename T>
  static SKB_INLINE Pointwise<T> at(T f, T y, T) {
    const T p = math::logistic(f);
    const T r = p - y;
    return {T(0.5) * r * r, r * p * (T(1) - p)};
  }
};

// ---- Losses over a row ------------------------------------------------------------
// Of kRowsAtOnce rows that stand side by side, so that what a row needs is done for
// all: element k of row r is at [k * kRowsAtOnce + r]. Given shifted = f - max f,
// `rows` leaves share times the derivative in its place, and writes each row's loss.

constexpr Index kRowsAtOnce = 16;

struct SoftmaxLogLoss {
  template <typename T>
  static SKB_INLINE void rows(T* shifted, const T* y, Index n, const T* share,
                              T* loss) {
    T sum[kRowsAtOnce] = {}, total[kRowsAtOnce] = {}, dot[kRowsAtOnce] = {};
    for (Index k = 0; k < n; ++k) {
      T* f = shifted + k * kRowsAtOnce;
      const T* y_k = y + k * kRowsAtOnce;
      SKB_INDEPENDENT
      for (Index r = 0; r < kRowsAtOnce; ++r) {
        dot[r] += y_k[r] != T(0) ? y_k[r] * f[r] : T(0);
        total[r] += y_k[r];
        f[r] = math::exp(f[r]);
        sum[r] += f[r];
      }
    }
    SKB_INDEPENDENT
    for (Index r = 0; r < kRowsAtOnce; ++r) {
      loss[r] = total[r] * math::log_from_one(sum[r]) - dot[r];
      total[r] *= share[r] / sum[r];
    }
    for (Index k = 0; k < n; ++k) {
      T* e = shifted + k * kRowsAtOnce;
      const T* y_k = y + k * kRowsAtOnce;
      SKB_INDEPENDENT
      for (Index r = 0; r < kRowsAtOnce; ++r) {
        e[r] = total[r] * e[r] - share[r] * y_k[r];
      }
    }
  }
};

// With g = (p - y) / K the derivative is p (g - sum of p g).
struct SoftmaxSquaredError {
  template <typename T>
  static SKB_INLINE void rows(T* shifted, const T* y, Index n, const T* share,
                              T* loss) {
    const T per_output = T(1) / T(n);
    T sum[kRowsAtOnce] = {}, mean[kRowsAtOnce] = {};
    for (Index k = 0; k < n; ++k) {
      T* f = shifted + k * kRowsAtOnce;
      SKB_INDEPENDENT
      for (Index r = 0; r < kRowsAtOnce; ++r) {
        f[r] = math::exp(f[r]);
        sum[r] += f[r];
      }
    }
    std::fill_n(loss, kRowsAtOnce, T(0));
    for (Index k = 0; k < n; ++k) {
      T* p = shifted + k * kRowsAtOnce;
      const T* y_k = y + k * kRowsAtOnce;
      SKB_INDEPENDENT
      for (Index r = 0; r < kRowsAtOnce; ++r) {
        p[r] /= sum[r];
        const T g = per_output * (p[r] - y_k[r]);
        loss[r] += T(0.5) * g * (p[r] - y_k[r]);
        mean[r] += p[r] * g;
      }
    }
    for (Index k = 0; k < n; ++k) {
      T* p = shifted + k * kRowsAtOnce;
      const T* y_k = y + k * kRowsAtOnce;
      SKB_INDEPENDENT
      for (Index r = 0; r < kRowsAtOnce; ++r) {
        p[r] *= share[r] * (per_output * (p[r] - y_k[r]) - mean[r]);
      }
    }
  }
};

template <typename T>
SKB_INLINE void subtract_maximum(T* f, Index n) {
  T maximum[kRowsAtOnce];
  std::copy_n(f, kRowsAtOnce, maximum);
  for (Index k = 1; k < n; ++k) {
    const T* f_k = f + k * kRowsAtOnce;
    SKB_INDEPENDENT
    for (Index r = 0; r < kRowsAtOnce; ++r) {
      maximum[r] = f_k[r] > maximum[r] ? f_k[r] : maximum[r];
    }
  }
  for (Index k = 0; k < n; ++k) {
    T* f_k = f + k * kRowsAtOnce;
    SKB_INDEPENDENT
    for (Index r = 0; r < kRowsAtOnce; ++r) f_k[r] -= maximum[r];
  }
}

// At most kRowsAtOnce rows (count, n) side by side, and zeros beside them.
template <typename T>
SKB_INLINE void stand_side_by_side(const T* rows, Index count, Index n, T* columns) {
  if (count < kRowsAtOnce) std::fill_n(columns, n * kRowsAtOnce, T(0));
  copy_transposed(Strided<const T>{rows, n, count, 1, n}, kRowsAtOnce, columns);
}

// columns: room for twice kRowsAtOnce rows.
template <typename L, typename T>
SKB_CLONES double evaluate_rows(const Matrix<T>& f, const T* y, const T* share,
                                T* columns) {
  const Index n = f.cols;
  T* targets = columns + n * kRowsAtOnce;
  T shares[kRowsAtOnce] = {}, loss[kRowsAtOnce];
  double totals[kRowsAtOnce] = {};
  for (Index i = 0; i < f.rows; i += kRowsAtOnce) {
    const Index count = std::min(kRowsAtOnce, f.rows - i);
    std::fill(std::copy_n(share + i, count, shares), shares + kRowsAtOnce, T(0));
    stand_side_by_side(f.row(i), count, n, columns);
    stand_side_by_side(y + i * n, count, n, targets);
    subtract_maximum(columns, n);
    L::rows(columns, targets, n, shares, loss);
    for (Index r = 0; r < kRowsAtOnce; ++r) {
      totals[r] += double(shares[r]) * double(loss[r]);
    }
    copy_transposed(Strided<const T>{columns, count, n, 1, kRowsAtOnce}, n, f.row(i));
  }
  return std::accumulate(totals, totals + kRowsAtOnce, 0.0);
}

// ---- What the network sees --------------------------------------------------------

template <typename T>
class Loss {
 public:
  virtual ~Loss() = default;
  // Raw outputs (contiguous) become predictions.
  virtual void apply_link(const Matrix<T>& f) const = 0;
  // Raw outputs become the derivative of prediction k, row by row.
  virtual void differentiate_link(const Matrix<T>& f, Index k) const = 0;
  // Sum of share_i * loss_i; f (contiguous) becomes its derivative in f. `scratch` has
  // room for f, and no less than for twice kRowsAtOnce rows of it.
  virtual double value_and_delta(const Matrix<T>& f, const T* y, const T* share,
                                 T* scratch) const = 0;
};

template <typename L, typename T>
SKB_CLONES void evaluate_pointwise(Index n, T* f, const T* y, T parameter, T* value) {
  SKB_INDEPENDENT
  for (Index e = 0; e < n; ++e) {
    const Pointwise<T> at = L::at(f[e], y[e], parameter);
    value[e] = at.value;
    f[e] = at.derivative;
  }
}

// Sum over rows of share_i * (sum of value over the row); scales the deltas by share_i.
// A row of zero share is no part of the mini-batch, whatever its loss.
template <typename T>
double sum_and_scale(const Matrix<T>& delta, const T* value, const T* share, T factor) {
  double total = 0;
  for (Index i = 0; i < delta.rows; ++i) {
    const T scale = share[i] * factor;
    T* d = delta.row(i);
    double row = 0;
    for (Index k = 0; k < delta.cols; ++k) {
      row += double(value[i * delta.cols + k]);
      d[k] *= scale;
    }
    total += double(scale) * row;
  }
  return total;
}

template <typename L, typename T>
class PointwiseLoss : public Loss<T> {
 public:
  explicit PointwiseLoss(T parameter) : parameter_(parameter) {}
  void apply_link(const Matrix<T>& f) const override { L::Link::apply(f); }
  void differentiate_link(const Matrix<T>& f, Index k) const override {
    L::Link::differentiate(f, k);
  }
  double value_and_delta(const Matrix<T>& f, const T* y, const T* share,
                         T* scratch) const override {
    evaluate_pointwise<L, T>(f.rows * f.cols, f.data, y, parameter_, scratch);
    const T factor = L::is_sum ? T(1) : T(1) / T(f.cols);
    return sum_and_scale(f, scratch, share, factor);
  }

 private:
  T parameter_;
};

template <typename L, typename T>
class SoftmaxLoss : public Loss<T> {
 public:
  void apply_link(const Matrix<T>& f) const override { SoftmaxLink::apply(f); }
  void differentiate_link(const Matrix<T>& f, Index k) const override {
    SoftmaxLink::differentiate(f, k);
  }
  double value_and_delta(const Matrix<T>& f, const T* y, const T* share,
                         T* scratch) const override {
    return evaluate_rows<L, T>(f, y, share, scratch);
  }
};

using LossLink = std::pair<std::string, std::string>;

inline std::vector<LossLink> loss_links() {
  return {{"squared_error", "identity"},
          {"absolute_error", "identity"},
          {"huber", "identity"},
          {"quantile", "identity"},
          {"poisson", "exp"},
          {"log_loss", "sigmoid"},
          {"log_loss", "softmax"},
          {"squared_error", "sigmoid"},
          {"squared_error", "softmax"}};
}

template <typename T>
std::unique_ptr<Loss<T>> make_loss(const LossLink& name, T parameter) {
  auto pointwise = [&](auto loss) -> std::unique_ptr<Loss<T>> {
    return std::make_unique<PointwiseLoss<decltype(loss), T>>(parameter);
  };
  if (name == LossLink("squared_error", "identity")) return pointwise(SquaredError{});
  if (name == LossLink("absolute_error", "identity")) return pointwise(AbsoluteError{});
  if (name == LossLink("huber", "identity")) return pointwise(Huber{});
  if (name == LossLink("quantile", "identity")) return pointwise(Quantile{});
  if (name == LossLink("poisson", "exp")) return pointwise(Poisson{});
  if (name == LossLink("log_loss", "sigmoid")) return pointwise(BinaryLogLoss{});
  if (name == LossLink("squared_error", "sigmoid")) {
    return pointwise(SigmoidSquaredError{});
  }
  if (name == LossLink("log_loss", "softmax")) {
    return std::make_unique<SoftmaxLoss<SoftmaxLogLoss, T>>();
  }
  if (name == LossLink("squared_error", "softmax")) {
    return std::make_unique<SoftmaxLoss<SoftmaxSquaredError, T>>();
  }
  throw std::invalid_argument("No loss '" + name.first + "' with the link '" +
                              name.second + "'.");
}

}  // namespace sklearn_backprop::losses
