// A dense layer with weights for every member.
#pragma once

#include <memory>

#include "members.hpp"

namespace sklearn_backprop {

// x W_m + b_m on rows of members; W (k, n_in, n_out), b (k, n_out).
template <typename T>
class MemberDense final : public Layer<T> {
 public:
  static constexpr const char* kind = "member_dense";
  static LayerPointer<T> make(const Spec& spec, Builder<T>& builder) {
    const Index k = n_members_of(spec);
    const Index n_in = spec.index("n_in"), n_out = spec.index("n_out");
    return std::make_unique<MemberDense>(k, n_in, n_out,
                                         builder.parameter(spec, "W", k * n_in * n_out),
                                         builder.parameter(spec, "b", k * n_out));
  }

  MemberDense(Index n_members, Index n_in, Index n_out, Index W, Index b)
      : n_members_(n_members), n_in_(n_in), n_out_(n_out), W_(W), b_(b) {}

  Index n_inputs() const override { return n_in_; }
  Index n_outputs() const override { return n_out_; }

  void forward(Pass<T>& pass, const Rows<T>& x, const Matrix<T>& y) const override {
    for_each_member([&](Index m) {
      const Matrix<T> out = of_member(y, m);
      multiply(Rows<T>(of_member(x.dense, m)), weights(pass.theta, m), out);
      add_row(out, pass.theta + b_ + m * n_out_);
    });
  }
  void backward(Pass<T>& pass, const Rows<T>& x, const Matrix<T>&,
                const Matrix<T>& delta_y, const Matrix<T>& delta_x) const override {
    T* d_b = pass.start_sum(b_, n_members_ * n_out_);
    for_each_member([&](Index m) {
      const Matrix<T> delta = of_member(delta_y, m);
      multiply_transposed(Rows<T>(of_member(x.dense, m)), delta, pass.beta,
                          weights(pass.gradient, m));
      add_column_sums(delta, d_b + m * n_out_);
      if (delta_x.empty()) return;
      multiply_by_transpose(delta, weights(pass.theta, m), of_member(delta_x, m));
    });
  }

 private:
  template <typename Visit>
  void for_each_member(const Visit& visit) const {
    for (Index m = 0; m < n_members_; ++m) visit(m);
  }
  // The rows of member m among those of all.
  template <typename U>
  Matrix<U> of_member(Matrix<U> rows, Index m) const {
    return {rows.row(m), rows.rows / n_members_, rows.cols, n_members_ * rows.stride};
  }
  template <typename U>
  U* weights(U* vector, Index m) const {
    return vector + W_ + m * n_in_ * n_out_;
  }

  Index n_members_, n_in_, n_out_, W_, b_;
};

}  // namespace sklearn_backprop
