// Piecewise-linear embeddings of numbers.
#pragma once

#include <algorithm>
#include <memory>
#include <numeric>
#include <stdexcept>
#include <vector>

#include "embedding.hpp"

namespace sklearn_backprop {

// y = x u + s_t + e V_t
template <typename T>
SKB_CLONES void embed_in_bin(Index n, T x, T e, const T* u, const T* s, const T* V,
                             T* y) {
  SKB_INDEPENDENT
  for (Index j = 0; j < n; ++j) y[j] = (x * u[j] + s[j]) + e * V[j];
}

// d_u += x delta, d_s += delta, d_V += e delta
template <typename T>
SKB_CLONES void add_to_bin(Index n, T x, T e, const T* delta, T* d_u, T* d_s, T* d_V) {
  SKB_INDEPENDENT
  for (Index j = 0; j < n; ++j) {
    d_u[j] += x * delta[j];
    d_s[j] += delta[j];
    d_V[j] += e * delta[j];
  }
}

// Gorishniy, Rubachev and Babenko (2022), in the form of Gorishniy, Kotelnikov and
// Babenko (2025): u x + v + sum of e_t V_t over the bins t of a column, where e_t is
// the share of bin t that lies below x. All bins before that of x count whole, and
// none behind it, so that s_t = v + sum of V_t' over t' < t makes one bin of them. The
// first bin goes on to the left, the last one to the right.
template <typename T>
class PiecewiseLinear final : public Layer<T> {
 public:
  static constexpr const char* kind = "piecewise_linear";
  static LayerPointer<T> make(const Spec& spec, Builder<T>& builder) {
    return std::make_unique<PiecewiseLinear>(spec, builder);
  }

  PiecewiseLinear(const Spec& spec, Builder<T>& builder)
      : at_(EmbeddedColumns::read(spec, builder)), n_bins_(spec.indices("n_bins")) {
    if (n_bins_.size() != at_.columns.size() ||
        std::count(n_bins_.begin(), n_bins_.end(), Index(0)) > 0) {
      throw std::invalid_argument("'piecewise_linear' needs bins for each column.");
    }
    all_bins_ = std::accumulate(n_bins_.begin(), n_bins_.end(), Index(0));
    edges_ = builder.constants(spec, "edges", all_bins_ + at_.n_columns());
    u_ = builder.parameter(spec, "u", at_.width());
    v_ = builder.parameter(spec, "v", at_.width());
    V_ = builder.parameter(spec, "V", all_bins_ * at_.size);
  }

  Index n_inputs() const override { return at_.n_in; }
  Index n_outputs() const override { return at_.width(); }
  void reserve(Layout& layout) override {
    bins_ = layout.reserve(at_.n_columns());
    shares_ = layout.reserve(at_.n_columns());
    sums_ = layout.reserve(0, all_bins_ * at_.size);
    bin_deltas_ = layout.reserve(0, all_bins_ * at_.size);
  }

  void forward(Pass<T>& pass, const Rows<T>& x, const Matrix<T>& y) const override {
    add_up_bins(pass);
    find_bins(pass, x.dense);
    const T* sums = pass.workspace->at(sums_);
    for_each_number(pass, x.dense, [&](Index i, const Place& at) {
      T* out = y.row(i) + at.f * at_.size;
      if (at.is_missing()) return at_.put_missing(pass.theta, at.f, out);
      embed_in_bin(at_.size, at.x, at.share, pass.theta + u_ + at.f * at_.size,
                   sums + at.bin * at_.size, pass.theta + V_ + at.bin * at_.size, out);
    });
  }

  void backward(Pass<T>& pass, const Rows<T>& x, const Matrix<T>&,
                const Matrix<T>& delta_y, const Matrix<T>& delta_x) const override {
    T* d_u = pass.start_sum(u_, at_.width());
    T* d_V = pass.start_sum(V_, all_bins_ * at_.size);
    T* bin_deltas = pass.workspace->at(bin_deltas_);
    std::fill_n(bin_deltas, all_bins_ * at_.size, T(0));
    at_.start_sums(pass);
    for_each_number(pass, x.dense, [&](Index i, const Place& at) {
      const T* delta = delta_y.row(i) + at.f * at_.size;
      if (at.is_missing()) return at_.add_missing(pass.gradient, at.f, delta);
      add_to_bin(at_.size, at.x, at.share, delta, d_u + at.f * at_.size,
                 bin_deltas + at.bin * at_.size, d_V + at.bin * at_.size);
    });
    share_out_bin_deltas(pass, d_V);
    if (!delta_x.empty()) pass_delta(pass, x.dense, delta_y, delta_x);
  }

