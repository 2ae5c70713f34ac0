// Normalization over the units of a row.
#pragma once

#include <cmath>
#include <memory>

#include "../norms.hpp"
#include "builder.hpp"

namespace sklearn_backprop {

// Sums over one row, on lanes that vectorise: term(j) for j < n.
template <typename T, typename Term>
SKB_INLINE T row_sum(Index n, Term term) {
  T lane[kLanes] = {};
  Index j = 0;
  for (; j + kLanes <= n; j += kLanes) {
    for (Index l = 0; l < kLanes; ++l) lane[l] += term(j + l);
  }
  T sum = T(0);
  for (Index l = 0; l < kLanes; ++l) sum += lane[l];
  for (; j < n; ++j) sum += term(j);
  return sum;
}

// Writes each row's mean and 1 / deviation beside what it makes of them.
template <typename T>
SKB_CLONES void normalize_rows(const Matrix<const T>& x, const T* gamma, const T* beta,
                               T* moments, const Matrix<T>& y) {
  const T share = T(1) / T(x.cols);
  for (Index i = 0; i < x.rows; ++i) {
    const T* in = x.row(i);
    T* out = y.row(i);
    const T mean = share * row_sum<T>(x.cols, [=](Index j) { return in[j]; });
    const T variance = share * row_sum<T>(x.cols, [=](Index j) {
                         const T deviation = in[j] - mean;
                         return deviation * deviation;
                       });
    const T scale = T(1) / std::sqrt(variance + T(kNormEpsilon));
    moments[2 * i] = mean;
    moments[2 * i + 1] = scale;
    SKB_INDEPENDENT
    for (Index j = 0; j < x.cols; ++j) {
      out[j] = (in[j] - mean) * scale * gamma[j] + beta[j];
    }
  }
}

// delta_x = scale (g - mean(g) - x_hat mean(g x_hat)) with g = gamma delta
template <typename T>
SKB_CLONES void row_norm_backward(const Matrix<const T>& x, const T* gamma,
                                  const T* moments, const Matrix<T>& delta_y,
                                  const Matrix<T>& delta_x, T* d_gamma, T* d_beta) {
  const T share = T(1) / T(x.cols);
  for (Index i = 0; i < x.rows; ++i) {
    const T* in = x.row(i);
    const T* d = delta_y.row(i);
    T* out = delta_x.row(i);
    const T mean = moments[2 * i];
    const T scale = moments[2 * i + 1];
    SKB_INDEPENDENT
    for (Index j = 0; j < x.cols; ++j) {
      d_gamma[j] += d[j] * ((in[j] - mean) * scale);
      d_beta[j] += d[j];
    }
    const T g = share * row_sum<T>(x.cols, [=](Index j) { return gamma[j] * d[j]; });
    const T g_hat = share * row_sum<T>(x.cols, [=](Index j) {
                      return gamma[j] * d[j] * ((in[j] - mean) * scale);
                    });
    SKB_INDEPENDENT
    for (Index j = 0; j < x.cols; ++j) {
      const T x_hat = (in[j] - mean) * scale;
      out[j] = scale * (gamma[j] * d[j] - g - x_hat * g_hat);
    }
  }
}

// Ba, Kiros and Hinton (2016)
template <typename T>
class LayerNorm final : public Layer<T> {
 public:
  static constexpr const char* kind = "layer_norm";
  static LayerPointer<T> make(const Spec& spec, Builder<T>& builder) {
    const Index width = spec.index("width");
    return std::make_unique<LayerNorm>(width, builder.parameter(spec, "gamma", width),
                                       builder.parameter(spec, "beta", width));
  }

  LayerNorm(Index width, Index gamma, Index beta)
      : width_(width), gamma_(gamma), beta_(beta) {}

  Index n_inputs() const override { return width_; }
  Index n_outputs() const override { return width_; }
  bool passes_delta_in_place() const override { return true; }
  void reserve(Layout& layout) override { moments_ = layout.reserve(2); }

  void forward(Pass<T>& pass, const Rows<T>& x, const Matrix<T>& y) const override {
    normalize_rows<T>(x.dense, pass.theta + gamma_, pass.theta + beta_,
                      pass.workspace->at(moments_), y);
  }
  void backward(Pass<T>& pass, const Rows<T>& x, const Matrix<T>&,
                const Matrix<T>& delta_y, const Matrix<T>& delta_x) const override {
    T* d_gamma = pass.start_sum(gamma_, width_);
    T* d_beta = pass.start_sum(beta_, width_);
    row_norm_backward<T>(x.dense, pass.theta + gamma_, pass.workspace->at(moments_),
                         delta_y, delta_x, d_gamma, d_beta);
  }

 private:
  Index width_, gamma_, beta_;
  Slot moments_;
};

}  // namespace sklearn_backprop
