// Losses: a pointwise loss composed with the link that maps raw outputs f (rows, K) to
// predictions. Value and derivative (in f) side by side. To add one, write its struct
// and give it a line in `make_loss` and `loss_links`.
#pragma once

#include <algorithm>
#include <cmath>
#include <memory>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "elementary.hpp"
#include "matrix.hpp"

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

// shifted = f - max f, row by row, and f = exp(shifted), which cannot overflow; both
// may take the same memory.
template <typename T>
SKB_CLONES void shift_and_exponentiate(const Matrix<T>& f, T* shifted) {
  for (Index i = 0; i < f.rows; ++i) {
    const T* row = f.row(i);
    T maximum = row[0];
    for (Index k = 1; k < f.cols; ++k) maximum = row[k] > maximum ? row[k] : maximum;
    T* out = shifted + i * f.cols;
    SKB_INDEPENDENT
    for (Index k = 0; k < f.cols; ++k) out[k] = row[k] - maximum;
  }
  SKB_INDEPENDENT
  for (Index e = 0; e < f.rows * f.cols; ++e) f.data[e] = math::exp(shifted[e]);
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
    shift_and_exponentiate(f, f.data);
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
// Given e = exp(f - max f) in place of f, and f - max f beside it, returns the row's
// loss and leaves share times its derivative in place of e.

struct SoftmaxLogLoss {
  template <typename T>
  static SKB_INLINE T row(T* e, const T* shifted, const T* y, Index n, T share) {
    T sum = T(0), total = T(0), dot = T(0);
    for (Index k = 0; k < n; ++k) {
      sum += e[k];
      total += y[k];
      dot += y[k] != T(0) ? y[k] * shifted[k] : T(0);
    }
    const T scale = share * total / sum;
    SKB_INDEPENDENT
    for (Index k = 0; k < n; ++k) e[k] = scale * e[k] - share * y[k];
    return total * std::log(sum) - dot;
  }
};

// With g = (p - y) / K the derivative is p (g - sum of p g).
struct SoftmaxSquaredError {
  template <typename T>
  static SKB_INLINE T row(T* e, const T*, const T* y, Index n, T share) {
    divide_by_sum(e, n);
    const T per_output = T(1) / T(n);
    T loss = T(0), mean = T(0);
    for (Index k = 0; k < n; ++k) {
      const T g = per_output * (e[k] - y[k]);
      loss += T(0.5) * g * (e[k] - y[k]);
      mean += e[k] * g;
    }
    SKB_INDEPENDENT
    for (Index k = 0; k < n; ++k) {
      e[k] *= share * (per_output * (e[k] - y[k]) - mean);
    }
    return loss;
  }
};

template <typename L, typename T>
SKB_CLONES double evaluate_rows(const Matrix<T>& e, const T* shifted, const T* y,
                                const T* share) {
  double total = 0;
  for (Index i = 0; i < e.rows; ++i) {
    const Index at = i * e.cols;
    total += double(share[i]) *
             double(L::row(e.row(i), shifted + at, y + at, e.cols, share[i]));
  }
  return total;
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
  // room for f.
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
    shift_and_exponentiate(f, scratch);
    return evaluate_rows<L, T>(f, scratch, y, share);
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
