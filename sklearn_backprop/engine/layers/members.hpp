// Ensembles in one network. Behind the split a row has k rows, one for each member, one
// after the other: (n, k * width) numbers, and (n * k, width) in the same memory.
#pragma once

#include <algorithm>
#include <memory>
#include <optional>
#include <stdexcept>
#include <utility>
#include <vector>

#include "../products.hpp"
#include "builder.hpp"
#include "chain.hpp"

namespace sklearn_backprop {

inline Index n_members_of(const Spec& spec) {
  const Index n_members = spec.index("n_members");
  if (n_members > 0) return n_members;
  throw std::invalid_argument("'n_members' must be positive.");
}

// Members that share weights (Wen et al., 2020; Gorishniy, Kotelnikov and Babenko,
// 2025): the first `n_front` layers read each row once, the others once for every
// member. Where members have rows of their own, x has k rows' columns in each row, and
// the first layers read each of them.
template <typename T>
class SharedMembers final : public Layer<T> {
 public:
  static constexpr const char* kind = "members";
  static LayerPointer<T> make(const Spec& spec, Builder<T>& builder) {
    const auto n_front = static_cast<std::ptrdiff_t>(spec.index("n_front"));
    if (n_front >= static_cast<std::ptrdiff_t>(spec.layers.size())) {
      throw std::invalid_argument("A block of members has no layer for every member.");
    }
    const auto split = spec.layers.begin() + n_front;
    std::optional<Chain<T>> front;
    if (n_front > 0) front = builder.chain({spec.layers.begin(), split});
    Chain<T> back = builder.chain({split, spec.layers.end()});
    if (front.has_value() && front->n_outputs() != back.n_inputs()) {
      throw std::invalid_argument(
          "The split's width is not that of the layers before.");
    }
    if (back.couples_rows()) {
      throw std::invalid_argument("Members that share weights cannot couple rows.");
    }
    return std::make_unique<SharedMembers>(n_members_of(spec), std::move(front),
                                           std::move(back));
  }

  SharedMembers(Index n_members, std::optional<Chain<T>> front, Chain<T> back)
      : n_members_(n_members), front_(std::move(front)), back_(std::move(back)) {}

  Index n_inputs() const override {
    return front_ ? front_->n_inputs() : back_.n_inputs();
  }
  Index n_outputs() const override { return n_members_ * back_.n_outputs(); }
  Index rows_per_row() const override { return n_members_; }
  void reserve(Layout& layout) override {
    layout.set_rows_per_row(n_members_);
    if (front_) {
      front_->reserve(layout);
      output_ = layout.reserve(front_->n_outputs());
      delta_ = layout.reserve(front_->n_outputs());
    }
    back_.reserve(layout);
    layout.set_rows_per_row(1);
  }

  void forward(Pass<T>& pass, const Rows<T>& x, const Matrix<T>& y) const override {
    Pass<T> inner = pass_of_members(pass);
    const Rows<T> rows = rows_of(x);
    if (!front_) return back_.forward(inner, rows, by_member(y));
    const Matrix<T> front = output_of_front(pass, output_, rows.rows());
    front_->forward(inner, rows, front);
    back_.forward(inner, Rows<T>(front), by_member(y));
  }

  void backward(Pass<T>& pass, const Rows<T>& x, const Matrix<T>& y,
                const Matrix<T>& delta_y, const Matrix<T>& delta_x) const override {
    Pass<T> inner = pass_of_members(pass);
    const Rows<T> rows = rows_of(x);
    Matrix<T> delta_rows;
    if (!delta_x.empty()) {
      delta_rows = {delta_x.data, rows.rows(), n_inputs(), n_inputs()};
    }
    if (!front_) {
      return back_.backward(inner, rows, by_member(y), by_member(delta_y), delta_rows);
    }
    const Matrix<T> front = output_of_front(pass, output_, rows.rows());
    const bool ends = delta_rows.empty() && !front_->is_trained;
    const Matrix<T> delta =
        ends ? delta_rows : output_of_front(pass, delta_, rows.rows());
    back_.backward(inner, Rows<T>(front), by_member(y), by_member(delta_y), delta);
    front_->backward(inner, rows, front, delta, delta_rows);
  }

