// Dropout, its masks a function of where they are used.
#pragma once

#include <algorithm>
#include <cmath>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include "../counter_random.hpp"
#include "../products.hpp"
#include "builder.hpp"

namespace sklearn_backprop {

// mask = `kept` where 16 random bits reach the threshold, else 0. A draw serves two
// units, one in each half.
template <typename T>
SKB_CLONES void draw_mask(RowKey key, std::int32_t threshold, T kept, Index n,
                          T* mask) {
  const auto draw = [=](Index j) { return key.bits(static_cast<std::uint32_t>(j)); };
  const auto choose = [=](std::uint32_t bits) {
    return static_cast<std::int32_t>(bits) >= threshold ? kept : T(0);
  };
  T* second = mask + (n + 1) / 2;
  SKB_INDEPENDENT
  for (Index j = 0; j < n / 2; ++j) {
    const std::uint32_t bits = draw(j);
    mask[j] = choose(bits & 0xFFFFU);
    second[j] = choose(bits >> 16);
  }
  if (n % 2 > 0) mask[n / 2] = choose(draw(n / 2) >> 16);
}

template <typename T>
SKB_CLONES void multiply_elements(Index n, const T* x, const T* mask, T* y) {
  SKB_INDEPENDENT
  for (Index j = 0; j < n; ++j) y[j] = x[j] * mask[j];
}

// delta *= mask, the mask read from y: where x was 0 too, delta ends anyway.
template <typename T>
void multiply_kept(const Matrix<T>& y, T kept, const Matrix<T>& delta) {
  for (Index i = 0; i < y.rows; ++i) {
    for (Index j = 0; j < y.cols; ++j)
      delta.row(i)[j] *= y.row(i)[j] == T(0) ? T(0) : kept;
  }
}

// Srivastava et al. (2014), inverted: the expectation is that of prediction. The rate
// is a multiple of 1 / 65536. Behind an activation whose derivative is zero where the
// output is, backward has but a factor to multiply by, and leaves that to the
// activation.
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
        threshold_(
            static_cast<std::int32_t>(std::min(std::nearbyint(rate * 65536), 65535.0))),
        kept_(T(65536.0 / (65536 - threshold_))) {}

  Index n_inputs() const override { return width_; }
  Index n_outputs() const override { return width_; }
  bool works_in_place() const override { return is_borne_; }
  bool passes_delta_in_place() const override { return true; }
  void stand_behind(const Layer<T>& before) override {
    is_borne_ = before.bears_dropout();
  }
  T factor_left(const Pass<T>& pass) const override {
    return is_borne_ && pass.drops_units && !pass.reads_deltas() ? kept_ : T(1);
  }
  void reserve(Layout& layout) override {
    mask_ = is_borne_ ? layout.reserve(0, width_) : layout.reserve(width_);
  }

  void forward(Pass<T>& pass, const Rows<T>& x, const Matrix<T>& y) const override {
    if (!pass.drops_units) return copy_rows(x, y);
    const Matrix<T> mask = masks(pass, y.rows);
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
  void backward(Pass<T>& pass, const Rows<T>&, const Matrix<T>& y,
                const Matrix<T>& delta_y, const Matrix<T>& delta_x) const override {
    if (!pass.drops_units) return copy_rows(Rows<T>(delta_y), delta_x);
    if (is_borne_) {
      if (pass.reads_deltas()) multiply_kept(y, kept_, delta_x);
      return;
    }
    const Matrix<T> mask = masks(pass, y.rows);
    for (Index i = 0; i < y.rows; ++i) {
      multiply_elements(width_, delta_y.row(i), mask.row(i), delta_x.row(i));
    }
  }

 private:
  // A row of masks for each; all in one place where `backward` needs none.
  Matrix<T> masks(Pass<T>& pass, Index rows) const {
    return {pass.workspace->at(mask_), rows, width_, is_borne_ ? 0 : width_};
  }

  Index width_, number_;
  std::int32_t threshold_;
  T kept_;
  bool is_borne_ = false;
  Slot mask_;
};

}  // namespace sklearn_backprop
