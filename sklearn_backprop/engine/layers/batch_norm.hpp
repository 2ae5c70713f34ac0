// Normalization over the rows of a mini-batch.
#pragma once

#include <algorithm>
#include <cmath>
#include <memory>

#include "../norms.hpp"
#include "builder.hpp"

namespace sklearn_backprop {

// sum (n) = sum of p_i x_i per column
template <typename T>
SKB_CLONES void column_means(const Matrix<const T>& x, const T* p, T* sum) {
  std::fill_n(sum, x.cols, T(0));
  for (Index i = 0; i < x.rows; ++i) {
    const T* row = x.row(i);
    SKB_INDEPENDENT
    for (Index j = 0; j < x.cols; ++j) sum[j] += p[i] * row[j];
  }
}

// sum (n) = sum of p_i (x_i - mean)^2 per column
template <typename T>
SKB_CLONES void column_variances(const Matrix<const T>& x, const T* p, const T* mean,
                                 T* sum) {
  std::fill_n(sum, x.cols, T(0));
  for (Index i = 0; i < x.rows; ++i) {
    const T* row = x.row(i);
    SKB_INDEPENDENT
    for (Index j = 0; j < x.cols; ++j) {
      const T deviation = row[j] - mean[j];
      sum[j] += p[i] * deviation * deviation;
    }
  }
}

// y = (x - mean) * scale * gamma + beta
template <typename T>
SKB_CLONES void normalize_columns(const Matrix<const T>& x, const T* mean,
                                  const T* scale, const T* gamma, const T* beta,
                                  const Matrix<T>& y) {
  for (Index i = 0; i < x.rows; ++i) {
    const T* in = x.row(i);
    T* out = y.row(i);
    SKB_INDEPENDENT
    for (Index j = 0; j < x.cols; ++j) {
      out[j] = (in[j] - mean[j]) * scale[j] * gamma[j] + beta[j];
    }
  }
}

// Adds sum of delta and sum of delta * x_hat per column.
template <typename T>
SKB_CLONES void column_norm_sums(const Matrix<const T>& x, const T* mean,
                                 const T* scale, const Matrix<T>& delta, T* sum,
                                 T* sum_hat) {
  for (Index i = 0; i < x.rows; ++i) {
    const T* in = x.row(i);
    const T* d = delta.row(i);
    SKB_INDEPENDENT
    for (Index j = 0; j < x.cols; ++j) {
      sum[j] += d[j];
      sum_hat[j] += d[j] * ((in[j] - mean[j]) * scale[j]);
    }
  }
}

// delta_x = gamma scale (delta - p_i (sum + x_hat sum_hat)): d x_hat_k / d x_i is
// scale ([i = k] - p_i - p_i x_hat_i x_hat_k).
template <typename T>
SKB_CLONES void column_norm_backward(const Matrix<const T>& x, const T* mean,
                                     const T* scale, const T* gamma, const T* p,
                                     const T* sum, const T* sum_hat,
                                     const Matrix<T>& delta_y,
                                     const Matrix<T>& delta_x) {
  for (Index i = 0; i < x.rows; ++i) {
    const T* in = x.row(i);
    const T* d = delta_y.row(i);
    T* out = delta_x.row(i);
    SKB_INDEPENDENT
    for (Index j = 0; j < x.cols; ++j) {
      const T x_hat = (in[j] - mean[j]) * scale[j];
      out[j] = gamma[j] * scale[j] * (d[j] - p[i] * (sum[j] + x_hat * sum_hat[j]));
    }
  }
}

// The same where mean and scale depend on no row.
template <typename T>
SKB_CLONES void column_scale_backward(const T* scale, const T* gamma,
                                      const Matrix<T>& delta_y,
                                      const Matrix<T>& delta_x) {
  for (Index i = 0; i < delta_y.rows; ++i) {
    const T* d = delta_y.row(i);
    T* out = delta_x.row(i);
    SKB_INDEPENDENT
    for (Index j = 0; j < delta_y.cols; ++j) out[j] = gamma[j] * scale[j] * d[j];
  }
}

// Ioffe and Szegedy (2015), with the statistics of the weighted rows of the whole
// mini-batch: a team adds up what each of its members finds in its own rows. "frozen"
// ones use running statistics and leave them as they are.
template <typename T>
class BatchNorm final : public Layer<T> {
 public:
  static constexpr const char* kind = "batch_norm";
  static LayerPointer<T> make(const Spec& spec, Builder<T>& builder) {
    const Index width = spec.index("width");
    const bool is_frozen = spec.has("frozen");
    if (is_frozen) builder.read_running_in_training();
    return std::make_unique<BatchNorm>(width, builder.parameter(spec, "gamma", width),
                                       builder.parameter(spec, "beta", width),
                                       builder.running(spec, "running", 2 * width),
                                       is_frozen);
  }