 private:
  Pass<T> pass_of_members(const Pass<T>& pass) const {
    Pass<T> inner = pass;
    inner.first_row = pass.first_row * n_members_;
    return inner;
  }
  Rows<T> rows_of(const Rows<T>& x) const {
    if (x.cols() == n_inputs()) return x;
    const Matrix<const T> all = x.dense;
    return Rows<T>(
        Matrix<const T>{all.data, all.rows * n_members_, n_inputs(), n_inputs()});
  }
  Matrix<T> by_member(const Matrix<T>& y) const {
    const Index width = back_.n_outputs();
    return {y.data, y.rows * n_members_, width, width};
  }
  Matrix<T> output_of_front(Pass<T>& pass, Slot slot, Index rows) const {
    return pass.workspace->matrix(slot, rows, front_->n_outputs());
  }

  Index n_members_;
  std::optional<Chain<T>> front_;
  Chain<T> back_;
  Slot output_, delta_;
};

// Members that share nothing: the same layers k times.
template <typename T>
class IndependentMembers final : public Layer<T> {
 public:
  static constexpr const char* kind = "independent";
  static LayerPointer<T> make(const Spec& spec, Builder<T>& builder) {
    return std::make_unique<IndependentMembers>(
        builder.copies(n_members_of(spec), spec.layers));
  }

  explicit IndependentMembers(std::vector<Chain<T>> members)
      : members_(std::move(members)) {}

  Index n_inputs() const override { return members_.front().n_inputs(); }
  Index n_outputs() const override { return n_members() * width(); }
  bool couples_rows() const override { return members_.front().couples_rows(); }
  void reserve(Layout& layout) override {
    for (Chain<T>& member : members_) {
      member.reserve(layout);
      outputs_.push_back(layout.reserve(width()));
    }
    delta_ = layout.reserve(width());
    member_delta_ = layout.reserve(n_inputs());
  }

  void forward(Pass<T>& pass, const Rows<T>& x, const Matrix<T>& y) const override {
    for (Index m = 0; m < n_members(); ++m) {
      const Matrix<T> own = output_of(pass, m, y.rows);
      member(m).forward(pass, rows_of(x, m), own);
      copy_rows(Rows<T>(own), y.columns(m * width(), width()));
    }
  }

  void backward(Pass<T>& pass, const Rows<T>& x, const Matrix<T>& y,
                const Matrix<T>& delta_y, const Matrix<T>& delta_x) const override {
    const Matrix<T> delta = pass.workspace->matrix(delta_, y.rows, width());
    for (Index m = 0; m < n_members(); ++m) {
      copy_rows(Rows<T>(delta_y.columns(m * width(), width())), delta);
      const bool is_shared = x.cols() == n_inputs();
      Matrix<T> target = delta_x;
      if (!delta_x.empty() && !is_shared) {
        target = delta_x.columns(m * n_inputs(), n_inputs());
      } else if (!delta_x.empty() && m > 0) {
        target = pass.workspace->matrix(member_delta_, y.rows, n_inputs());
      }
      member(m).backward(pass, rows_of(x, m), output_of(pass, m, y.rows), delta,
                         target);
      if (!delta_x.empty() && is_shared && m > 0) add_scaled(delta_x, T(1), target);
    }
  }

 private:
  Index n_members() const { return Index(members_.size()); }
  Index width() const { return members_.front().n_outputs(); }
  const Chain<T>& member(Index m) const {
    return members_[static_cast<std::size_t>(m)];
  }
  Matrix<T> output_of(Pass<T>& pass, Index m, Index rows) const {
    return pass.workspace->matrix(outputs_[static_cast<std::size_t>(m)], rows, width());
  }
  // What member m reads: the rows of all, or its own columns of them.
  Rows<T> rows_of(const Rows<T>& x, Index m) const {
    if (x.cols() == n_inputs()) return x;
    return Rows<T>(x.dense.columns(m * n_inputs(), n_inputs()));
  }

