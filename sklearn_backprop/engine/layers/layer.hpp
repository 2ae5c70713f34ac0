// What a layer is. Layers hold no numbers of their own: parameters are spans of theta,
// caches are slots of the workspace, so that one layer serves any number of passes at
// once. They do arithmetic only; what looks at a pass is a probe.
#pragma once

#include <algorithm>
#include <cstdint>
#include <memory>

#include "../matrix.hpp"
#include "../team.hpp"
#include "../workspace.hpp"
#include "packing.hpp"

namespace sklearn_backprop {

template <typename T>
class Probe;

// What layers share while they pass over one mini-batch, or over a share of its rows.
template <typename T>
struct Pass {
  const T* theta = nullptr;
  const T* running = nullptr;    // statistics that prediction and frozen layers use
  const T* constants = nullptr;  // numbers that nothing trains
  T* new_running = nullptr;      // statistics that training updates, or null
  T* gradient = nullptr;
  T beta = T(0);                  // gradient = beta * gradient + this pass's
  T* input_gradient = nullptr;    // dJ/dX of this pass's rows, or null
  const T* loss_share = nullptr;  // what a row's loss counts in the objective
  const T* row_share = nullptr;  // its share of the mini-batch's weight: their sum is 1
  bool is_training = false;
  bool drops_units = false;  // draw dropout masks
  std::uint64_t seed = 0;
  std::uint64_t step = 0;
  Index first_row = 0;               // of the mini-batch, for the masks
  const Packing* packing = nullptr;  // of the sequences that its rows are steps of
  Workspace<T>* workspace = nullptr;
  Member* member = nullptr;  // of the team that shares the mini-batch, or null
  Probe<T>* probe = nullptr;

  bool wants_input_gradient() const { return input_gradient != nullptr; }
  bool reads_deltas() const;  // whether a probe looks at those of each layer
  // The gradient of a parameter array that is summed row by row.
  T* start_sum(Index offset, Index n) const {
    T* sum = gradient + offset;
    if (beta == T(0)) std::fill_n(sum, n, T(0));
    return sum;
  }
  // Sums over all rows of the mini-batch from those (n) over this pass's.
  void add_up(const T* mine, Index n, T* total) const {
    if (member != nullptr) {
      member->add_up(mine, n, total);
    } else {
      std::copy_n(mine, n, total);
    }
  }
};

// What can be told of the units of an activation, x -> y, in the rows of a pass.
template <typename T>
class Units {
 public:
  virtual ~Units() = default;
  // Marks those alive that some row moves; returns how many are by now.
  virtual Index mark_alive(Pass<T>& pass, const Rows<T>& x, const Matrix<T>& y,
                           unsigned char* is_alive) const = 0;
  virtual double count_saturated(const Matrix<T>& y) const = 0;
};

template <typename T>
class Layer {
 public:
  virtual ~Layer() = default;
  virtual Index n_inputs() const = 0;
  virtual Index n_outputs() const = 0;

  // y may take the memory of x: backward does not read x.
  virtual bool works_in_place() const { return false; }
  // Its backward may find zeros in y, where delta_y is zero too, and the rest of y
  // multiplied by a positive number: it comes to the same.
  virtual bool bears_dropout() const { return false; }
  // What stands right before it in its chain, and right behind; told before it
  // reserves.
  virtual void stand_behind(const Layer& /* before */) {}
  virtual void stand_before(const Layer& /* behind */) {}
  // What its backward leaves to that of the layer before to multiply delta by.
  virtual T factor_left(const Pass<T>&) const { return T(1); }
  // delta_x may take the memory of delta_y; delta_x is then never empty.
  virtual bool passes_delta_in_place() const { return false; }
  virtual bool reads_sparse() const { return false; }
  // Its training pass couples the rows of a mini-batch.
  virtual bool couples_rows() const { return false; }
  // It passes a state from step to step.
  virtual bool is_recurrent() const { return false; }
  // How many rows a row is inside.
  virtual Index rows_per_row() const { return 1; }
  virtual const Units<T>* units() const { return nullptr; }

  virtual void reserve(Layout&) {}

  virtual void forward(Pass<T>& pass, const Rows<T>& x, const Matrix<T>& y) const = 0;
  // Adds to the gradient, that of frozen arrays may be left out; delta_y = dJ/dy may be
  // overwritten; delta_x = dJ/dx is not wanted where it is empty.
  virtual void backward(Pass<T>& pass, const Rows<T>& x, const Matrix<T>& y,
                        const Matrix<T>& delta_y, const Matrix<T>& delta_x) const = 0;

  // Its place in the order in which specifications list layers, blocks before what
  // they hold.
  Index number = -1;
  // Which of several copies of the same specification, from 0.
  Index copy = 0;
  // Whether it, or what it holds, has an array that is not frozen.
  bool is_trained = true;
};

template <typename T>
using LayerPointer = std::unique_ptr<Layer<T>>;

// Looks at a pass. Chains call it around each of their layers.
template <typename T>
class Probe {
 public:
  virtual ~Probe() = default;
  // Layers then leave no part of delta to others.
  virtual bool reads_deltas() const { return false; }
  virtual void after_forward(Pass<T>&, const Layer<T>&, const Rows<T>& /* x */,
                             const Matrix<T>& /* y */) {}
  // delta_y = dJ/dy, which the layer's backward may overwrite
  virtual void before_backward(Pass<T>&, const Layer<T>&,
                               const Matrix<T>& /* delta_y */) {}
  // delta_x = dJ/dx, empty where it was not wanted
  virtual void after_backward(Pass<T>&, const Layer<T>&, const Rows<T>& /* x */,
                              const Matrix<T>& /* delta_x */) {}
  // delta = dJ/dy of a recurrent layer's states in that step, by all roads
  virtual void at_step(Pass<T>&, const Layer<T>&, Index /* step */,
                       const Matrix<T>& /* delta */) {}
};

template <typename T>
bool Pass<T>::reads_deltas() const {
  return probe != nullptr && probe->reads_deltas();
}

}  // namespace sklearn_backprop
