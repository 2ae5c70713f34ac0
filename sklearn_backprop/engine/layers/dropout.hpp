// Dropout, its masks a function of where they are used.
#pragma once

#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include "../counter_random.hpp"
#include "../products.hpp"
#include "builder.hpp"

namespace sklearn_backprop {

// mask = 1 / (1 - rate) where 32 random bits reach the threshold, else 0
template <typename T>
SKB_CLONES void draw_mask(RowKey key, std::uint32_t threshold, T kept, Index n,
                          T* mask) {
  SKB_INDEPENDENT
  for (Index j = 0; j < n; ++j) {
    const std::uint32_t bits = key.bits(static_cast<std::uint32_t>(j));
    mask[j] = bits >= threshold ? kept : T(0);
  }
}

template <typename T>
SKB_CLONES void multiply_elements(Index n, const T* x, const T* mask, T* y) {
  SKB_INDEPENDENT
  for (Index j = 0; j < n; ++j) y[j] = x[j] * mask[j];
}

// Srivastava et al. (2014), inverted: the expectation is that of prediction.
template <typename T>
class Dropout final : public Layer<T> {
 public:
  static constexpr const char* kind = "dropout";
  static LayerPointer<T> make(const Spec& spec, Builder<T>& builder) {
    const double rate = spec.number("rate");
    if (!(rate >= 0 && rate < 1)) {
      throw std::invalid_argument("Dropout's rate must be in [0, 1), got " +
                                  std::to_string(rate) + ".");
    }
    return std::make_unique<Dropout>(spec.index("width"), rate,
                                     builder.next_random_stream());
  }

  Dropout(Index width, double rate, Index number)
      : width_(width),
        number_(number),
        kept_(T(1 / (1 - rate))),
        threshold_(static_cast<std::uint32_t>(rate * 4294967296.0)) {}

  Index n_inputs() const override { return width_; }
  Index n_outputs() const override { return width_; }
  bool passes_delta_in_place() const override { return true; }
  void reserve(Layout& layout) override { mask_ = layout.reserve(width_); }

  void forward(Pass<T>& pass, const Rows<T>& x, Matrix<T> y) const override {
    if (!pass.drops_units) return copy_rows(x, y);
    const Matrix<T> mask = pass.workspace->matrix(mask_, y.rows, width_);
    const std::vector<Index> of_steps = pass.packing != nullptr
                                            ? pass.packing->numbers(pass.first_row)
                                            : std::vector<Index>{};
    for (Index i = 0; i < y.rows; ++i) {
      const Index row =
          of_steps.empty() ? pass.first_row + i : of_steps[static_cast<std::size_t>(i)];
      const RowKey key(pass.seed, pass.step, static_cast<std::uint64_t>(number_),
                       static_cast<std::uint64_t>(row));
      draw_mask(key, threshold_, kept_, width_, mask.row(i));
      multiply_elements(width_, x.dense.row(i), mask.row(i), y.row(i));
    }
  }
  void backward(Pass<T>& pass, const Rows<T>&, Matrix<T> y, Matrix<T> delta_y,
                Matrix<T> delta_x) const override {
    if (!pass.drops_units) return copy_rows(Rows<T>(delta_y), delta_x);
    const Matrix<T> mask = pass.workspace->matrix(mask_, y.rows, width_);
    for (Index i = 0; i < y.rows; ++i) {
      multiply_elements(width_, delta_y.row(i), mask.row(i), delta_x.row(i));
    }
  }

 private:
  Index width_, number_;
  T kept_;
  std::uint32_t threshold_;
  Slot mask_;
};

}  // namespace sklearn_backprop
