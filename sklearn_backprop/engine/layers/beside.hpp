// Layers that read the same columns, side by side, and those that pick columns.
#pragma once

#include <algorithm>
#include <memory>
#include <numeric>
#include <stdexcept>
#include <utility>
#include <vector>

#include "../products.hpp"
#include "builder.hpp"

namespace sklearn_backprop {

// [F_1(x), F_2(x), ...]
template <typename T>
class Beside final : public Layer<T> {
 public:
  static constexpr const char* kind = "beside";
  static LayerPointer<T> make(const Spec& spec, Builder<T>& builder) {
    std::vector<LayerPointer<T>> parts;
    Index n_out = 0;
    for (const Spec& part : spec.layers) {
      parts.push_back(builder.numbered_layer(part));
      n_out += parts.back()->n_outputs();
      if (parts.back()->n_inputs() == spec.index("n_in")) continue;
      throw std::invalid_argument("Layers side by side read the same columns.");
    }
    if (parts.empty() || n_out != spec.index("n_out")) {
      throw std::invalid_argument("A block's n_out is not that of its layers.");
    }
    return std::make_unique<Beside>(std::move(parts), n_out);
  }

  Beside(std::vector<LayerPointer<T>> parts, Index n_out)
      : parts_(std::move(parts)), n_out_(n_out) {}

  Index n_inputs() const override { return parts_.front()->n_inputs(); }
  Index n_outputs() const override { return n_out_; }
  void reserve(Layout& layout) override {
    for (auto& part : parts_) part->reserve(layout);
    part_delta_ = layout.reserve(n_inputs());
  }

  void forward(Pass<T>& pass, const Rows<T>& x, const Matrix<T>& y) const override {
    for_each_part([&](const Layer<T>& part, Index first) {
      part.forward(pass, x, y.columns(first, part.n_outputs()));
    });
  }
  void backward(Pass<T>& pass, const Rows<T>& x, const Matrix<T>& y,
                const Matrix<T>& delta_y, const Matrix<T>& delta_x) const override {
    for_each_part([&](const Layer<T>& part, Index first) {
      const bool adds = first > 0 && !delta_x.empty();
      const Matrix<T> target =
          adds ? pass.workspace->matrix(part_delta_, y.rows, n_inputs()) : delta_x;
      part.backward(pass, x, y.columns(first, part.n_outputs()),
                    delta_y.columns(first, part.n_outputs()), target);
      if (adds) add_scaled(delta_x, T(1), target);
    });
  }

 private:
  template <typename Visit>
  void for_each_part(const Visit& visit) const {
    Index first = 0;
    for (const auto& part : parts_) {
      visit(*part, first);
      first += part->n_outputs();
    }
  }

  std::vector<LayerPointer<T>> parts_;
  Index n_out_;
  Slot part_delta_;
};

inline void check_columns(const std::vector<Index>& columns, Index n_in) {
  const bool fits = std::all_of(columns.begin(), columns.end(),
                                [=](Index column) { return column < n_in; });
  if (columns.empty() || !fits) {
    throw std::invalid_argument("'columns' are not among those of x.");
  }
}

template <typename T>
void fill_with_zeros(const Matrix<T>& m) {
  for (Index i = 0; i < m.rows; ++i) std::fill_n(m.row(i), m.cols, T(0));
}

// Some columns as they are.
template <typename T>
class Select final : public Layer<T> {
 public:
  static constexpr const char* kind = "select";
  static LayerPointer<T> make(const Spec& spec, Builder<T>&) {
    check_columns(spec.indices("columns"), spec.index("n_in"));
    return std::make_unique<Select>(spec.index("n_in"), spec.indices("columns"));
  }

  Select(Index n_in, std::vector<Index> columns)
      : n_in_(n_in), columns_(std::move(columns)) {}

  Index n_inputs() const override { return n_in_; }
  Index n_outputs() const override { return Index(columns_.size()); }

  void forward(Pass<T>&, const Rows<T>& x, const Matrix<T>& y) const override {
    for (Index i = 0; i < y.rows; ++i) {
      T* out = y.row(i);
      for (const Index column : columns_) *out++ = x.dense.row(i)[column];
    }
  }
  void backward(Pass<T>&, const Rows<T>&, const Matrix<T>&, const Matrix<T>& delta_y,
                const Matrix<T>& delta_x) const override {
    if (delta_x.empty()) return;
    fill_with_zeros(delta_x);
    for (Index i = 0; i < delta_y.rows; ++i) {
      const T* in = delta_y.row(i);
      for (const Index column : columns_) delta_x.row(i)[column] += *in++;
    }
  }

 private:
  Index n_in_;
  std::vector<Index> columns_;
};

// Codes 0, 1, ... of some columns as indicators; any other number gives zeros.
template <typename T>
class OneHot final : public Layer<T> {
 public:
  static constexpr const char* kind = "one_hot";
  static LayerPointer<T> make(const Spec& spec, Builder<T>&) {
    check_columns(spec.indices("columns"), spec.index("n_in"));
    if (spec.indices("n_levels").size() != spec.indices("columns").size()) {
      throw std::invalid_argument("'one_hot' needs one of 'n_levels' for each column.");
    }
    return std::make_unique<OneHot>(spec.index("n_in"), spec.indices("columns"),
                                    spec.indices("n_levels"));
  }

  OneHot(Index n_in, std::vector<Index> columns, std::vector<Index> n_levels)
      : n_in_(n_in), columns_(std::move(columns)), n_levels_(std::move(n_levels)) {}

  Index n_inputs() const override { return n_in_; }
  Index n_outputs() const override {
    return std::accumulate(n_levels_.begin(), n_levels_.end(), Index(0));
  }

  void forward(Pass<T>&, const Rows<T>& x, const Matrix<T>& y) const override {
    fill_with_zeros(y);
    for (Index i = 0; i < y.rows; ++i) {
      T* out = y.row(i);
      for (std::size_t c = 0; c < columns_.size(); out += n_levels_[c++]) {
        const T code = x.dense.row(i)[columns_[c]];
        if (!(code >= T(0) && code < T(n_levels_[c]))) continue;  // NaN neither
        const auto level = static_cast<Index>(code);
        if (T(level) == code) out[level] = T(1);
      }
    }
  }
  void backward(Pass<T>&, const Rows<T>&, const Matrix<T>&, const Matrix<T>&,
                const Matrix<T>& delta_x) const override {
    if (!delta_x.empty()) fill_with_zeros(delta_x);
  }

 private:
  Index n_in_;
  std::vector<Index> columns_, n_levels_;
};

}  // namespace sklearn_backprop
