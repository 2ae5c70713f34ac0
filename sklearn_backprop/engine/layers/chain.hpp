// Layers one after the other.
#pragma once

#include <algorithm>
#include <utility>
#include <vector>

#include "layer.hpp"

namespace sklearn_backprop {

// Layers one after the other. Outputs between them are slots of the workspace; a layer
// that works in place takes its input's memory, and the last memory is the caller's.
template <typename T>
class Chain final : public Layer<T> {
 public:
  explicit Chain(std::vector<LayerPointer<T>> layers) : layers_(std::move(layers)) {
    for (std::size_t k = 1; k < size(); ++k) {
      layers_[k]->stand_behind(*layers_[k - 1]);
      layers_[k - 1]->stand_before(*layers_[k]);
    }
    while (first_trained_ < size() && !layers_[first_trained_]->is_trained)
      ++first_trained_;
    this->is_trained = first_trained_ < size();
  }

  Index n_inputs() const override { return layers_.front()->n_inputs(); }
  Index n_outputs() const override { return layers_.back()->n_outputs(); }
  bool reads_sparse() const override { return layers_.front()->reads_sparse(); }
  bool couples_rows() const override {
    return std::any_of(layers_.begin(), layers_.end(),
                       [](const auto& layer) { return layer->couples_rows(); });
  }

  Index rows_per_row() const override {
    Index most = 1;
    for (const auto& layer : layers_) most = std::max(most, layer->rows_per_row());
    return most;
  }

  void reserve(Layout& layout) override {
    outputs_.assign(size(), Slot{});
    Index widest = 1;
    for (std::size_t k = 0; k < size(); ++k) {
      layers_[k]->reserve(layout);
      if (owns_memory(k)) last_owner_ = k;
      if (k > 0) widest = std::max(widest, layers_[k]->n_inputs());
    }
    for (std::size_t k = 0; k < last_owner_; ++k) {
      outputs_[k] =
          owns_memory(k) ? layout.reserve(layers_[k]->n_outputs()) : outputs_[k - 1];
    }
    for (Slot& slot : deltas_) slot = layout.reserve(widest);
  }

  void forward(Pass<T>& pass, const Rows<T>& x, const Matrix<T>& y) const override {
    Rows<T> input = x;
    for (std::size_t k = 0; k < size(); ++k) {
      const Matrix<T> output = output_of(pass, k, y);
      layers_[k]->forward(pass, input, output);
      if (pass.probe != nullptr)
        pass.probe->after_forward(pass, *layers_[k], input, output);
      input = Rows<T>(output);
    }
  }

  // Ends at the lowest layer that is trained, where nobody asks for more.
  void backward(Pass<T>& pass, const Rows<T>& x, const Matrix<T>& y,
                const Matrix<T>& delta_y, const Matrix<T>& delta_x) const override {
    const std::size_t last = delta_x.empty() ? first_trained_ : 0;
    Matrix<T> delta = delta_y;
    std::size_t next = 0;
    for (std::size_t k = size(); k-- > last;) {
      const Layer<T>& layer = *layers_[k];
      Matrix<T> target = delta_x;
      const bool stays = layer.passes_delta_in_place();
      if (stays && (k > last || delta_x.empty())) {
        target = delta;
      } else if (k > last) {
        target = pass.workspace->matrix(deltas_[next], y.rows, layer.n_inputs());
        next = 1 - next;
      }
      const Rows<T> input = k > 0 ? Rows<T>(output_of(pass, k - 1, y)) : x;
      if (pass.probe != nullptr) pass.probe->before_backward(pass, layer, delta);
      layer.backward(pass, input, output_of(pass, k, y), delta, target);
      if (pass.probe != nullptr) pass.probe->after_backward(pass, layer, input, target);
      delta = target;
    }
  }

 private:
  std::size_t size() const { return layers_.size(); }
  // The first layer never works in place: x is not this chain's.
  bool owns_memory(std::size_t k) const {
    return k == 0 || !layers_[k]->works_in_place();
  }
  Matrix<T> output_of(Pass<T>& pass, std::size_t k, const Matrix<T>& y) const {
    if (k >= last_owner_) return y;
    return pass.workspace->matrix(outputs_[k], y.rows, layers_[k]->n_outputs());
  }

  std::vector<LayerPointer<T>> layers_;
  std::vector<Slot> outputs_;
  std::size_t last_owner_ = 0;
  std::size_t first_trained_ = 0;
  Slot deltas_[2];
};

}  // namespace sklearn_backprop
