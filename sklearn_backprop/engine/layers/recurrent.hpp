// Recurrent layers: a cell, step after step, and backpropagation through time.
#pragma once

#include <algorithm>
#include <memory>
#include <stdexcept>

#include "../cells.hpp"
#include "../products.hpp"
#include "builder.hpp"

namespace sklearn_backprop {

// What a recurrent layer holds of the sequences in one step, or in all of them.
template <typename T>
struct States {
  Matrix<T> z, before, kept, y, delta;

  States block(Index begin, Index n) const {
    return {z.block(begin, n), before.block(begin, n), kept.block(begin, n),
            y.block(begin, n), delta.empty() ? delta : delta.block(begin, n)};
  }
};

// One step of the sequences that have it; `kept_before` are the first rows of the step
// before, or empty where there is none, and sequences that begin here have zeros.
template <typename T>
struct CellStep {
  States<T> now;
  Matrix<T> kept_before, delta_before, carry;
  const T* b;
  const T* zeros;
};

template <typename T>
SKB_INLINE cells::Step<T> step_of(const CellStep<T>& step, Index i) {
  const T* kept_before =
      i < step.kept_before.rows ? step.kept_before.row(i) : step.zeros;
  return {step.now.z.row(i),    step.b,           step.now.before.row(i), kept_before,
          step.now.kept.row(i), step.now.y.row(i)};
}

template <typename Cell, typename T>
SKB_INLINE void run_cells(const CellStep<T>& step) {
  for (Index i = 0; i < step.now.y.rows; ++i) {
    Cell::forward(step.now.y.cols, step_of(step, i));
  }
}
template <typename Cell, typename T>
SKB_INLINE void run_cells_backward(const CellStep<T>& step) {
  for (Index i = 0; i < step.now.y.rows; ++i) {
    cells::Step<T> at = step_of(step, i);
    at.delta = step.now.delta.row(i);
    at.delta_before = step.delta_before.row(i);
    at.carry = step.carry.row(i);
    Cell::backward(step.now.y.cols, at);
  }
}

template <typename Cell, typename T>
SKB_CLONES void cells_forward(const CellStep<T>& step) {
  run_cells<Cell>(step);
}
template <typename Cell, typename T>
SKB_CLONES void cells_backward(const CellStep<T>& step) {
  run_cells_backward<Cell>(step);
}

// The states of all steps, from the first to the last or the other way, from zeros.
// Parameters: W (n_in, n_of_input * h), U (h, n_of_state * h), b (n_columns * h).
template <typename Cell, typename T>
class RecurrentOf final : public Layer<T> {
 public:
  RecurrentOf(const Spec& spec, Builder<T>& builder)
      : n_in_(spec.index("n_in")),
        width_(spec.index("width")),
        is_reverse_(spec.index("reverse") > 0),
        W_(builder.parameter(spec, "W", n_in_ * Cell::n_of_input * width_)),
        U_(builder.parameter(spec, "U", width_ * n_of_state())),
        b_(builder.parameter(spec, "b", Cell::n_columns * width_)) {}

  Index n_inputs() const override { return n_in_; }
  Index n_outputs() const override { return width_; }
  bool is_recurrent() const override { return true; }
  void reserve(Layout& layout) override {
    z_ = layout.reserve(Cell::n_columns * width_);
    before_ = layout.reserve(width_);
    kept_ = layout.reserve(Cell::n_kept * width_);
    const Index rows_per_row = layout.rows_per_row();
    layout.set_rows_per_row(1);
    delta_before_ = layout.reserve(width_);
    carry_ = layout.reserve(Cell::n_kept * width_);
    layout.set_rows_per_row(rows_per_row);
    packs_ = layout.reserve(0, std::max(packed_size(width_, n_of_state()),
                                        packed_size(n_of_state(), width_)));
    zeros_ = layout.reserve(0, Cell::n_kept * width_);
  }

  void forward(Pass<T>& pass, const Rows<T>& x, const Matrix<T>& y) const override {
    const States<T> states = states_of(pass, y, {});
    const Matrix<T> z = states.z.columns(0, Cell::n_of_input * width_);
    if (pass.is_training) {
      multiply(x, pass.theta + W_, z);
    } else {
      multiply_row_by_row(x.dense, pass.theta + W_, z);
    }
    clear(states.z.columns(z.cols, states.z.cols - z.cols));
    T* packs = pass.workspace->at(packs_);
    pack_factor(strided(pass.theta + U_, width_, n_of_state()), packs);
    for_each_step(*pass.packing, [&](Index t, Index before) {
      forward_step(pass, states, t, before, packs);
    });
  }

  void backward(Pass<T>& pass, const Rows<T>& x, const Matrix<T>& y,
                const Matrix<T>& delta_y, const Matrix<T>& delta_x) const override {
    const States<T> states = states_of(pass, y, delta_y);
    pass_back_through_time(pass, states);
    const Matrix<T> d_x = states.z.columns(0, Cell::n_of_input * width_);
    multiply_transposed(x, d_x, pass.beta, pass.gradient + W_);
    multiply_transposed(Rows<T>(states.before), of_state(states.z), pass.beta,
                        pass.gradient + U_);
    add_column_sums(states.z, pass.start_sum(b_, states.z.cols));
    if (!delta_x.empty()) multiply_by_transpose(d_x, pass.theta + W_, delta_x);
  }

