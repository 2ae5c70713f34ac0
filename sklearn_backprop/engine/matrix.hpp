// Views of matrices, row-major or of any strides, and of the rows that a layer reads:
// dense, or CSR in the first layer. Functions take them by reference: a copy on the
// stack waits until what was just written there, field by field, has reached memory.
#pragma once

#include <cstdint>

#include "simd.hpp"

namespace sklearn_backprop {

template <typename T>
struct Matrix {
  T* data = nullptr;
  Index rows = 0;
  Index cols = 0;
  Index stride = 0;  // elements from one row to the next

  T* row(Index i) const { return data + i * stride; }
  bool empty() const { return data == nullptr; }
  Matrix columns(Index first, Index count) const {
    return {data + first, rows, count, stride};
  }
  Matrix block(Index first, Index count) const {
    return {data + first * stride, count, cols, stride};
  }
};

// A matrix with any two strides, so that it may be a transpose. One that is far is read
// for the first time, and perhaps from memory.
template <typename T>
struct Strided {
  T* data = nullptr;
  Index rows = 0;
  Index cols = 0;
  Index row_stride = 0;
  Index col_stride = 1;
  bool is_far = false;

  operator Strided<const T>() const {
    return {data, rows, cols, row_stride, col_stride, is_far};
  }
  Strided transposed() const {
    return {data, cols, rows, col_stride, row_stride, is_far};
  }
  Strided block(Index first, Index count) const {
    return {data + first * row_stride, count, cols, row_stride, col_stride, is_far};
  }
  Strided columns(Index first, Index count) const {
    return {data + first * col_stride, rows, count, row_stride, col_stride, is_far};
  }
  Strided as_near() const { return {data, rows, cols, row_stride, col_stride}; }
};

template <typename T>
Strided<T> strided(T* data, Index rows, Index cols) {
  return {data, rows, cols, cols, 1};
}

template <typename T>
Strided<T> strided(const Matrix<T>& m) {
  return {m.data, m.rows, m.cols, m.stride, 1};
}

// A CSR matrix whose indices have 32 or 64 bits.
template <typename T>
struct Csr {
  const T* values = nullptr;
  const void* columns = nullptr;
  const void* starts = nullptr;
  bool has_wide_indices = false;

  // visit(column, value) for every stored element of row i
  template <typename Visit>
  void for_row(Index i, Visit&& visit) const {
    if (has_wide_indices) {
      for_row_as<std::int64_t>(i, visit);
    } else {
      for_row_as<std::int32_t>(i, visit);
    }
  }

 private:
  template <typename Int, typename Visit>
  void for_row_as(Index i, Visit& visit) const {
    const Int* start = static_cast<const Int*>(starts) + i;
    const Int* column = static_cast<const Int*>(columns);
    for (Index e = start[0]; e < start[1]; ++e) visit(Index(column[e]), values[e]);
  }
};

// What a layer reads: `dense`, or, when `csr` is given, rows order[0], order[1], ... of
// it (rows first, first + 1, ... without an order). Dense rows that are a view of the
// data are far: what the workspace holds was just written.
template <typename T>
struct Rows {
  Matrix<const T> dense;
  const Csr<T>* csr = nullptr;
  const std::int64_t* order = nullptr;
  Index first = 0;
  bool is_far = false;

  Rows() = default;
  explicit Rows(const Matrix<T>& m) : dense{m.data, m.rows, m.cols, m.stride} {}
  explicit Rows(const Matrix<const T>& m) : dense(m) {}

  Index rows() const { return dense.rows; }
  Index cols() const { return dense.cols; }
  bool is_sparse() const { return csr != nullptr; }
  Index source(Index i) const { return order != nullptr ? order[i] : first + i; }
  template <typename Visit>
  void for_row(Index i, Visit&& visit) const {
    csr->for_row(source(i), visit);
  }
  Rows block(Index begin, Index count) const {
    Rows part = *this;
    part.dense.rows = count;
    if (!is_sparse()) part.dense.data += begin * dense.stride;
    if (order != nullptr) part.order += begin;
    part.first += begin;
    return part;
  }
};

// Dense rows, as they are when they are first read.
template <typename T>
Strided<const T> strided(const Rows<T>& x) {
  Strided<const T> view = strided(x.dense);
  view.is_far = x.is_far;
  return view;
}

}  // namespace sklearn_backprop
