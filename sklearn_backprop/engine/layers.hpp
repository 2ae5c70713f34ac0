// Layers. They hold no numbers of their own: parameters are spans of theta, caches are
// slots of the workspace, so that one layer serves any number of passes at once.
#pragma once

#include <algorithm>
#include <cmath>
#include <memory>
#include <numeric>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "activations.hpp"
#include "counter_random.hpp"
#include "norms.hpp"
#include "products.hpp"
#include "segments.hpp"
#include "workspace.hpp"

namespace sklearn_backprop {

// What an activation did in the records' span.
struct UnitCounts {
  std::vector<unsigned char> is_alive;  // per unit
  Index n_alive = 0;
  double n_saturated = 0;  // (row, unit) pairs
  double n_seen = 0;

  void clear() {
    std::fill(is_alive.begin(), is_alive.end(), static_cast<unsigned char>(0));
    n_alive = 0;
    n_saturated = n_seen = 0;
  }
};

// What layers share while they pass over one mini-batch, or over a share of its rows.
template <typename T>
struct Pass {
  const T* theta = nullptr;
  const T* running = nullptr;  // statistics that prediction uses
  T* new_running = nullptr;    // statistics that training updates, or null
  T* gradient = nullptr;
  T beta = T(0);                 // gradient = beta * gradient + this pass's
  const T* row_share = nullptr;  // w_i / sum of w, per row
  bool is_training = false;
  bool drops_units = false;  // draw dropout masks
  std::uint64_t seed = 0;
  std::uint64_t step = 0;
  Index first_row = 0;  // of the mini-batch, for the masks
  Workspace<T>* workspace = nullptr;
  std::vector<UnitCounts>* unit_counts = nullptr;  // per activation; null: no records
  bool finds_divergence = false;                   // look at each layer's output
  Index divergent_column = -1;

  // The gradient of a parameter array that is summed row by row.
  T* start_sum(Index offset, Index n) const {
    T* sum = gradient + offset;
    if (beta == T(0)) std::fill_n(sum, n, T(0));
    return sum;
  }
};

template <typename T>
class Layer {
 public:
  virtual ~Layer() = default;
  virtual Index n_inputs() const = 0;
  virtual Index n_outputs() const = 0;

  // y may take the memory of x: backward does not read x.
  virtual bool works_in_place() const { return false; }
  // delta_x may take the memory of delta_y; delta_x is then never empty.
  virtual bool passes_delta_in_place() const { return false; }
  virtual bool reads_sparse() const { return false; }
  // Its training pass couples the rows of a mini-batch.
  virtual bool couples_rows() const { return false; }
  virtual bool drops_units() const { return false; }

  virtual void reserve(Layout&) {}
  virtual void append_segments(std::vector<Segment>&) const {}

  virtual void forward(Pass<T>& pass, const Rows<T>& x, Matrix<T> y) const = 0;
  // Adds to the gradient; delta_y = dJ/dy may be overwritten; delta_x = dJ/dx is not
  // wanted where it is empty.
  virtual void backward(Pass<T>& pass, const Rows<T>& x, Matrix<T> y, Matrix<T> delta_y,
                        Matrix<T> delta_x) const = 0;
};

template <typename T>
using LayerPointer = std::unique_ptr<Layer<T>>;

template <typename T>
bool all_finite(Matrix<T> m) {
  for (Index i = 0; i < m.rows; ++i) {
    if (!std::isfinite(sum_of_squares(m.row(i), m.cols))) return false;
  }
  return true;
}

// ---- Dense ------------------------------------------------------------------------

// x W, plus b where there is one (an activation that follows adds it itself).
template <typename T>
class Dense : public Layer<T> {
 public:
  Dense(Index n_in, Index n_out, Index W, Index b, Index column)
      : n_in_(n_in), n_out_(n_out), W_(W), b_(b), column_(column) {}

