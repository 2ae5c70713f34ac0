// A block whose layers see steps of sequences as rows, and what it makes of their
// states.
#pragma once

#include <memory>
#include <stdexcept>
#include <string>
#include <utility>

#include "beside.hpp"
#include "builder.hpp"
#include "chain.hpp"

namespace sklearn_backprop {

// Which states of a sequence leave the block: their mean, or the last one. That of the
// first n_forward columns is the state in the last step, that of the others, which go
// the other way, the one in the first.
struct Pooling {
  bool is_mean;
  Index n_forward;

  static Pooling read(const Spec& spec) {
    const std::string& name = spec.text("pooling");
    if (name != "mean" && name != "last") {
      throw std::invalid_argument("Unknown pooling '" + name + "'.");
    }
    return {name == "mean", spec.index("n_forward")};
  }

  // y (n, width) of packed states
  template <typename T>
  void forward(const Packing& packing, const Matrix<T>& states,
               const Matrix<T>& y) const {
    packing.for_each_sequence([&](Index row, Index length, Index i) {
      T* out = y.row(row);
      std::fill_n(out, y.cols, T(0));
      if (length == 0) return;
      if (!is_mean) {
        const T* last = states.row(packing.start(length - 1) + i);
        std::copy_n(last, n_forward, out);
        std::copy(states.row(i) + n_forward, states.row(i) + y.cols, out + n_forward);
        return;
      }
      for (Index t = 0; t < length; ++t) {
        const T* state = states.row(packing.start(t) + i);
        for (Index j = 0; j < y.cols; ++j) out[j] += state[j];
      }
      for (Index j = 0; j < y.cols; ++j) out[j] /= T(length);
    });
  }
  // dJ/d(states) of dJ/dy
  template <typename T>
  void backward(const Packing& packing, const Matrix<T>& delta_y,
                const Matrix<T>& delta) const {
    if (!is_mean) fill_with_zeros(delta);
    packing.for_each_sequence([&](Index row, Index length, Index i) {
      const T* in = delta_y.row(row);
      if (length == 0) return;
      if (!is_mean) {
        std::copy_n(in, n_forward, delta.row(packing.start(length - 1) + i));
        std::copy(in + n_forward, in + delta_y.cols, delta.row(i) + n_forward);
        return;
      }
      for (Index t = 0; t < length; ++t) {
        T* out = delta.row(packing.start(t) + i);
        for (Index j = 0; j < delta_y.cols; ++j) out[j] = in[j] / T(length);
      }
    });
  }
};

// Reads n_steps * n_channels columns, step after step; steps behind the end of a
// sequence are NaN and count for nothing.
template <typename T>
class Sequence final : public Layer<T> {
 public:
  static constexpr const char* kind = "sequence";
  static LayerPointer<T> make(const Spec& spec, Builder<T>& builder) {
    const Index n_steps = spec.index("n_steps"), n_channels = spec.index("n_channels");
    if (n_steps < 1 || n_channels < 1) {
      throw std::invalid_argument("A sequence needs a step and a channel.");
    }
    Chain<T> chain = builder.block(spec, n_channels, spec.index("n_out"));
    const Pooling pooling = Pooling::read(spec);
    if (pooling.n_forward > chain.n_outputs()) {
      throw std::invalid_argument("'n_forward' is more than there are columns.");
    }
    return std::make_unique<Sequence>(n_steps, n_channels, pooling, std::move(chain));
  }

  Sequence(Index n_steps, Index n_channels, Pooling pooling, Chain<T> chain)
      : n_steps_(n_steps),
        n_channels_(n_channels),
        pooling_(pooling),
        chain_(std::move(chain)) {}

  Index n_inputs() const override { return n_steps_ * n_channels_; }
  Index n_outputs() const override { return chain_.n_outputs(); }
  Index rows_per_row() const override { return n_steps_; }
  void reserve(Layout& layout) override {
    layout.set_rows_per_row(n_steps_);
    inputs_ = layout.reserve(n_channels_);
    states_ = layout.reserve(n_outputs());
    deltas_ = layout.reserve(n_outputs());
    input_deltas_ = layout.reserve(n_channels_);
    chain_.reserve(layout);
    layout.set_rows_per_row(1);
  }

  void forward(Pass<T>& pass, const Rows<T>& x, const Matrix<T>& y) const override {
    const Packing packing(x.dense, n_steps_, n_channels_);
    const Matrix<T> inputs =
        pass.workspace->matrix(inputs_, packing.n_rows(), n_channels_);
    packing.for_each([&](Index place, Index row, Index step) {
      std::copy_n(x.dense.row(row) + step * n_channels_, n_channels_,
                  inputs.row(place));
    });
    const Matrix<T> states = states_of(pass, states_, packing);
    Pass<T> inner = inside(pass, packing);
    chain_.forward(inner, Rows<T>(inputs), states);
    pooling_.forward(packing, states, y);
  }

  void backward(Pass<T>& pass, const Rows<T>& x, const Matrix<T>&,
                const Matrix<T>& delta_y, const Matrix<T>& delta_x) const override {
    const Packing packing(x.dense, n_steps_, n_channels_);
    const Matrix<T> deltas = states_of(pass, deltas_, packing);
    pooling_.backward(packing, delta_y, deltas);
    const auto of_channels = [&](Slot slot) {
      return pass.workspace->matrix(slot, packing.n_rows(), n_channels_);
    };
    const Matrix<T> input_deltas =
        delta_x.empty() ? Matrix<T>{} : of_channels(input_deltas_);
    Pass<T> inner = inside(pass, packing);
    chain_.backward(inner, Rows<T>(of_channels(inputs_)),
                    states_of(pass, states_, packing), deltas, input_deltas);
    if (delta_x.empty()) return;
    fill_with_zeros(delta_x);
    packing.for_each([&](Index place, Index row, Index step) {
      std::copy_n(input_deltas.row(place), n_channels_,
                  delta_x.row(row) + step * n_channels_);
    });
  }

 private:
  static Pass<T> inside(const Pass<T>& pass, const Packing& packing) {
    Pass<T> inner = pass;
    inner.packing = &packing;
    return inner;
  }
  Matrix<T> states_of(Pass<T>& pass, Slot slot, const Packing& packing) const {
    return pass.workspace->matrix(slot, packing.n_rows(), n_outputs());
  }

  Index n_steps_, n_channels_;
  Pooling pooling_;
  Chain<T> chain_;
  Slot inputs_, states_, deltas_, input_deltas_;
};

}  // namespace sklearn_backprop
