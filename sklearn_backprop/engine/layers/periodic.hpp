// Periodic embeddings of numbers.
#pragma once

#include <memory>

#include "../elementary.hpp"
#include "../products.hpp"
#include "embedding.hpp"

namespace sklearn_backprop {

// [cos 2 pi w x, sin 2 pi w x] for n frequencies w
template <typename T>
SKB_CLONES void make_waves(Index n, T x, const T* w, T* waves) {
  SKB_INDEPENDENT
  for (Index j = 0; j < n; ++j) {
    const auto wave = elementary::sine_and_cosine(w[j] * x);
    waves[j] = wave.cosine;
    waves[n + j] = wave.sine;
  }
}

// d_w += 2 pi x (cos d_sin - sin d_cos); returns the sum of 2 pi w times that bracket.
template <typename T>
SKB_CLONES T waves_backward(Index n, T x, const T* w, const T* waves, const T* delta,
                            T* d_w) {
  constexpr T turn = T(6.28318530717958647693);
  T sum = T(0);
  for (Index j = 0; j < n; ++j) {
    const T d_phase = turn * (waves[j] * delta[n + j] - waves[n + j] * delta[j]);
    d_w[j] += x * d_phase;
    sum += w[j] * d_phase;
  }
  return sum;
}

// Gorishniy, Rubachev and Babenko (2022): relu([cos 2 pi w x, sin 2 pi w x] W + b). All
// columns share W and b ("lite"), or each has its own.
template <typename T>
class Periodic final : public Layer<T> {
 public:
  static constexpr const char* kind = "periodic";
  static LayerPointer<T> make(const Spec& spec, Builder<T>& builder) {
    return std::make_unique<Periodic>(spec, builder);
  }

  Periodic(const Spec& spec, Builder<T>& builder)
      : at_(EmbeddedColumns::read(spec, builder)),
        n_frequencies_(spec.index("n_frequencies")),
        is_shared_(spec.index("shared") > 0),
        w_(builder.parameter(spec, "w", at_.n_columns() * n_frequencies_)),
        W_(builder.parameter(spec, "W", n_matrices() * n_waves() * at_.size)),
        b_(builder.parameter(spec, "b", n_matrices() * at_.size)) {}

  Index n_inputs() const override { return at_.n_in; }
  Index n_outputs() const override { return at_.width(); }
  void reserve(Layout& layout) override {
    waves_ = layout.reserve(at_.n_columns() * n_waves());
    wave_deltas_ = layout.reserve(at_.n_columns() * n_waves());
    sums_ = layout.reserve(at_.width());
  }

  void forward(Pass<T>& pass, const Rows<T>& x, const Matrix<T>& y) const override {
    const Matrix<T> waves = waves_of(pass, waves_, y.rows);
    const Matrix<T> sums = pass.workspace->matrix(sums_, y.rows, at_.width());
    for_each_number(x.dense, [&](Index i, Index f, T value) {
      const T known = value == value ? value : T(0);
      make_waves(n_frequencies_, known, pass.theta + w_ + f * n_frequencies_,
                 waves.row(i) + f * n_waves());
    });
    for_each_matrix(
        waves, sums, [&](Index m, const Matrix<T>& in, const Matrix<T>& out) {
          multiply(Rows<T>(in), pass.theta + W_ + m * n_waves() * at_.size, out);
          add_row(out, pass.theta + b_ + m * at_.size);
        });
    for_each_number(x.dense, [&](Index i, Index f, T value) {
      const T* sum = sums.row(i) + f * at_.size;
      T* out = y.row(i) + f * at_.size;
      if (value != value) return at_.put_missing(pass.theta, f, out);
      for (Index j = 0; j < at_.size; ++j) out[j] = sum[j] > T(0) ? sum[j] : T(0);
    });
  }

  void backward(Pass<T>& pass, const Rows<T>& x, const Matrix<T>& y,
                const Matrix<T>& delta_y, const Matrix<T>& delta_x) const override {
    const Matrix<T> waves = waves_of(pass, waves_, y.rows);
    const Matrix<T> deltas = waves_of(pass, wave_deltas_, y.rows);
    const Matrix<T> sums = pass.workspace->matrix(sums_, y.rows, at_.width());
    at_.start_sums(pass);
    for_each_number(x.dense, [&](Index i, Index f, T value) {
      const T* delta = delta_y.row(i) + f * at_.size;
      T* sum = sums.row(i) + f * at_.size;
      const bool is_missing = value != value;
      if (is_missing) at_.add_missing(pass.gradient, f, delta);
      for (Index j = 0; j < at_.size; ++j) {
        sum[j] = !is_missing && sum[j] > T(0) ? delta[j] : T(0);
      }
    });
    T* d_b = pass.start_sum(b_, n_matrices() * at_.size);
    for_each_matrix(
        waves, sums, [&](Index m, const Matrix<T>& in, const Matrix<T>& out) {
          const Index W = W_ + m * n_waves() * at_.size;
          multiply_transposed(Rows<T>(in), out, pass.beta, pass.gradient + W);
          add_column_sums(out, d_b + m * at_.size);
        });
    for_each_matrix(
        deltas, sums, [&](Index m, const Matrix<T>& in, const Matrix<T>& out) {
          multiply_by_transpose(out, pass.theta + W_ + m * n_waves() * at_.size, in);
        });
    if (!delta_x.empty()) fill_with_zeros(delta_x);
    T* d_w = pass.start_sum(w_, at_.n_columns() * n_frequencies_);
    for_each_number(x.dense, [&](Index i, Index f, T value) {
      if (value != value) return;
      const Index at = f * n_frequencies_;
      const T slope = waves_backward(n_frequencies_, value, pass.theta + w_ + at,
                                     waves.row(i) + f * n_waves(),
                                     deltas.row(i) + f * n_waves(), d_w + at);
      if (!delta_x.empty()) delta_x.row(i)[at_.column(f)] += slope;
    });
  }

 private:
  Index n_waves() const { return 2 * n_frequencies_; }
  Index n_matrices() const { return is_shared_ ? 1 : at_.n_columns(); }
  Matrix<T> waves_of(Pass<T>& pass, Slot slot, Index rows) const {
    return pass.workspace->matrix(slot, rows, at_.n_columns() * n_waves());
  }

  // visit(i, f, x)
  template <typename Visit>
  void for_each_number(const Matrix<const T>& x, const Visit& visit) const {
    for (Index i = 0; i < x.rows; ++i) {
      for (Index f = 0; f < at_.n_columns(); ++f) visit(i, f, x.row(i)[at_.column(f)]);
    }
  }
  // visit(matrix, its waves, its outputs): all columns at once where they share one
  template <typename Visit>
  void for_each_matrix(const Matrix<T>& waves, const Matrix<T>& sums,
                       const Visit& visit) const {
    if (is_shared_) {
      const Index rows = waves.rows * at_.n_columns();
      return visit(Index(0), Matrix<T>{waves.data, rows, n_waves(), n_waves()},
                   Matrix<T>{sums.data, rows, at_.size, at_.size});
    }
    for (Index f = 0; f < at_.n_columns(); ++f) {
      visit(f, waves.columns(f * n_waves(), n_waves()),
            sums.columns(f * at_.size, at_.size));
    }
  }

  EmbeddedColumns at_;
  Index n_frequencies_;
  bool is_shared_;
  Index w_, W_, b_;
  Slot waves_, wave_deltas_, sums_;
};

}  // namespace sklearn_backprop
