// The first dense layer of members that share weights.
#pragma once

#include <algorithm>
#include <memory>
#include <optional>
#include <vector>

#include "../products.hpp"
#include "members.hpp"

namespace sklearn_backprop {

// Some columns j of a row and their rows of W: those that are not zero.
template <typename T>
class ActiveColumns {
 public:
  static constexpr Index kMost = 64;

  // From column `next` on; returns where to go on.
  Index find(const T* x, Index next, Index n) {
    count_ = 0;
    for (; next < n && count_ < kMost; ++next) {
      if (x[next] != T(0)) columns_[count_++] = next;
    }
    return next;
  }
  Index count() const { return count_; }
  Index operator[](Index q) const { return columns_[q]; }

  // Their rows of W (., n_out), copied to `room` where they do not lie together.
  const T* rows_of(const T* W, Index n_out, T* room) const {
    if (columns_[count_ - 1] - columns_[0] == count_ - 1)
      return W + columns_[0] * n_out;
    for (Index q = 0; q < count_; ++q) {
      std::copy_n(W + columns_[q] * n_out, n_out, room + q * n_out);
    }
    return room;
  }

 private:
  Index columns_[kMost];
  Index count_ = 0;
};

template <typename T>
SKB_CLONES void add_multiple(Index n, T factor, const T* x, T* y) {
  SKB_INDEPENDENT
  for (Index j = 0; j < n; ++j) y[j] += factor * x[j];
}

// (x r_m) W, or x W without r. The first columns are groups that have one number of r
// together. Where members share the rows, their products e_g W_g with the rows of W are
// formed once, and each member sums them up: k + 1 times their width instead of k times
// the group's. The columns behind are mostly zero and cost where they are not.
template <typename T>
class ScaledDense final : public Layer<T> {
 public:
  static constexpr const char* kind = "scaled_dense";
  static LayerPointer<T> make(const Spec& spec, Builder<T>& builder) {
    return std::make_unique<ScaledDense>(spec, builder);
  }

  ScaledDense(const Spec& spec, Builder<T>& builder)
      : k_(n_members_of(spec)),
        groups_(ColumnGroups::read(spec, spec.index("n_in"))),
        n_out_(spec.index("n_out")),
        r_(builder.parameter_or_none(spec, "r", k_ * groups_.count())),
        W_(builder.parameter(spec, "W", groups_.width * n_out_)),
        b_(builder.parameter_or_none(spec, "b", n_out_)) {
    if (r_ >= 0) scale_.emplace(k_, groups_, r_);
    if (r_ < 0 && k_ > 1) throw std::invalid_argument("Several members need 'r'.");
  }

  Index n_inputs() const override { return groups_.width; }
  Index n_outputs() const override { return n_out_; }
  void reserve(Layout& layout) override {
    if (scale_) {
      scale_->reserve(layout);
      scaled_ = layout.reserve(n_inputs());
      scaled_delta_ = layout.reserve(n_inputs());
    }
    const Index rows_per_row = layout.rows_per_row();
    layout.set_rows_per_row(1);  // shared rows
    products_ = layout.reserve(groups_.n_wide * n_out_);
    product_deltas_ = layout.reserve(groups_.n_wide * n_out_);
    layout.set_rows_per_row(rows_per_row);
    room_ = layout.reserve(0, kMost * n_out_);
    factors_ = layout.reserve(0, kMost * k_);
    tail_products_ = layout.reserve(0, std::max(tail(), kMost) * k_);
  }

  void forward(Pass<T>& pass, const Rows<T>& x, const Matrix<T>& y) const override {
    if (x.rows() < y.rows) {
      share_products(pass, x.dense, y);
    } else {
      multiply_own(pass, x, y);
    }
    if (b_ >= 0) add_row(y, pass.theta + b_);
  }

  void backward(Pass<T>& pass, const Rows<T>& x, const Matrix<T>& y,
                const Matrix<T>& delta_y, const Matrix<T>& delta_x) const override {
    if (b_ >= 0) add_column_sums(delta_y, pass.start_sum(b_, n_out_));
    if (x.rows() < y.rows) {
      share_products_backward(pass, x.dense, delta_y, delta_x);
    } else {
      multiply_own_backward(pass, x, delta_y, delta_x);
    }
  }

 private:
  static constexpr Index kMost = ActiveColumns<T>::kMost;

  Index tail() const { return groups_.width - groups_.wide(); }
  // The columns and the rows of W behind the wide groups.
  Index tail_of_W() const { return W_ + groups_.wide() * n_out_; }
  const T* tail_of(const T* row) const { return row + groups_.wide(); }
  const T* tail_of_r(const Pass<T>& pass, Index m) const {
    return pass.theta + r_ + m * groups_.count() + groups_.n_wide;
  }

  // ---- rows that members share: x (n, width), y (n k, n_out)