 private:
  Index n_of_state() const { return Cell::n_of_state * width_; }
  Matrix<T> of_state(const Matrix<T>& z) const {
    return z.columns(Cell::first_of_state * width_, n_of_state());
  }
  States<T> states_of(Pass<T>& pass, const Matrix<T>& y, const Matrix<T>& delta) const {
    Workspace<T>& workspace = *pass.workspace;
    return {workspace.matrix(z_, y.rows, Cell::n_columns * width_),
            workspace.matrix(before_, y.rows, width_),
            workspace.matrix(kept_, y.rows, Cell::n_kept * width_), y, delta};
  }
  static void clear(const Matrix<T>& m) {
    for (Index i = 0; i < m.rows; ++i) std::fill_n(m.row(i), m.cols, T(0));
  }

  // visit(step, the step before it in the order of this layer)
  template <typename Visit>
  void for_each_step(const Packing& packing, const Visit& visit) const {
    for (Index k = 0; k < packing.n_steps(); ++k) {
      const Index t = is_reverse_ ? packing.n_steps() - 1 - k : k;
      visit(t, t + (is_reverse_ ? 1 : -1));
    }
  }
  // How many sequences have a state in the step before that of t.
  static Index n_going_on(const Packing& packing, Index t, Index before) {
    return std::min(packing.count(t), packing.count(before));
  }

  CellStep<T> step_at(Pass<T>& pass, const States<T>& states, Index t,
                      Index before) const {
    const Packing& packing = *pass.packing;
    CellStep<T> step{states.block(packing.start(t), packing.count(t)),
                     {},
                     {},
                     {},
                     pass.theta + b_,
                     pass.workspace->at(zeros_)};
    const Index n = n_going_on(packing, t, before);
    if (n > 0) step.kept_before = states.kept.block(packing.start(before), n);
    return step;
  }

  void forward_step(Pass<T>& pass, const States<T>& states, Index t, Index before,
                    const T* packs) const {
    const CellStep<T> step = step_at(pass, states, t, before);
    const Index n = step.kept_before.rows;
    const Matrix<T> state = step.now.before;
    for (Index i = 0; i < n; ++i) {
      const T* last = states.y.row(pass.packing->start(before) + i);
      std::copy_n(last, width_, state.row(i));
    }
    clear(state.block(n, state.rows - n));
    if (n > 0) {
      packed_product<T>(strided(Matrix<const T>{state.data, n, width_, width_}), packs,
                        T(1), strided(of_state(step.now.z.block(0, n))));
    }
    cells_forward<Cell>(step);
  }

  // z becomes dJ/dz of all steps.
  void pass_back_through_time(Pass<T>& pass, const States<T>& states) const {
    const Packing& packing = *pass.packing;
    const Index n_sequences = packing.count(0);
    Workspace<T>& workspace = *pass.workspace;
    const Matrix<T> delta = workspace.matrix(delta_before_, n_sequences, width_);
    const Matrix<T> carry =
        workspace.matrix(carry_, n_sequences, Cell::n_kept * width_);
    clear(delta);
    clear(carry);
    T* packs = workspace.at(packs_);
    pack_factor(strided(pass.theta + U_, width_, n_of_state()).transposed(), packs);
    for (Index k = packing.n_steps(); k-- > 0;) {
      const Index t = is_reverse_ ? packing.n_steps() - 1 - k : k;
      const Index before = t + (is_reverse_ ? 1 : -1);
      CellStep<T> step = step_at(pass, states, t, before);
      add_scaled(step.now.delta, T(1), delta.block(0, packing.count(t)));
      if (pass.probe != nullptr) pass.probe->at_step(pass, *this, t, step.now.delta);
      step.delta_before = delta;
      step.carry = carry;
      cells_backward<Cell>(step);
      const Index n = n_going_on(packing, t, before);
      if (n == 0) continue;
      const Matrix<T> dz = of_state(step.now.z.block(0, n));
      packed_product<T>(strided(Matrix<const T>{dz.data, n, dz.cols, dz.stride}), packs,
                        Cell::passes_by ? T(1) : T(0), strided(delta.block(0, n)));
    }
  }

  Index n_in_, width_;
  bool is_reverse_;
  Index W_, U_, b_;
  Slot z_, before_, kept_, delta_before_, carry_, packs_, zeros_;
};

// The recurrent layer whose cell a specification names.
template <typename T>
class Recurrent {
 public:
  static constexpr const char* kind = "recurrent";
  static LayerPointer<T> make(const Spec& spec, Builder<T>& builder) {
    return cells::visit(spec.text("cell"),
                        [&](auto cell) { return make_of(cell, spec, builder); });
  }

 private:
  template <typename Cell>
  static LayerPointer<T> make_of(Cell, const Spec& spec, Builder<T>& builder) {
    return LayerPointer<T>(new RecurrentOf<Cell, T>(spec, builder));
  }
};

}  // namespace sklearn_backprop