  std::vector<Chain<T>> members_;
  std::vector<Slot> outputs_;
  Slot delta_, member_delta_;
};

// Rows of y for each of x: one, or one for each member. A thread may have no rows.
inline Index rows_per(Index n_x, Index n_y) { return n_x > 0 ? n_y / n_x : 1; }

// y = x f on rows of members, with a row of f for each.
template <typename T>
SKB_CLONES void multiply_members(const Matrix<const T>& x, Index rows_per_x, const T* f,
                                 Index k, const Matrix<T>& y) {
  for (Index i = 0; i < y.rows; ++i) {
    const T* in = x.row(i / rows_per_x);
    const T* factor = f + i % k * y.cols;
    T* out = y.row(i);
    SKB_INDEPENDENT
    for (Index j = 0; j < y.cols; ++j) out[j] = in[j] * factor[j];
  }
}

// d_f += x delta for the row of f of each member
template <typename T>
SKB_CLONES void add_member_products(const Matrix<const T>& x, Index rows_per_x,
                                    const Matrix<const T>& delta, Index k, T* d_f) {
  for (Index i = 0; i < delta.rows; ++i) {
    const T* in = x.row(i / rows_per_x);
    const T* d = delta.row(i);
    T* sum = d_f + i % k * delta.cols;
    SKB_INDEPENDENT
    for (Index j = 0; j < delta.cols; ++j) sum[j] += in[j] * d[j];
  }
}

// Groups of columns that have one number together: `n_wide` groups of `group` columns,
// then groups of one.
struct ColumnGroups {
  Index n_wide, group, width;

  static ColumnGroups read(const Spec& spec, Index width) {
    const ColumnGroups groups{spec.index("n_wide"), spec.index("group"), width};
    if (groups.n_wide * groups.group <= width) return groups;
    throw std::invalid_argument("The groups have more columns than there are.");
  }
  Index wide() const { return n_wide * group; }
  Index count() const { return n_wide + (width - wide()); }

  // A number per group -> one per column.
  template <typename T>
  void spread(const T* of_groups, T* of_columns) const {
    for (Index g = 0; g < n_wide; ++g) {
      std::fill_n(of_columns + g * group, group, of_groups[g]);
    }
    std::copy_n(of_groups + n_wide, width - wide(), of_columns + wide());
  }
  // The transpose of that, added.
  template <typename T>
  void add_up(const T* of_columns, T* of_groups) const {
    for (Index c = 0; c < wide(); ++c) of_groups[c / group] += of_columns[c];
    for (Index c = wide(); c < width; ++c)
      of_groups[n_wide + c - wide()] += of_columns[c];
  }
};

// x r_m: the split, where x has one row for all members.
template <typename T>
class MemberScale final : public Layer<T> {
 public:
  static constexpr const char* kind = "member_scale";
  static LayerPointer<T> make(const Spec& spec, Builder<T>& builder) {
    const Index n_members = n_members_of(spec);
    const auto groups = ColumnGroups::read(spec, spec.index("width"));
    const Index r = builder.parameter(spec, "r", n_members * groups.count());
    return std::make_unique<MemberScale>(n_members, groups, r);
  }

  MemberScale(Index n_members, ColumnGroups groups, Index r)
      : n_members_(n_members), groups_(groups), r_(r) {}

  Index n_inputs() const override { return groups_.width; }
  Index n_outputs() const override { return groups_.width; }
  void reserve(Layout& layout) override {
    factors_ = layout.reserve(0, n_members_ * groups_.width);
    factor_deltas_ = layout.reserve(0, n_members_ * groups_.width);
    delta_ = layout.reserve(groups_.width);
  }

