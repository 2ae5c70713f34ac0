// A dense layer.
#pragma once

#include <memory>

#include "../products.hpp"
#include "builder.hpp"

namespace sklearn_backprop {

// x W, plus b where there is one (an activation that follows may add it itself). With
// "row_by_row" the bits of a predicted row do not depend on the rows beside it.
template <typename T>
class Dense final : public Layer<T> {
 public:
  static constexpr const char* kind = "dense";
  static LayerPointer<T> make(const Spec& spec, Builder<T>& builder) {
    const Index n_in = spec.index("n_in"), n_out = spec.index("n_out");
    return std::make_unique<Dense>(
        n_in, n_out, builder.parameter(spec, "W", n_in * n_out),
        builder.parameter_or_none(spec, "b", n_out), spec.has("row_by_row"));
  }

  Dense(Index n_in, Index n_out, Index W, Index b, bool is_row_by_row)
      : n_in_(n_in), n_out_(n_out), W_(W), b_(b), is_row_by_row_(is_row_by_row) {}

  Index n_inputs() const override { return n_in_; }
  Index n_outputs() const override { return n_out_; }
  bool reads_sparse() const override { return !is_row_by_row_; }

  void forward(Pass<T>& pass, const Rows<T>& x, const Matrix<T>& y) const override {
    if (is_row_by_row_ && !pass.is_training) {
      multiply_row_by_row(x.dense, pass.theta + W_, y);
    } else {
      multiply(x, pass.theta + W_, y);
    }
    if (b_ >= 0) add_row(y, pass.theta + b_);
  }
  void backward(Pass<T>& pass, const Rows<T>& x, const Matrix<T>&,
                const Matrix<T>& delta_y, const Matrix<T>& delta_x) const override {
    multiply_transposed(x, delta_y, pass.beta, pass.gradient + W_);
    if (b_ >= 0) add_column_sums(delta_y, pass.start_sum(b_, n_out_));
    if (!delta_x.empty()) multiply_by_transpose(delta_y, pass.theta + W_, delta_x);
  }

 private:
  Index n_in_, n_out_, W_, b_;
  bool is_row_by_row_;
};

}  // namespace sklearn_backprop