  Index n_inputs() const override { return n_in_; }
  Index n_outputs() const override { return n_out_; }
  bool reads_sparse() const override { return true; }
  void append_segments(std::vector<Segment>& segments) const override {
    segments.push_back({W_, W_ + n_in_ * n_out_, Segment::Kind::weight, column_});
    if (b_ >= 0) segments.push_back({b_, b_ + n_out_, Segment::Kind::offset, column_});
  }

  void forward(Pass<T>& pass, const Rows<T>& x, Matrix<T> y) const override {
    multiply(x, pass.theta + W_, y);
    if (b_ >= 0) add_row(y, pass.theta + b_);
    if (pass.finds_divergence && pass.divergent_column < 0 && !all_finite(y)) {
      pass.divergent_column = column_;
    }
  }
  void backward(Pass<T>& pass, const Rows<T>& x, Matrix<T>, Matrix<T> delta_y,
                Matrix<T> delta_x) const override {
    multiply_transposed(x, delta_y, pass.beta, pass.gradient + W_);
    if (b_ >= 0) add_column_sums(delta_y, pass.start_sum(b_, n_out_));
    if (!delta_x.empty()) multiply_by_transpose(delta_y, pass.theta + W_, delta_x);
  }

 private:
  Index n_in_, n_out_, W_, b_, column_;
};

// ---- Activation -------------------------------------------------------------------

template <typename F, typename T>
SKB_CLONES void activate(Matrix<const T> x, const T* b, Matrix<T> y) {
  for (Index i = 0; i < y.rows; ++i) {
    const T* z = x.row(i);
    T* a = y.row(i);
    SKB_INDEPENDENT
    for (Index j = 0; j < y.cols; ++j) a[j] = F::value(z[j] + b[j]);
  }
}

// delta_x = delta_y f'(z), and its column sums: the gradient of b
template <typename F, typename T>
SKB_CLONES void activate_backward(Matrix<const T> x, const T* b, Matrix<T> y,
                                  Matrix<T> delta_y, Matrix<T> delta_x, T* sum) {
  for (Index i = 0; i < y.rows; ++i) {
    const T* z = x.row(i);
    const T* a = y.row(i);
    const T* in = delta_y.row(i);
    T* out = delta_x.row(i);
    SKB_INDEPENDENT
    for (Index j = 0; j < y.cols; ++j) {
      const T delta = in[j] * F::derivative(z[j] + b[j], a[j]);
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
SKB_INLINE void mark_units(Matrix<const T> x, const T* b, Matrix<T> y, Index count,
                           unsigned char* is_alive) {
  constexpr Index rows_at_once = 32;
  T n_moving[kUnitsAtOnce];
  for (Index j = 0; j < count; ++j) n_moving[j] = T(is_alive[j]);
  Index n_alive = 0;
  for (Index i = 0; i < y.rows && n_alive < count;) {
    for (const Index end = std::min(i + rows_at_once, y.rows); i < end; ++i) {
      const T* z = x.row(i);
      const T* a = y.row(i);
      SKB_INDEPENDENT
      for (Index j = 0; j < count; ++j) {
        n_moving[j] += is_moving<F, T>(z[j] + b[j], a[j]) ? T(1) : T(0);
      }
    }
    n_alive = 0;
    for (Index j = 0; j < count; ++j) n_alive += n_moving[j] > T(0) ? 1 : 0;
  }
  for (Index j = 0; j < count; ++j) is_alive[j] = n_moving[j] > T(0) ? 1 : 0;
}

// The number of units alive, after these rows. Passes over blocks of units that are.
template <typename F, typename T>
SKB_CLONES Index mark_alive(Matrix<const T> x, const T* b, Matrix<T> y,
                            unsigned char* is_alive) {
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
SKB_CLONES double count_saturated(Matrix<T> y) {
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
class Activation : public Layer<T> {
 public:
  Activation(Index width, Index b, Index column)
      : width_(width), b_(b), column_(column) {}

  Index n_inputs() const override { return width_; }
  Index n_outputs() const override { return width_; }
  bool works_in_place() const override { return !F::derivative_reads_z; }
  bool passes_delta_in_place() const override { return true; }
  void append_segments(std::vector<Segment>& segments) const override {
    if (b_ >= 0) segments.push_back({b_, b_ + width_, Segment::Kind::offset, column_});
  }
  // Without a bias: a row of zeros to add, and a row for the sums that nobody wants.
  void reserve(Layout& layout) override {
    if (b_ < 0) no_bias_ = layout.reserve(0, 2 * width_);
  }

  void forward(Pass<T>& pass, const Rows<T>& x, Matrix<T> y) const override {
    activate<F, T>(x.dense, bias(pass), y);
    if (pass.finds_divergence && pass.divergent_column < 0 && !all_finite(y)) {
      pass.divergent_column = column_;
    }
  }
  void backward(Pass<T>& pass, const Rows<T>& x, Matrix<T> y, Matrix<T> delta_y,
                Matrix<T> delta_x) const override {
    const Matrix<const T> z = F::derivative_reads_z ? x.dense : as_const(y);
    if (pass.unit_counts != nullptr) count_units(pass, z, y);
    T* sum =
        b_ >= 0 ? pass.start_sum(b_, width_) : pass.workspace->at(no_bias_) + width_;
    activate_backward<F, T>(z, bias(pass), y, delta_y, delta_x, sum);
  }

 private:
  static Matrix<const T> as_const(Matrix<T> m) {
    return {m.data, m.rows, m.cols, m.stride};
  }
  const T* bias(Pass<T>& pass) const {
    return b_ >= 0 ? pass.theta + b_ : pass.workspace->at(no_bias_);
  }
  void count_units(Pass<T>& pass, Matrix<const T> z, Matrix<T> y) const {
    UnitCounts& counts = (*pass.unit_counts)[static_cast<std::size_t>(column_)];
    counts.is_alive.resize(static_cast<std::size_t>(width_));
    if (counts.n_alive < width_) {
      counts.n_alive = mark_alive<F, T>(z, bias(pass), y, counts.is_alive.data());
    }
    counts.n_seen += double(y.rows * y.cols);
    if constexpr (F::bounded_slope > 0) counts.n_saturated += count_saturated<F>(y);
  }

  Index width_, b_, column_;
  Slot no_bias_;
};

// ---- Normalization ----------------------------------------------------------------

constexpr double kNormEpsilon = 1e-5;

// (sum of p_i x_i, sum of p_i (x_i - mean)^2) per column
template <typename T>
SKB_CLONES void column_moments(Matrix<const T> x, const T* p, T* mean, T* variance) {
  std::fill_n(mean, x.cols, T(0));
  std::fill_n(variance, x.cols, T(0));
  for (Index i = 0; i < x.rows; ++i) {
    const T* row = x.row(i);
    SKB_INDEPENDENT
    for (Index j = 0; j < x.cols; ++j) mean[j] += p[i] * row[j];
  }
  for (Index i = 0; i < x.rows; ++i) {
    const T* row = x.row(i);
    SKB_INDEPENDENT
    for (Index j = 0; j < x.cols; ++j) {
      const T deviation = row[j] - mean[j];
      variance[j] += p[i] * deviation * deviation;
    }
  }
}

// y = (x - mean) * scale * gamma + beta
template <typename T>
SKB_CLONES void normalize_columns(Matrix<const T> x, const T* mean, const T* scale,
                                  const T* gamma, const T* beta, Matrix<T> y) {
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
SKB_CLONES void column_norm_sums(Matrix<const T> x, const T* mean, const T* scale,
                                 Matrix<T> delta, T* sum, T* sum_hat) {
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
SKB_CLONES void column_norm_backward(Matrix<const T> x, const T* mean, const T* scale,
                                     const T* gamma, const T* p, const T* sum,
                                     const T* sum_hat, Matrix<T> delta_y,
                                     Matrix<T> delta_x) {
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

// Ioffe and Szegedy (2015), with the statistics of the weighted rows.
template <typename T>
class BatchNorm : public Layer<T> {
 public:
  BatchNorm(Index width, Index gamma, Index beta, Index running, Index column)
      : width_(width), gamma_(gamma), beta_(beta), running_(running), column_(column) {}

  Index n_inputs() const override { return width_; }
  Index n_outputs() const override { return width_; }
  bool passes_delta_in_place() const override { return true; }
  bool couples_rows() const override { return true; }
  void reserve(Layout& layout) override {
    statistics_ = layout.reserve(0, 2 * width_);
    sums_ = layout.reserve(0, 2 * width_);
  }
  void append_segments(std::vector<Segment>& segments) const override {
    segments.push_back({gamma_, gamma_ + width_, Segment::Kind::offset, column_});
    segments.push_back({beta_, beta_ + width_, Segment::Kind::offset, column_});
  }

  void forward(Pass<T>& pass, const Rows<T>& x, Matrix<T> y) const override {
    T* mean = pass.workspace->at(statistics_);
    T* scale = mean + width_;
    if (pass.is_training) {
      column_moments<T>(x.dense, pass.row_share, mean, scale);
      if (pass.new_running != nullptr) update_running(pass.new_running, mean, scale);
    } else {
      std::copy_n(pass.running + running_, 2 * width_, mean);
    }
    for (Index j = 0; j < width_; ++j) {
      scale[j] = T(1) / std::sqrt(scale[j] + T(kNormEpsilon));
    }
    normalize_columns<T>(x.dense, mean, scale, pass.theta + gamma_, pass.theta + beta_,
                         y);
  }

  void backward(Pass<T>& pass, const Rows<T>& x, Matrix<T>, Matrix<T> delta_y,
                Matrix<T> delta_x) const override {
    const T* mean = pass.workspace->at(statistics_);
    const T* scale = mean + width_;
    // Sums of this mini-batch alone: the gradient may hold other passes' too.
    T* sum = pass.workspace->at(sums_);
    T* sum_hat = sum + width_;
    std::fill_n(sum, 2 * width_, T(0));
    column_norm_sums<T>(x.dense, mean, scale, delta_y, sum, sum_hat);
    T* d_gamma = pass.start_sum(gamma_, width_);
    T* d_beta = pass.start_sum(beta_, width_);
    for (Index j = 0; j < width_; ++j) {
      d_gamma[j] += sum_hat[j];
      d_beta[j] += sum[j];
    }
    column_norm_backward<T>(x.dense, mean, scale, pass.theta + gamma_, pass.row_share,
                            sum, sum_hat, delta_y, delta_x);
  }

 private:
  void update_running(T* running, const T* mean, const T* variance) const {
    T* running_mean = running + running_;
    T* running_variance = running_mean + width_;
    for (Index j = 0; j < width_; ++j) {
      running_mean[j] = T(0.9) * running_mean[j] + T(0.1) * mean[j];
      running_variance[j] = T(0.9) * running_variance[j] + T(0.1) * variance[j];
    }
  }

  Index width_, gamma_, beta_, running_, column_;
  Slot statistics_, sums_;
};

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
SKB_CLONES void normalize_rows(Matrix<const T> x, const T* gamma, const T* beta,
                               T* moments, Matrix<T> y) {
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
SKB_CLONES void row_norm_backward(Matrix<const T> x, const T* gamma, const T* moments,
                                  Matrix<T> delta_y, Matrix<T> delta_x, T* d_gamma,
                                  T* d_beta) {
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
class LayerNorm : public Layer<T> {
 public:
  LayerNorm(Index width, Index gamma, Index beta, Index column)
      : width_(width), gamma_(gamma), beta_(beta), column_(column) {}

  Index n_inputs() const override { return width_; }
  Index n_outputs() const override { return width_; }
  bool passes_delta_in_place() const override { return true; }
  void reserve(Layout& layout) override { moments_ = layout.reserve(2); }
  void append_segments(std::vector<Segment>& segments) const override {
    segments.push_back({gamma_, gamma_ + width_, Segment::Kind::offset, column_});
    segments.push_back({beta_, beta_ + width_, Segment::Kind::offset, column_});
  }

  void forward(Pass<T>& pass, const Rows<T>& x, Matrix<T> y) const override {
    normalize_rows<T>(x.dense, pass.theta + gamma_, pass.theta + beta_,
                      pass.workspace->at(moments_), y);
  }
  void backward(Pass<T>& pass, const Rows<T>& x, Matrix<T>, Matrix<T> delta_y,
                Matrix<T> delta_x) const override {
    T* d_gamma = pass.start_sum(gamma_, width_);
    T* d_beta = pass.start_sum(beta_, width_);
    row_norm_backward<T>(x.dense, pass.theta + gamma_, pass.workspace->at(moments_),
                         delta_y, delta_x, d_gamma, d_beta);
  }

 private:
  Index width_, gamma_, beta_, column_;
  Slot moments_;
};

// ---- Dropout ----------------------------------------------------------------------

// mask = 1 / (1 - rate) where 32 random bits reach the threshold, else 0
template <typename T>
SKB_CLONES void draw_mask(RowKey key, std::uint32_t threshold, T kept, Index n,
                          T* mask) {
  SKB_INDEPENDENT
  for (Index j = 0; j < n; ++j) {
    const std::uint32_t bits = key.bits(static_cast<std::uint32_t>(j));
    mask[j] = bits >= threshold ? kept : T(0);
  }
}

template <typename T>
SKB_CLONES void multiply_elements(Index n, const T* x, const T* mask, T* y) {
  SKB_INDEPENDENT
  for (Index j = 0; j < n; ++j) y[j] = x[j] * mask[j];
}

// Srivastava et al. (2014), inverted: the expectation is that of prediction.
template <typename T>
class Dropout : public Layer<T> {
 public:
  Dropout(Index width, double rate, Index number)
      : width_(width),
        number_(number),
        kept_(T(1 / (1 - rate))),
        threshold_(static_cast<std::uint32_t>(rate * 4294967296.0)) {}

  Index n_inputs() const override { return width_; }
  Index n_outputs() const override { return width_; }
  bool passes_delta_in_place() const override { return true; }
  bool drops_units() const override { return true; }
  void reserve(Layout& layout) override { mask_ = layout.reserve(width_); }

  void forward(Pass<T>& pass, const Rows<T>& x, Matrix<T> y) const override {
    if (!pass.drops_units) return copy_rows(x, y);
    const Matrix<T> mask = pass.workspace->matrix(mask_, y.rows, width_);
    for (Index i = 0; i < y.rows; ++i) {
      const RowKey key(pass.seed, pass.step, static_cast<std::uint64_t>(number_),
                       static_cast<std::uint64_t>(pass.first_row + i));
      draw_mask(key, threshold_, kept_, width_, mask.row(i));
      multiply_elements(width_, x.dense.row(i), mask.row(i), y.row(i));
    }
  }
  void backward(Pass<T>& pass, const Rows<T>&, Matrix<T> y, Matrix<T> delta_y,
                Matrix<T> delta_x) const override {
    if (!pass.drops_units) return copy_rows(Rows<T>(delta_y), delta_x);
    const Matrix<T> mask = pass.workspace->matrix(mask_, y.rows, width_);
    for (Index i = 0; i < y.rows; ++i) {
      multiply_elements(width_, delta_y.row(i), mask.row(i), delta_x.row(i));
    }
  }

 private:
  Index width_, number_;
  T kept_;
  std::uint32_t threshold_;
  Slot mask_;
};

// ---- Combinators ------------------------------------------------------------------

// Layers one after the other. Outputs between them are slots of the workspace; a layer
// that works in place takes its input's memory, and the last memory is the caller's.
template <typename T>
class Chain : public Layer<T> {
 public:
  explicit Chain(std::vector<LayerPointer<T>> layers) : layers_(std::move(layers)) {}

  Index n_inputs() const override { return layers_.front()->n_inputs(); }
  Index n_outputs() const override { return layers_.back()->n_outputs(); }
  bool reads_sparse() const override { return layers_.front()->reads_sparse(); }
  bool couples_rows() const override {
    return any([](const Layer<T>& layer) { return layer.couples_rows(); });
  }
  bool drops_units() const override {
    return any([](const Layer<T>& layer) { return layer.drops_units(); });
  }
  void append_segments(std::vector<Segment>& segments) const override {
    for (const auto& layer : layers_) layer->append_segments(segments);
  }

  void reserve(Layout& layout) override {
    outputs_.assign(size(), Slot{});
    Index widest = 1;
    for (std::size_t k = 0; k < size(); ++k) {
      layers_[k]->reserve(layout);
      if (owns_memory(k)) last_owner_ = k;
      if (k > 0) widest = std::max(widest, layers_[k]->n_inputs());
    }
    for (std::size_t k = 0; k < last_owner_; ++k) {
      outputs_[k] =
          owns_memory(k) ? layout.reserve(layers_[k]->n_outputs()) : outputs_[k - 1];
    }
    for (Slot& slot : deltas_) slot = layout.reserve(widest);
  }

  void forward(Pass<T>& pass, const Rows<T>& x, Matrix<T> y) const override {
    Rows<T> input = x;
    for (std::size_t k = 0; k < size(); ++k) {
      const Matrix<T> output = output_of(pass, k, y);
      layers_[k]->forward(pass, input, output);
      input = Rows<T>(output);
    }
  }

  void backward(Pass<T>& pass, const Rows<T>& x, Matrix<T> y, Matrix<T> delta_y,
                Matrix<T> delta_x) const override {
    Matrix<T> delta = delta_y;
    std::size_t next = 0;
    for (std::size_t k = size(); k-- > 0;) {
      const Layer<T>& layer = *layers_[k];
      Matrix<T> target = delta_x;
      const bool stays = layer.passes_delta_in_place();
      if (stays && (k > 0 || delta_x.empty())) {
        target = delta;
      } else if (k > 0) {
        target = pass.workspace->matrix(deltas_[next], y.rows, layer.n_inputs());
        next = 1 - next;
      }
      const Rows<T> input = k > 0 ? Rows<T>(output_of(pass, k - 1, y)) : x;
      layer.backward(pass, input, output_of(pass, k, y), delta, target);
      delta = target;
    }
  }

 private:
  std::size_t size() const { return layers_.size(); }
  // The first layer never works in place: x is not this chain's.
  bool owns_memory(std::size_t k) const {
    return k == 0 || !layers_[k]->works_in_place();
  }
  Matrix<T> output_of(Pass<T>& pass, std::size_t k, Matrix<T> y) const {
    if (k >= last_owner_) return y;
    return pass.workspace->matrix(outputs_[k], y.rows, layers_[k]->n_outputs());
  }
  template <typename Predicate>
  bool any(Predicate predicate) const {
    for (const auto& layer : layers_) {
      if (predicate(*layer)) return true;
    }
    return false;
  }

  std::vector<LayerPointer<T>> layers_;
  std::vector<Slot> outputs_;
  std::size_t last_owner_ = 0;
  Slot deltas_[2];
};

// skip + scale F(x), with skip = x, or x P where the widths differ (He et al., 2016).
template <typename T>
class ResidualAdd : public Layer<T> {
 public:
  ResidualAdd(Chain<T> block, T scale, Index P, Index column)
      : block_(std::move(block)), scale_(scale), P_(P), column_(column) {}

  Index n_inputs() const override { return block_.n_inputs(); }
  Index n_outputs() const override { return block_.n_outputs(); }
  bool reads_sparse() const override { return block_.reads_sparse(); }
  bool couples_rows() const override { return block_.couples_rows(); }
  bool drops_units() const override { return block_.drops_units(); }
  void append_segments(std::vector<Segment>& segments) const override {
    block_.append_segments(segments);
    if (P_ < 0) return;
    const Index end = P_ + n_inputs() * n_outputs();
    segments.push_back({P_, end, Segment::Kind::projection, column_});
  }
  void reserve(Layout& layout) override {
    block_.reserve(layout);
    branch_ = layout.reserve(n_outputs());
    branch_delta_ = layout.reserve(n_outputs());
    if (P_ >= 0) skip_delta_ = layout.reserve(n_inputs());
  }

  void forward(Pass<T>& pass, const Rows<T>& x, Matrix<T> y) const override {
    const Matrix<T> branch = pass.workspace->matrix(branch_, y.rows, y.cols);
    block_.forward(pass, x, branch);
    if (P_ >= 0) {
      multiply(x, pass.theta + P_, y);
    } else {
      copy_rows(x, y);
    }
    add_scaled(y, scale_, branch);
  }

  void backward(Pass<T>& pass, const Rows<T>& x, Matrix<T>, Matrix<T> delta_y,
                Matrix<T> delta_x) const override {
    const Index rows = delta_y.rows;
    const Matrix<T> branch = pass.workspace->matrix(branch_, rows, n_outputs());
    const Matrix<T> delta = pass.workspace->matrix(branch_delta_, rows, n_outputs());
    scale_into(delta, scale_, delta_y);
    block_.backward(pass, x, branch, delta, delta_x);
    if (P_ >= 0) multiply_transposed(x, delta_y, pass.beta, pass.gradient + P_);
    if (delta_x.empty()) return;
    Matrix<T> skip = delta_y;
    if (P_ >= 0) {
      skip = pass.workspace->matrix(skip_delta_, rows, n_inputs());
      multiply_by_transpose(delta_y, pass.theta + P_, skip);
    }
    add_scaled(delta_x, T(1), skip);
  }

 private:
  Chain<T> block_;
  T scale_;
  Index P_, column_;
  Slot branch_, branch_delta_, skip_delta_;
};

// [x, F(x)] (Huang et al., 2017)
template <typename T>
class ResidualConcat : public Layer<T> {
 public:
  explicit ResidualConcat(Chain<T> block) : block_(std::move(block)) {}

  Index n_inputs() const override { return block_.n_inputs(); }
  Index n_outputs() const override { return block_.n_inputs() + block_.n_outputs(); }
  bool reads_sparse() const override { return block_.reads_sparse(); }
  bool couples_rows() const override { return block_.couples_rows(); }
  bool drops_units() const override { return block_.drops_units(); }
  void append_segments(std::vector<Segment>& segments) const override {
    block_.append_segments(segments);
  }
  void reserve(Layout& layout) override { block_.reserve(layout); }

  void forward(Pass<T>& pass, const Rows<T>& x, Matrix<T> y) const override {
    copy_rows(x, y.columns(0, n_inputs()));
    block_.forward(pass, x, branch_of(y));
  }
  void backward(Pass<T>& pass, const Rows<T>& x, Matrix<T> y, Matrix<T> delta_y,
                Matrix<T> delta_x) const override {
    block_.backward(pass, x, branch_of(y), branch_of(delta_y), delta_x);
    if (!delta_x.empty()) add_scaled(delta_x, T(1), delta_y.columns(0, n_inputs()));
  }

 private:
  Matrix<T> branch_of(Matrix<T> m) const {
    return m.columns(n_inputs(), block_.n_outputs());
  }

  Chain<T> block_;
};

}  // namespace sklearn_backprop
