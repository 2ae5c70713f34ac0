// One allocation that holds every cache of a pass over a mini-batch.
#pragma once

#include <cstdint>
#include <vector>

#include "matrix.hpp"

namespace sklearn_backprop {

// Where a cache lies: what was reserved before it, per row and once.
struct Slot {
  Index per_row = -1;
  Index fixed = -1;
};

// Adds up what the layers reserve, while the network is built.
class Layout {
 public:
  Slot reserve(Index per_row, Index fixed = 0) {
    const Slot slot{per_row_, fixed_};
    per_row_ += per_row * rows_per_row_;
    fixed_ += (fixed + kUnit - 1) / kUnit * kUnit;
    return slot;
  }
  // What is reserved from now on is for n rows where others have one.
  void set_rows_per_row(Index n) { rows_per_row_ = n; }
  Index rows_per_row() const { return rows_per_row_; }
  Index per_row() const { return per_row_; }
  Index fixed() const { return fixed_; }

  // Slots begin at multiples of this, when the number of rows is one too.
  static constexpr Index kUnit = 16;

 private:
  Index per_row_ = 0;
  Index fixed_ = 0;
  Index rows_per_row_ = 1;
};

template <typename T>
class Workspace {
 public:
  Workspace() = default;
  Workspace(const Layout& layout, Index max_rows)
      : rows_((max_rows + Layout::kUnit - 1) / Layout::kUnit * Layout::kUnit),
        storage_(static_cast<std::size_t>(rows_ * layout.per_row() + layout.fixed() +
                                          Layout::kUnit)) {
    constexpr std::uintptr_t alignment = 64;
    const auto address = reinterpret_cast<std::uintptr_t>(storage_.data());
    offset_ =
        static_cast<Index>((alignment - address % alignment) % alignment / sizeof(T));
  }
  Workspace(Workspace&&) = default;
  Workspace& operator=(Workspace&&) = default;

  Index max_rows() const { return rows_; }
  T* at(Slot slot) {
    return storage_.data() + offset_ + slot.per_row * rows_ + slot.fixed;
  }
  Matrix<T> matrix(Slot slot, Index rows, Index cols) {
    return {at(slot), rows, cols, cols};
  }

 private:
  Index rows_ = 0;
  std::vector<T> storage_;
  Index offset_ = 0;
};

}  // namespace sklearn_backprop
