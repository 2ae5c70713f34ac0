// A view of dense data: any strides, float or double, never copied as a whole.
#pragma once

#include <cstdint>

namespace sklearn_backprop {

using index_t = std::int64_t;

template <typename T>
struct Rows {
  const T* data;
  index_t n_rows, n_cols;
  index_t row_stride, col_stride;  // in elements

  const T* row(index_t i) const { return data + i * row_stride; }
  double operator()(index_t i, index_t j) const {
    return static_cast<double>(data[i * row_stride + j * col_stride]);
  }
  // Whether walking along a row is the fast direction in memory.
  bool is_row_major() const { return col_stride <= row_stride; }
};

}  // namespace sklearn_backprop