  BatchNorm(Index width, Index gamma, Index beta, Index running, bool is_frozen)
      : width_(width),
        gamma_(gamma),
        beta_(beta),
        running_(running),
        is_frozen_(is_frozen) {}

  Index n_inputs() const override { return width_; }
  Index n_outputs() const override { return width_; }
  bool passes_delta_in_place() const override { return true; }
  bool couples_rows() const override { return !is_frozen_; }
  void reserve(Layout& layout) override {
    statistics_ = layout.reserve(0, 2 * width_);
    sums_ = layout.reserve(0, 2 * width_);
    own_sums_ = layout.reserve(0, 2 * width_);
  }

  void forward(Pass<T>& pass, const Rows<T>& x, const Matrix<T>& y) const override {
    T* mean = pass.workspace->at(statistics_);
    T* scale = mean + width_;
    if (pass.is_training && !is_frozen_) {
      find_statistics(pass, x.dense, mean, scale);
    } else {
      std::copy_n(pass.running + running_, 2 * width_, mean);
    }
    for (Index j = 0; j < width_; ++j) {
      scale[j] = T(1) / std::sqrt(scale[j] + T(kNormEpsilon));
    }
    normalize_columns<T>(x.dense, mean, scale, pass.theta + gamma_, pass.theta + beta_,
                         y);
  }

  void backward(Pass<T>& pass, const Rows<T>& x, const Matrix<T>&,
                const Matrix<T>& delta_y, const Matrix<T>& delta_x) const override {
    const T* mean = pass.workspace->at(statistics_);
    const T* scale = mean + width_;
    // Sums of this mini-batch alone: the gradient may hold other passes' too.
    T* own = pass.workspace->at(own_sums_);
    std::fill_n(own, 2 * width_, T(0));
    column_norm_sums<T>(x.dense, mean, scale, delta_y, own, own + width_);
    T* d_gamma = pass.start_sum(gamma_, width_);
    T* d_beta = pass.start_sum(beta_, width_);
    for (Index j = 0; j < width_; ++j) {
      d_gamma[j] += own[width_ + j];
      d_beta[j] += own[j];
    }
    if (is_frozen_) {
      return column_scale_backward(scale, pass.theta + gamma_, delta_y, delta_x);
    }
    T* sum = pass.workspace->at(sums_);
    pass.add_up(own, 2 * width_, sum);
    column_norm_backward<T>(x.dense, mean, scale, pass.theta + gamma_, pass.row_share,
                            sum, sum + width_, delta_y, delta_x);
  }

 private:
  void find_statistics(Pass<T>& pass, const Matrix<const T>& x, T* mean,
                       T* variance) const {
    T* own = pass.workspace->at(own_sums_);
    column_means(x, pass.row_share, own);
    pass.add_up(own, width_, mean);
    column_variances<T>(x, pass.row_share, mean, own);
    pass.add_up(own, width_, variance);
    if (pass.new_running != nullptr) update_running(pass.new_running, mean, variance);
  }

  void update_running(T* running, const T* mean, const T* variance) const {
    T* running_mean = running + running_;
    T* running_variance = running_mean + width_;
    for (Index j = 0; j < width_; ++j) {
      running_mean[j] = T(0.9) * running_mean[j] + T(0.1) * mean[j];
      running_variance[j] = T(0.9) * running_variance[j] + T(0.1) * variance[j];
    }
  }

  Index width_, gamma_, beta_, running_;
  bool is_frozen_;
  Slot statistics_, sums_, own_sums_;
};

}  // namespace sklearn_backprop
