// Copies of matrices by columns, squares of them in registers.
#pragma once

#include "matrix.hpp"
#include "simd.hpp"

namespace sklearn_backprop {

template <typename T, int n_bytes = 32>
constexpr Index kPackWidth = n_bytes / sizeof(T);

// Transposes a square as wide as a short pack: target[l, j] = source[j, l].
template <typename T>
SKB_INLINE void transpose_square(const T* source, Index source_stride, T* target,
                                 Index target_stride) {
  constexpr int width = kPackWidth<T>;
  Pack<T> rows[width];
  for (int j = 0; j < width; ++j) {
    rows[j] = *reinterpret_cast<const Pack<T>*>(source + j * source_stride);
  }
  transpose_packs(rows);
  for (int l = 0; l < width; ++l) {
    *reinterpret_cast<Pack<T>*>(target + l * target_stride) = rows[l];
  }
}

// Copies columns that are contiguous into rows that lie `width` apart: squares as far
// as they go.
template <typename T>
SKB_INLINE void copy_transposed(Strided<const T> b, Index width, T* rows) {
  constexpr Index square = kPackWidth<T>;
  const Index whole_columns = b.cols / square * square;
  const Index whole_rows = b.rows / square * square;
  for (Index j = 0; j < whole_columns; j += square) {
    for (Index l = 0; l < whole_rows; l += square) {
      transpose_square(b.data + j * b.col_stride + l, b.col_stride,
                       rows + l * width + j, width);
    }
  }
  for (Index j = 0; j < b.cols; ++j) {
    const T* column = b.data + j * b.col_stride;
    for (Index l = j < whole_columns ? whole_rows : 0; l < b.rows; ++l) {
      rows[l * width + j] = column[l];
    }
  }
}

}  // namespace sklearn_backprop
