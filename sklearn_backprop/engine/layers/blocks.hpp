// Blocks of layers beside their own input.
#pragma once

#include <memory>
#include <stdexcept>
#include <utility>

#include "../products.hpp"
#include "builder.hpp"
#include "chain.hpp"

namespace sklearn_backprop {

// skip + scale F(x), with skip = x, or x P where the widths differ (He et al., 2016).
template <typename T>
class ResidualAdd final : public Layer<T> {
 public:
  static constexpr const char* kind = "add";
  static LayerPointer<T> make(const Spec& spec, Builder<T>& builder) {
    const Index n_in = spec.index("n_in"), n_out = spec.index("n_out");
    Chain<T> block = builder.block(spec, n_in, n_out);
    const Index P = builder.parameter_or_none(spec, "P", n_in * n_out);
    if (P < 0 && n_in != n_out) {
      throw std::invalid_argument("An 'add' block whose widths differ needs 'P'.");
    }
    return std::make_unique<ResidualAdd>(std::move(block), T(spec.number("scale")), P);
  }

  ResidualAdd(Chain<T> block, T scale, Index P)
      : block_(std::move(block)), scale_(scale), P_(P) {}

  Index n_inputs() const override { return block_.n_inputs(); }
  Index n_outputs() const override { return block_.n_outputs(); }
  bool reads_sparse() const override { return block_.reads_sparse(); }
  bool couples_rows() const override { return block_.couples_rows(); }
  void reserve(Layout& layout) override {
    block_.reserve(layout);
    branch_ = layout.reserve(n_outputs());
    branch_delta_ = layout.reserve(n_outputs());
    if (P_ >= 0) skip_delta_ = layout.reserve(n_inputs());
  }

  void forward(Pass<T>& pass, const Rows<T>& x, const Matrix<T>& y) const override {
    const Matrix<T> branch = pass.workspace->matrix(branch_, y.rows, y.cols);
    block_.forward(pass, x, branch);
    if (P_ >= 0) {
      multiply(x, pass.theta + P_, y);
    } else {
      copy_rows(x, y);
    }
    add_scaled(y, scale_, branch);
  }

  void backward(Pass<T>& pass, const Rows<T>& x, const Matrix<T>&,
                const Matrix<T>& delta_y, const Matrix<T>& delta_x) const override {
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
  Index P_;
  Slot branch_, branch_delta_, skip_delta_;
};

// [x, F(x)] (Huang et al., 2017)
template <typename T>
class ResidualConcat final : public Layer<T> {
 public:
  static constexpr const char* kind = "concat";
  static LayerPointer<T> make(const Spec& spec, Builder<T>& builder) {
    const Index n_in = spec.index("n_in"), n_out = spec.index("n_out");
    return std::make_unique<ResidualConcat>(builder.block(spec, n_in, n_out - n_in));
  }

  explicit ResidualConcat(Chain<T> block) : block_(std::move(block)) {}

  Index n_inputs() const override { return block_.n_inputs(); }
  Index n_outputs() const override { return block_.n_inputs() + block_.n_outputs(); }
  bool reads_sparse() const override { return block_.reads_sparse(); }
  bool couples_rows() const override { return block_.couples_rows(); }
  void reserve(Layout& layout) override { block_.reserve(layout); }

  void forward(Pass<T>& pass, const Rows<T>& x, const Matrix<T>& y) const override {
    copy_rows(x, y.columns(0, n_inputs()));
    block_.forward(pass, x, branch_of(y));
  }
  void backward(Pass<T>& pass, const Rows<T>& x, const Matrix<T>& y,
                const Matrix<T>& delta_y, const Matrix<T>& delta_x) const override {
    block_.backward(pass, x, branch_of(y), branch_of(delta_y), delta_x);
    if (!delta_x.empty()) add_scaled(delta_x, T(1), delta_y.columns(0, n_inputs()));
  }

 private:
  Matrix<T> branch_of(const Matrix<T>& m) const {
    return m.columns(n_inputs(), block_.n_outputs());
  }

  Chain<T> block_;
};

}  // namespace sklearn_backprop
