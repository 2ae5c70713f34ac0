// Products of small matrices, summed in registers. BLAS copies both factors into the
// order of its kernel before it multiplies, which pays for large ones only.
#pragma once

#include <algorithm>

#include "matrix.hpp"

namespace sklearn_backprop {

template <typename T>
constexpr Index kPackWidth = 32 / sizeof(T);

// Some columns of the second factor, as one pack or two: the second pack begins
// `second` columns behind the first.
template <typename T>
struct Panel {
  const T* data;
  Index stride;
  Index second;
};

// C = A B + beta C for n_rows rows of A. The row of B is read before the column of A,
// so that 6 x 2 sums, two packs of B and one element of A fill AVX2's 16 registers.
template <int n_rows, int n_packs, typename T>
SKB_INLINE void product_block(Strided<const T> a, Panel<T> b, T beta, T* c, Index ldc) {
  Pack<T> sum[n_rows][n_packs] = {};
  for (Index l = 0; l < a.cols; ++l) {
    Pack<T> b_l[n_packs];
    for (int j = 0; j < n_packs; ++j) {
      b_l[j] = *reinterpret_cast<const Pack<T>*>(b.data + l * b.stride + j * b.second);
    }
    for (int i = 0; i < n_rows; ++i) {
      const T a_il = a.data[i * a.row_stride + l * a.col_stride];
      for (int j = 0; j < n_packs; ++j) sum[i][j] += a_il * b_l[j];
    }
  }
  for (int i = 0; i < n_rows; ++i) {
    for (int j = 0; j < n_packs; ++j) {
      auto* target = reinterpret_cast<Pack<T>*>(c + i * ldc + j * b.second);
      *target = beta == T(0) ? sum[i][j] : sum[i][j] + beta * *target;
    }
  }
}

// C = sum + beta C, with the rows of `sum` as far apart as two packs are wide.
template <typename T>
SKB_INLINE void add_block(const T* sum, T beta, Strided<T> c) {
  for (Index i = 0; i < c.rows; ++i) {
    for (Index j = 0; j < c.cols; ++j) {
      const T sum_ij = sum[i * 2 * kPackWidth<T> + j];
      T& target = c.data[i * c.row_stride + j * c.col_stride];
      target = beta == T(0) ? sum_ij : sum_ij + beta * target;
    }
  }
}

// C = A B + beta C for the rows of A from `i` on, by n_rows at once, and the rest by
// fewer. Sums that cannot go into C as packs are made beside it.
template <int n_rows, int n_packs, typename T>
SKB_INLINE void product_rows(Index i, Strided<const T> a, Panel<T> b, T beta,
                             Strided<T> c, bool takes_packs) {
  for (; i + n_rows <= a.rows; i += n_rows) {
    const Strided<const T> a_i = a.block(i, n_rows);
    const Strided<T> c_i = c.block(i, n_rows);
    if (takes_packs) {
      product_block<n_rows, n_packs>(a_i, b, beta, c_i.data, c_i.row_stride);
    } else {
      constexpr Index stride = 2 * kPackWidth<T>;
      T sum[n_rows * stride];
      product_block<n_rows, n_packs>(a_i, b, T(0), sum, stride);
      add_block(sum, beta, c_i);
    }
  }
  if constexpr (n_rows > 1) {
    constexpr int fewer = n_rows > 4 ? 4 : n_rows / 2;
    product_rows<fewer, n_packs>(i, a, b, beta, c, takes_packs);
  }
}

// Copies the columns of B, and zeros up to `filled` columns, into rows of two packs.
template <typename T>
SKB_INLINE void copy_panel(Strided<const T> b, Index filled, T* packs) {
  constexpr Index width = 2 * kPackWidth<T>;
  for (Index j = 0; j < filled; ++j) {
    const T* column = b.data + j * b.col_stride;
    for (Index l = 0; l < b.rows; ++l) {
      packs[l * width + j] = j < b.cols ? column[l * b.row_stride] : T(0);
    }
  }
}

constexpr Index kDepth = 512;  // rows of two packs fill 32 KiB, the usual first cache

// C = A B + beta C for B of kDepth rows at most, by panels of two packs. Where columns
// are left over, the last pack overlaps the one before and writes the same values once
// more, which beta forbids: then, and where columns are too few or strided, B is
// copied.
template <typename T>
SKB_INLINE void product_panels(Strided<const T> a, Strided<const T> b, T beta,
                               Strided<T> c, T* packs) {
  constexpr Index width = kPackWidth<T>;
  const bool may_overlap = beta == T(0) && b.cols >= width;
  for (Index j = 0; j < b.cols;) {
    if (may_overlap) j = std::min(j, b.cols - width);
    const Index count = std::min(b.cols - j, 2 * width);
    const bool is_whole = may_overlap || count % width == 0;
    const Strided<const T> b_j = b.columns(j, count);
    const bool is_pair = count > width;
    Panel<T> panel{b_j.data, b_j.row_stride, is_whole ? count - width : width};
    if (!is_whole || b.col_stride != 1) {
      copy_panel(b_j, is_pair ? 2 * width : width, packs);
      panel.data = packs;
      panel.stride = 2 * width;
    }
    const bool takes_packs = is_whole && c.col_stride == 1;
    if (is_pair) {
      product_rows<6, 2>(0, a, panel, beta, c.columns(j, count), takes_packs);
    } else {
      product_rows<8, 1>(0, a, panel, beta, c.columns(j, count), takes_packs);
    }
    j += count;
  }
}

// C = A B + beta C
template <typename T>
SKB_CLONES void small_product(Strided<const T> a, Strided<const T> b, T beta,
                              Strided<T> c) {
  alignas(64) T packs[kDepth * 2 * kPackWidth<T>];
  Index l = 0;
  do {
    const Index depth = std::min(b.rows - l, kDepth);
    product_panels(a.columns(l, depth), b.block(l, depth), l == 0 ? beta : T(1), c,
                   packs);
    l += depth;
  } while (l < b.rows);
}

// y = X w for few, short rows
template <typename T>
SKB_CLONES void small_row_products(Matrix<const T> x, const T* w, Matrix<T> y) {
  constexpr Index width = kPackWidth<T>;
  for (Index i = 0; i < x.rows; ++i) {
    const T* row = x.row(i);
    Pack<T> lanes = {};
    Index l = 0;
    for (; l + width <= x.cols; l += width) {
      lanes += *reinterpret_cast<const Pack<T>*>(row + l) *
               *reinterpret_cast<const Pack<T>*>(w + l);
    }
    T sum = T(0);
    for (Index lane = 0; lane < width; ++lane) sum += lanes[lane];
    for (; l < x.cols; ++l) sum += row[l] * w[l];
    *y.row(i) = sum;
  }
}

}  // namespace sklearn_backprop
