// Activations as layers, and what their units do.
#pragma once

#include <algorithm>
#include <cstdint>
#include <memory>
#include <numeric>
#include <type_traits>

#include "../activations.hpp"
#include "builder.hpp"

namespace sklearn_backprop {

template <typename F, typename T>
SKB_CLONES void activate(const Matrix<const T>& x, const T* b, const Matrix<T>& y) {
  for (Index i = 0; i < y.rows; ++i) {
    const T* z = x.row(i);
    T* a = y.row(i);
    SKB_INDEPENDENT
    for (Index j = 0; j < y.cols; ++j) a[j] = F::value(z[j] + b[j]);
  }
}

// delta_x = factor delta_y f'(z), and its column sums: the gradient of b
template <typename F, typename T>
SKB_CLONES void activate_backward(const Matrix<const T>& x, const T* b,
                                  const Matrix<T>& y, const Matrix<T>& delta_y,
                                  const Matrix<T>& delta_x, T factor, T* sum) {
  for (Index i = 0; i < y.rows; ++i) {
    const T* z = x.row(i);
    const T* a = y.row(i);
    const T* in = delta_y.row(i);
    T* out = delta_x.row(i);
    SKB_INDEPENDENT
    for (Index j = 0; j < y.cols; ++j) {
      const T delta = in[j] * (factor * F::derivative(z[j] + b[j], a[j]));
      out[j] = delta;
      sum[j] += delta;
    }
  }
}

// Whether the slope of a unit, z + b -> a, lets any gradient through.
template <typename F, typename T>
SKB_INLINE bool is_moving(T z, T a) {
  return elementary::absolute(F::derivative(z, a)) >= T(1e-3);
}

constexpr Index kUnitsAtOnce = 8;

// Marks those of `count` units alive that some row moves, and reads rows until all are.
template <typename F, typename T>
SKB_INLINE void mark_units(const Matrix<const T>& x, const T* b, const Matrix<T>& y,
                           Index count, unsigned char* is_alive) {
  constexpr Index rows_at_once = 32;
  using Flag = std::conditional_t<sizeof(T) == 4, std::int32_t, std::int64_t>;
  Flag moves[kUnitsAtOnce];  // as wide as T, in which they are found out
  for (Index j = 0; j < count; ++j) moves[j] = is_alive[j];
  Index n_alive = 0;
  for (Index i = 0; i < y.rows && n_alive < count;) {
    for (const Index end = std::min(i + rows_at_once, y.rows); i < end; ++i) {
      const T* z = x.row(i);
      const T* a = y.row(i);
      SKB_INDEPENDENT
      for (Index j = 0; j < count; ++j) {
        moves[j] |= is_moving<F, T>(z[j] + b[j], a[j]) ? Flag(1) : Flag(0);
      }
    }
    n_alive = 0;
    for (Index j = 0; j < count; ++j) n_alive += moves[j];
  }
  for (Index j = 0; j < count; ++j) {
    is_alive[j] = static_cast<unsigned char>(moves[j]);
  }
}

// The number of units alive, after these rows. Passes over blocks of units that are.
template <typename F, typename T>
SKB_CLONES Index mark_alive_units(const Matrix<const T>& x, const T* b,
                                  const Matrix<T>& y, unsigned char* is_alive) {
  const Index n = y.cols;
  const Index count = std::min(n, kUnitsAtOnce);
  for (Index begin = 0; begin < n; begin += count) {
    const Index j = std::min(begin, n - count);
    if (std::find(is_alive + j, is_alive + j + count, 0) == is_alive + j + count) {
      continue;
    }
    const auto z = x.columns(j, count);
    const auto a = y.columns(j, count);
    if (count == kUnitsAtOnce) {  // of a size that the compiler knows
      mark_units<F, T>(z, b + j, a, kUnitsAtOnce, is_alive + j);
    } else {
      mark_units<F, T>(z, b + j, a, count, is_alive + j);
    }
  }
  return std::accumulate(is_alive, is_alive + n, Index(0));
}

template <typename F, typename T>
SKB_CLONES double count_saturated_units(const Matrix<T>& y) {
  Index count = 0;
  for (Index i = 0; i < y.rows; ++i) {
    const T* a = y.row(i);
    std::int32_t in_row = 0;
    for (Index j = 0; j < y.cols; ++j) {
      in_row += F::derivative(T(0), a[j]) < T(0.01 * F::bounded_slope) ? 1 : 0;
    }
    count += in_row;
  }
  return double(count);
}

// f(x + b): b is that of the dense layer before it, or a row of zeros.
template <typename F, typename T>
class ActivationOf final : public Layer<T>, public Units<T> {
 public:
  ActivationOf(Index width, Index b) : width_(width), b_(b) {}

