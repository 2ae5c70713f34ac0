// A view of dense data: any strides, float or double, never copied as a whole.
#pragma once

#include "simd.hpp"

namespace sklearn_backprop {

template <typename T>
struct StridedRows {
  const T* data;
  Index n_rows, n_cols;
  Index row_stride, col_stride;  // in elements

  const T* row(Index i) const { return data + i * row_stride; }
  double operator()(Index i, Index j) const {
    return static_cast<double>(data[i * row_stride + j * col_stride]);
  }
  // Whether walking along a row is the fast direction in memory.
  bool is_row_major() const { return col_stride <= row_stride; }
};

}  // namespace sklearn_backprop