  // visit(columns g of the group, W_g's place, products with it)
  template <typename Visit>
  void for_each_group(const Matrix<const T>& x, const Matrix<T>& products,
                      const Visit& visit) const {
    for (Index g = 0; g < groups_.n_wide; ++g) {
      visit(g, Rows<T>(x.columns(g * groups_.group, groups_.group)),
            W_ + g * groups_.group * n_out_, products.columns(g * n_out_, n_out_));
    }
  }
  Matrix<T> products_of(Pass<T>& pass, Slot slot, Index rows) const {
    return pass.workspace->matrix(slot, rows, groups_.n_wide * n_out_);
  }
  // r of the wide groups, (k, n_wide)
  template <typename U>
  Strided<U> wide_r(U* vector) const {
    return {vector + r_, k_, groups_.n_wide, groups_.count(), 1};
  }

  void share_products(Pass<T>& pass, const Matrix<const T>& x,
                      const Matrix<T>& y) const {
    const Matrix<T> products = products_of(pass, products_, x.rows);
    for_each_group(x, products,
                   [&](Index, Rows<T> e, Index W, const Matrix<T>& product) {
                     multiply(e, pass.theta + W, product);
                   });
    for (Index i = 0; i < x.rows; ++i) {
      const Matrix<T> z = y.block(i * k_, k_);
      if (groups_.n_wide > 0) {
        small_product<T>(wide_r(pass.theta),
                         strided(products.row(i), groups_.n_wide, n_out_), T(0),
                         strided(z));
      } else {
        fill_with_zeros(z);
      }
      for_each_active(x.row(i), [&](const ActiveColumns<T>& active) {
        const T* W =
            active.rows_of(pass.theta + tail_of_W(), n_out_, pass.workspace->at(room_));
        small_product<T>(factors_of(pass, active, tail_of(x.row(i))),
                         strided(W, active.count(), n_out_), T(1), strided(z));
      });
    }
  }

  void share_products_backward(Pass<T>& pass, const Matrix<const T>& x,
                               const Matrix<T>& delta_y,
                               const Matrix<T>& delta_x) const {
    const Matrix<T> products = products_of(pass, products_, x.rows);
    const Matrix<T> deltas = products_of(pass, product_deltas_, x.rows);
    pass.start_sum(r_, k_ * groups_.count());
    T* d_W = pass.start_sum(tail_of_W(), tail() * n_out_);
    for (Index i = 0; i < x.rows; ++i) {
      const Matrix<T> delta = delta_y.block(i * k_, k_);
      if (groups_.n_wide > 0) {
        small_product<T>(wide_r(pass.theta).transposed(), strided(delta), T(0),
                         strided(deltas.row(i), groups_.n_wide, n_out_));
        small_product<T>(strided(delta),
                         strided(products.row(i), groups_.n_wide, n_out_).transposed(),
                         T(1), wide_r(pass.gradient));
      }
      for_each_active(x.row(i), [&](const ActiveColumns<T>& active) {
        active_backward(pass, active, tail_of(x.row(i)), delta, d_W);
      });
      if (pass.wants_input_gradient() && !delta_x.empty()) {
        tail_delta(pass, delta, delta_x.row(i) + groups_.wide());
      }
    }
    for_each_group(x, deltas, [&](Index g, Rows<T> e, Index W, const Matrix<T>& delta) {
      multiply_transposed(e, delta, pass.beta, pass.gradient + W);
      if (delta_x.empty()) return;
      multiply_by_transpose(delta, pass.theta + W,
                            delta_x.columns(g * groups_.group, groups_.group));
    });
  }

  // visit(some active columns of the tail) until all have been
  template <typename Visit>
  void for_each_active(const T* row, const Visit& visit) const {
    ActiveColumns<T> active;
    for (Index next = 0; next < tail();) {
      next = active.find(tail_of(row), next, tail());
      if (active.count() > 0) visit(active);
    }
  }
  // r_mj x_j of active columns j (k, count); without x: r_mj
  Strided<const T> factors_of(Pass<T>& pass, const ActiveColumns<T>& active,
                              const T* x = nullptr) const {
    T* factors = pass.workspace->at(factors_);
    for (Index m = 0; m < k_; ++m) {
      for (Index q = 0; q < active.count(); ++q) {
        const T own = tail_of_r(pass, m)[active[q]];
        factors[m * active.count() + q] = x != nullptr ? own * x[active[q]] : own;
      }
    }
    return strided<const T>(factors, k_, active.count());
  }

  // d_W_j += x_j sum of r_mj delta_m, and d_r_mj += x_j delta_m W_j
  void active_backward(Pass<T>& pass, const ActiveColumns<T>& active, const T* x,
                       const Matrix<T>& delta, T* d_W) const {
    const Index n = active.count();
    T* room = pass.workspace->at(room_);
    T* products = pass.workspace->at(tail_products_);
    const T* W = active.rows_of(pass.theta + tail_of_W(), n_out_, room);
    small_product<T>(strided(delta), strided(W, n, n_out_).transposed(), T(0),
                     strided(products, k_, n));
    small_product<T>(factors_of(pass, active).transposed(), strided(delta), T(0),
                     strided(room, n, n_out_));
    for (Index q = 0; q < n; ++q) {
      const Index j = active[q];
      add_multiple(n_out_, x[j], room + q * n_out_, d_W + j * n_out_);
      T* d_r = pass.gradient + r_ + groups_.n_wide + j;
      for (Index m = 0; m < k_; ++m) {
        d_r[m * groups_.count()] += x[j] * products[m * n + q];
      }
    }
  }