  Index n_inputs() const override { return width_; }
  Index n_outputs() const override { return width_; }
  bool works_in_place() const override { return !F::derivative_reads_z; }
  bool bears_dropout() const override {
    return std::is_same_v<F, activations::Relu>;  // its derivative asks if a > 0
  }
  bool passes_delta_in_place() const override { return true; }
  const Units<T>* units() const override { return this; }
  void stand_before(const Layer<T>& behind) override { behind_ = &behind; }
  // Without a bias: a row of zeros to add, and a row for the sums that nobody wants.
  void reserve(Layout& layout) override {
    if (b_ < 0) no_bias_ = layout.reserve(0, 2 * width_);
  }

  void forward(Pass<T>& pass, const Rows<T>& x, const Matrix<T>& y) const override {
    activate<F, T>(x.dense, bias(pass), y);
  }
  void backward(Pass<T>& pass, const Rows<T>& x, const Matrix<T>& y,
                const Matrix<T>& delta_y, const Matrix<T>& delta_x) const override {
    T* sum =
        b_ >= 0 ? pass.start_sum(b_, width_) : pass.workspace->at(no_bias_) + width_;
    activate_backward<F, T>(read_by_derivative(x, y), bias(pass), y, delta_y, delta_x,
                            behind_ ? behind_->factor_left(pass) : T(1), sum);
  }

  Index mark_alive(Pass<T>& pass, const Rows<T>& x, const Matrix<T>& y,
                   unsigned char* is_alive) const override {
    return mark_alive_units<F, T>(read_by_derivative(x, y), bias(pass), y, is_alive);
  }
  double count_saturated(const Matrix<T>& y) const override {
    if constexpr (F::bounded_slope > 0) return count_saturated_units<F>(y);
    return 0;
  }

 private:
  // z, or the value in its place where the derivative reads that alone.
  static Matrix<const T> read_by_derivative(const Rows<T>& x, const Matrix<T>& y) {
    if (F::derivative_reads_z) return x.dense;
    return {y.data, y.rows, y.cols, y.stride};
  }
  const T* bias(Pass<T>& pass) const {
    return b_ >= 0 ? pass.theta + b_ : pass.workspace->at(no_bias_);
  }

  Index width_, b_;
  Slot no_bias_;
  const Layer<T>* behind_ = nullptr;  // in its chain
};

// The activation that a specification names.
template <typename T>
class Activation {
 public:
  static constexpr const char* kind = "activation";
  static LayerPointer<T> make(const Spec& spec, Builder<T>& builder) {
    const Index width = spec.index("width");
    const Index b = builder.parameter_or_none(spec, "b", width);
    return activations::visit(spec.text("name"),
                              [&](auto f) { return make_of(f, width, b); });
  }

 private:
  // By a function of its own: made inside the lambda, clang 14 emits no virtual
  // members.
  template <typename F>
  static LayerPointer<T> make_of(F, Index width, Index b) {
    return LayerPointer<T>(new ActivationOf<F, T>(width, b));
  }
};

}  // namespace sklearn_backprop