 private:
  // A number of column f: its bin among all columns', and how much of the bin is below.
  struct Place {
    Index f, bin;
    T x, share;
    bool is_missing() const { return x != x; }
  };

  // visit(i, place) column by column, so that a column's vectors stay near
  template <typename Visit>
  void for_each_number(Pass<T>& pass, const Matrix<const T>& x,
                       const Visit& visit) const {
    const Matrix<T> bins = pass.workspace->matrix(bins_, x.rows, at_.n_columns());
    const Matrix<T> shares = pass.workspace->matrix(shares_, x.rows, at_.n_columns());
    for (Index f = 0; f < at_.n_columns(); ++f) {
      for (Index i = 0; i < x.rows; ++i) {
        visit(i, Place{f, static_cast<Index>(bins.row(i)[f]), x.row(i)[at_.column(f)],
                       shares.row(i)[f]});
      }
    }
  }
  // visit(f, first, count) for the bins of each column
  template <typename Visit>
  void for_each_column(const Visit& visit) const {
    Index first = 0, f = 0;
    for (const Index count : n_bins_) {
      visit(f++, first, count);
      first += count;
    }
  }

  void find_bins(Pass<T>& pass, const Matrix<const T>& x) const {
    const Matrix<T> bins = pass.workspace->matrix(bins_, x.rows, at_.n_columns());
    const Matrix<T> shares = pass.workspace->matrix(shares_, x.rows, at_.n_columns());
    for_each_column([&](Index f, Index first, Index count) {
      const T* edges = pass.constants + edges_ + first + f;
      for (Index i = 0; i < x.rows; ++i) {
        const T value = x.row(i)[at_.column(f)];
        const T* inner = std::upper_bound(edges + 1, edges + count, value);
        const Index t = inner - (edges + 1);
        bins.row(i)[f] = T(first + t);
        shares.row(i)[f] = (value - edges[t]) / (edges[t + 1] - edges[t]);
      }
    });
  }

  // s_t of all bins
  void add_up_bins(Pass<T>& pass) const {
    const Index n = at_.size;
    T* sums = pass.workspace->at(sums_);
    for_each_column([&](Index f, Index first, Index count) {
      T* sum = sums + first * n;
      std::copy_n(pass.theta + v_ + f * n, n, sum);
      const T* V = pass.theta + V_ + first * n;
      for (Index e = n; e < count * n; ++e) sum[e] = sum[e - n] + V[e - n];
    });
  }
  // The transpose of that: what bins got counts for all bins before them, and for v.
  void share_out_bin_deltas(Pass<T>& pass, T* d_V) const {
    const Index n = at_.size;
    T* d_v = pass.start_sum(v_, at_.width());
    T* deltas = pass.workspace->at(bin_deltas_);
    for_each_column([&](Index f, Index first, Index count) {
      T* delta = deltas + first * n;
      T* d_bin = d_V + first * n;
      for (Index e = count * n; e-- > n;) {
        d_bin[e - n] += delta[e];
        delta[e - n] += delta[e];
      }
      for (Index j = 0; j < n; ++j) d_v[f * n + j] += delta[j];
    });
  }

  // delta_x = delta (u + V_t / width of bin t)
  void pass_delta(Pass<T>& pass, const Matrix<const T>& x, const Matrix<T>& delta_y,
                  const Matrix<T>& delta_x) const {
    fill_with_zeros(delta_x);
    for_each_number(pass, x, [&](Index i, const Place& at) {
      if (at.is_missing()) return;
      const T* edge = pass.constants + edges_ + at.bin + at.f;
      const T* delta = delta_y.row(i) + at.f * at_.size;
      const T* u = pass.theta + u_ + at.f * at_.size;
      const T* V = pass.theta + V_ + at.bin * at_.size;
      const T steepness = T(1) / (edge[1] - edge[0]);
      T sum = T(0);
      for (Index j = 0; j < at_.size; ++j) sum += delta[j] * (u[j] + steepness * V[j]);
      delta_x.row(i)[at_.column(at.f)] += sum;
    });
  }

  EmbeddedColumns at_;
  std::vector<Index> n_bins_;
  Index all_bins_, edges_, u_, v_, V_;
  Slot bins_, shares_, sums_, bin_deltas_;
};

}  // namespace sklearn_backprop