  // delta_x_j = sum of r_mj delta_m W_j for all columns of the tail
  void tail_delta(Pass<T>& pass, const Matrix<T>& delta, T* delta_x) const {
    T* products = pass.workspace->at(tail_products_);
    std::fill_n(delta_x, tail(), T(0));
    if (tail() == 0) return;
    small_product<T>(strided(delta),
                     strided(pass.theta + tail_of_W(), tail(), n_out_).transposed(),
                     T(0), strided(products, k_, tail()));
    for (Index m = 0; m < k_; ++m) {
      const T* r = tail_of_r(pass, m);
      for (Index j = 0; j < tail(); ++j) delta_x[j] += r[j] * products[m * tail() + j];
    }
  }

  // ---- rows of their own, or one member's: x, y (n, .)

  void multiply_own(Pass<T>& pass, const Rows<T>& x, const Matrix<T>& y) const {
    Rows<T> scaled = x;
    if (scale_) {
      const Matrix<T> room = scaled_of(pass, scaled_, y.rows);
      scale_->forward(pass, x, room);
      scaled = Rows<T>(room);
    }
    if (!has_sparse_tail(scaled.dense)) return multiply(scaled, pass.theta + W_, y);
    if (groups_.wide() > 0) {
      multiply(wide_columns(scaled), pass.theta + W_, y);
    } else {
      fill_with_zeros(y);
    }
    for_each_of_tail(scaled.dense, [&](Index i, Index j, T value) {
      add_multiple(n_out_, value, pass.theta + tail_of_W() + j * n_out_, y.row(i));
    });
  }

  void multiply_own_backward(Pass<T>& pass, const Rows<T>& x, const Matrix<T>& delta_y,
                             const Matrix<T>& delta_x) const {
    const Index rows = delta_y.rows;
    const Rows<T> scaled = scale_ ? Rows<T>(scaled_of(pass, scaled_, rows)) : x;
    const Matrix<T> delta = scale_ ? scaled_of(pass, scaled_delta_, rows) : delta_x;
    if (!has_sparse_tail(scaled.dense) || pass.wants_input_gradient()) {
      multiply_transposed(scaled, delta_y, pass.beta, pass.gradient + W_);
      if (!delta.empty()) multiply_by_transpose(delta_y, pass.theta + W_, delta);
    } else {
      sparse_backward(pass, scaled, delta_y, delta);
    }
    if (scale_)
      scale_->backward(pass, x, scaled_of(pass, scaled_, rows), delta, delta_x);
  }

  // Where x is zero, delta stays zero as well: nobody wants it.
  void sparse_backward(Pass<T>& pass, const Rows<T>& x, const Matrix<T>& delta_y,
                       const Matrix<T>& delta) const {
    T* d_W = pass.start_sum(tail_of_W(), tail() * n_out_);
    if (groups_.wide() > 0) {
      multiply_transposed(wide_columns(x), delta_y, pass.beta, pass.gradient + W_);
    }
    if (!delta.empty()) fill_with_zeros(delta.columns(groups_.wide(), tail()));
    for_each_of_tail(x.dense, [&](Index i, Index j, T value) {
      add_multiple(n_out_, value, delta_y.row(i), d_W + j * n_out_);
      if (!scale_) return;
      const Matrix<const T> W_j{pass.theta + tail_of_W() + j * n_out_, 1, n_out_,
                                n_out_};
      small_row_products(W_j, delta_y.row(i),
                         Matrix<T>{delta.row(i) + groups_.wide() + j, 1, 1, 1});
    });
    if (delta.empty() || groups_.wide() == 0) return;
    multiply_by_transpose(delta_y, pass.theta + W_, delta.columns(0, groups_.wide()));
  }

  Matrix<T> scaled_of(Pass<T>& pass, Slot slot, Index rows) const {
    return pass.workspace->matrix(slot, rows, n_inputs());
  }
  Rows<T> wide_columns(const Rows<T>& x) const {
    return Rows<T>(x.dense.columns(0, groups_.wide()));
  }
  // visit(i, j, value) for what is not zero in the tail
  template <typename Visit>
  void for_each_of_tail(const Matrix<const T>& x, const Visit& visit) const {
    for (Index i = 0; i < x.rows; ++i) {
      const T* row = tail_of(x.row(i));
      for (Index j = 0; j < tail(); ++j) {
        if (row[j] != T(0)) visit(i, j, row[j]);
      }
    }
  }
  bool has_sparse_tail(const Matrix<const T>& x) const {
    Index n_active = 0;
    for_each_of_tail(x, [&](Index, Index, T) { ++n_active; });
    return 4 * n_active < x.rows * tail();
  }

  Index k_;
  ColumnGroups groups_;
  Index n_out_, r_, W_, b_;
  std::optional<MemberScale<T>> scale_;
  Slot scaled_, scaled_delta_, products_, product_deltas_, room_, factors_,
      tail_products_;
};

}  // namespace sklearn_backprop