  void forward(Pass<T>& pass, const Rows<T>& x, const Matrix<T>& y) const override {
    T* factors = pass.workspace->at(factors_);
    for (Index m = 0; m < n_members_; ++m) {
      groups_.spread(pass.theta + r_ + m * groups_.count(),
                     factors + m * groups_.width);
    }
    multiply_members(x.dense, rows_per(x.rows(), y.rows), factors, n_members_, y);
  }

  void backward(Pass<T>& pass, const Rows<T>& x, const Matrix<T>&,
                const Matrix<T>& delta_y, const Matrix<T>& delta_x) const override {
    T* d_factors = pass.workspace->at(factor_deltas_);
    std::fill_n(d_factors, n_members_ * groups_.width, T(0));
    const Index rows_per_x = rows_per(x.rows(), delta_y.rows);
    add_member_products<T>(x.dense, rows_per_x, as_const(delta_y), n_members_,
                           d_factors);
    T* d_r = pass.start_sum(r_, n_members_ * groups_.count());
    for (Index m = 0; m < n_members_; ++m) {
      groups_.add_up(d_factors + m * groups_.width, d_r + m * groups_.count());
    }
    if (delta_x.empty()) return;
    const T* factors = pass.workspace->at(factors_);
    if (rows_per_x == 1) {
      return multiply_members(as_const(delta_y), 1, factors, n_members_, delta_x);
    }
    const Matrix<T> delta = pass.workspace->matrix(delta_, delta_y.rows, delta_y.cols);
    multiply_members(as_const(delta_y), 1, factors, n_members_, delta);
    fill_with_zeros(delta_x);
    for (Index i = 0; i < delta_x.rows; ++i) {
      add_column_sums(delta.block(i * rows_per_x, rows_per_x), delta_x.row(i));
    }
  }

 private:
  static Matrix<const T> as_const(const Matrix<T>& m) {
    return {m.data, m.rows, m.cols, m.stride};
  }

  Index n_members_;
  ColumnGroups groups_;
  Index r_;
  Slot factors_, factor_deltas_, delta_;
};

// y = x s_m + b_m
template <typename T>
class MemberAffine final : public Layer<T> {
 public:
  static constexpr const char* kind = "member_affine";
  static LayerPointer<T> make(const Spec& spec, Builder<T>& builder) {
    const Index n_members = n_members_of(spec), width = spec.index("width");
    return std::make_unique<MemberAffine>(
        n_members, width, builder.parameter(spec, "s", n_members * width),
        builder.parameter(spec, "b", n_members * width));
  }

  MemberAffine(Index n_members, Index width, Index s, Index b)
      : n_members_(n_members), width_(width), s_(s), b_(b) {}

  Index n_inputs() const override { return width_; }
  Index n_outputs() const override { return width_; }
  bool passes_delta_in_place() const override { return true; }

  void forward(Pass<T>& pass, const Rows<T>& x, const Matrix<T>& y) const override {
    multiply_members(x.dense, 1, pass.theta + s_, n_members_, y);
    for (Index i = 0; i < y.rows; ++i) {
      add_row(y.block(i, 1), pass.theta + b_ + i % n_members_ * width_);
    }
  }
  void backward(Pass<T>& pass, const Rows<T>& x, const Matrix<T>&,
                const Matrix<T>& delta_y, const Matrix<T>& delta_x) const override {
    const Matrix<const T> delta{delta_y.data, delta_y.rows, width_, delta_y.stride};
    T* d_s = pass.start_sum(s_, n_members_ * width_);
    T* d_b = pass.start_sum(b_, n_members_ * width_);
    add_member_products<T>(x.dense, 1, delta, n_members_, d_s);
    for (Index i = 0; i < delta_y.rows; ++i) {
      add_column_sums(delta_y.block(i, 1), d_b + i % n_members_ * width_);
    }
    multiply_members(delta, 1, pass.theta + s_, n_members_, delta_x);
  }

 private:
  Index n_members_, width_, s_, b_;
};

}  // namespace sklearn_backprop
