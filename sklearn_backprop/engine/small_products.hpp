// Products of small matrices, summed in registers. BLAS copies both factors into the
// order of its kernel before it multiplies, which pays for large ones only. Packs have
// 32 bytes, for AVX2, or 64 for AVX-512.
#pragma once

#include <algorithm>

#include "matrix.hpp"

namespace sklearn_backprop {

template <typename T, int n_bytes = 32>
constexpr Index kPackWidth = n_bytes / sizeof(T);

// Some columns of the second factor, as one pack or two: the second pack begins
// `second` columns behind the first.
template <typename T>
struct Panel {
  const T* data;
  Index stride;
  Index second;
};

// C = A B + beta C for n_rows rows of A. The row of B is read before the column of A,
// so that 6 x 2 sums, two packs of B and one element of A fill AVX2's 16 registers, and
// 12 x 2 those of AVX-512, which are 32.
template <int n_bytes, int n_rows, int n_packs, typename T>
SKB_INLINE void product_block(Strided<const T> a, Panel<T> b, T beta, T* c, Index ldc) {
  for (int i = 0; i < n_rows; ++i) {
    for (int j = 0; j < n_packs; ++j) prefetch_to_write(c + i * ldc + j * b.second);
  }
  Pack<T, n_bytes> sum[n_rows][n_packs] = {};
  for (Index l = 0; l < a.cols; ++l) {
    Pack<T, n_bytes> b_l[n_packs];
    for (int j = 0; j < n_packs; ++j) {
      b_l[j] = *reinterpret_cast<const Pack<T, n_bytes>*>(b.data + l * b.stride +
                                                          j * b.second);
    }
    for (int i = 0; i < n_rows; ++i) {
      const T a_il = a.data[i * a.row_stride + l * a.col_stride];
      for (int j = 0; j < n_packs; ++j) sum[i][j] += a_il * b_l[j];
    }
  }
  for (int i = 0; i < n_rows; ++i) {
    for (int j = 0; j < n_packs; ++j) {
      auto* target = reinterpret_cast<Pack<T, n_bytes>*>(c + i * ldc + j * b.second);
      *target = beta == T(0) ? sum[i][j] : sum[i][j] + beta * *target;
    }
  }
}

// C = sum + beta C, with the rows of `sum` as far apart as two packs are wide.
template <int n_bytes, typename T>
SKB_INLINE void add_block(const T* sum, T beta, Strided<T> c) {
  for (Index i = 0; i < c.rows; ++i) {
    for (Index j = 0; j < c.cols; ++j) {
      const T sum_ij = sum[i * 2 * kPackWidth<T, n_bytes> + j];
      T& target = c.data[i * c.row_stride + j * c.col_stride];
      target = beta == T(0) ? sum_ij : sum_ij + beta * target;
    }
  }
}

// C = A B + beta C for the rows of A from `i` on, by n_rows at once, and the rest by
// fewer. Sums that cannot go into C as packs are made beside it.
template <int n_bytes, int n_rows, int n_packs, typename T>
SKB_INLINE void product_rows(Index i, Strided<const T> a, Panel<T> b, T beta,
                             Strided<T> c, bool takes_packs) {
  for (; i + n_rows <= a.rows; i += n_rows) {
    const Strided<const T> a_i = a.block(i, n_rows);
    const Strided<T> c_i = c.block(i, n_rows);
    if (takes_packs) {
      product_block<n_bytes, n_rows, n_packs>(a_i, b, beta, c_i.data, c_i.row_stride);
    } else {
      constexpr Index stride = 2 * kPackWidth<T, n_bytes>;
      T sum[n_rows * stride];
      product_block<n_bytes, n_rows, n_packs>(a_i, b, T(0), sum, stride);
      add_block<n_bytes>(sum, beta, c_i);
    }
  }
  if constexpr (n_rows > 1) {
    constexpr int fewer = n_rows > 8 ? 6 : n_rows > 4 ? 4 : n_rows / 2;
    product_rows<n_bytes, fewer, n_packs>(i, a, b, beta, c, takes_packs);
  }
}

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

// Copies columns that are contiguous, from row `l` on: squares as far as they go.
template <int n_bytes, typename T>
SKB_INLINE void copy_contiguous_columns(Strided<const T> b, T* packs) {
  constexpr Index square = kPackWidth<T>;
  constexpr Index width = 2 * kPackWidth<T, n_bytes>;
  const Index whole_columns = b.cols / square * square;
  const Index whole_rows = b.rows / square * square;
  for (Index j = 0; j < whole_columns; j += square) {
    for (Index l = 0; l < whole_rows; l += square) {
      transpose_square(b.data + j * b.col_stride + l, b.col_stride,
                       packs + l * width + j, width);
    }
  }
  for (Index j = 0; j < b.cols; ++j) {
    const T* column = b.data + j * b.col_stride;
    for (Index l = j < whole_columns ? whole_rows : 0; l < b.rows; ++l) {
      packs[l * width + j] = column[l];
    }
  }
}

// Copies the columns of B, and zeros up to `filled` columns, into rows of two packs.
template <int n_bytes, typename T>
SKB_INLINE void copy_panel(Strided<const T> b, Index filled, T* packs) {
  constexpr Index width = 2 * kPackWidth<T, n_bytes>;
  if (b.row_stride == 1) {
    copy_contiguous_columns<n_bytes>(b, packs);
  } else {
    for (Index l = 0; l < b.rows; ++l) {
      const T* row = b.data + l * b.row_stride;
      for (Index j = 0; j < b.cols; ++j) packs[l * width + j] = row[j * b.col_stride];
    }
  }
  for (Index l = 0; l < b.rows && b.cols < filled; ++l) {
    std::fill(packs + l * width + b.cols, packs + l * width + filled, T(0));
  }
}

// Rows of two packs that fill 32 KiB, the usual first cache.
template <int n_bytes>
constexpr Index kDepth = 16384 / n_bytes;

// Whether the rows of B lie such powers of two apart that the sets of the first cache
// that they fall on cannot hold them: 8 lines each, every 4096 bytes the same one.
template <typename T>
SKB_INLINE bool fills_few_sets(Strided<const T> b) {
  constexpr Index ways = 8, period = 4096;
  const Index bytes = b.row_stride * Index(sizeof(T));
  const Index step = bytes & -bytes;  // the power of two in it
  return b.rows * std::min(step, period) > ways * period;
}

// C = A B + beta C for B of kDepth rows at most, by panels of two packs. Where columns
// are left over, the last pack overlaps the one before and writes the same values once
// more, which beta forbids: then, and where columns are too few or strided or rows too
// far apart, B is copied.
template <int n_bytes, typename T>
SKB_INLINE void product_panels(Strided<const T> a, Strided<const T> b, T beta,
                               Strided<T> c, T* packs) {
  constexpr Index width = kPackWidth<T, n_bytes>;
  const bool may_overlap = beta == T(0) && b.cols >= width;
  for (Index j = 0; j < b.cols;) {
    if (may_overlap) j = std::min(j, b.cols - width);
    const Index count = std::min(b.cols - j, 2 * width);
    const bool is_whole = may_overlap || count % width == 0;
    const Strided<const T> b_j = b.columns(j, count);
    const bool is_pair = count > width;
    Panel<T> panel{b_j.data, b_j.row_stride, is_whole ? count - width : width};
    if (!is_whole || b.col_stride != 1 || fills_few_sets(b_j)) {
      copy_panel<n_bytes>(b_j, is_pair ? 2 * width : width, packs);
      panel.data = packs;
      panel.stride = 2 * width;
    }
    const bool takes_packs = is_whole && c.col_stride == 1;
    if (is_pair) {
      constexpr int n_rows = n_bytes > 32 ? 12 : 6;
      product_rows<n_bytes, n_rows, 2>(0, a, panel, beta, c.columns(j, count),
                                       takes_packs);
    } else {
      product_rows<n_bytes, 8, 1>(0, a, panel, beta, c.columns(j, count), takes_packs);
    }
    j += count;
  }
}

// C = A B + beta C
template <int n_bytes, typename T>
SKB_INLINE void product_in_packs(Strided<const T> a, Strided<const T> b, T beta,
                                 Strided<T> c) {
  alignas(64) T packs[kDepth<n_bytes> * 2 * kPackWidth<T, n_bytes>];
  Index l = 0;
  do {
    const Index depth = std::min(b.rows - l, kDepth<n_bytes>);
    product_panels<n_bytes>(a.columns(l, depth), b.block(l, depth),
                            l == 0 ? beta : T(1), c, packs);
    l += depth;
  } while (l < b.rows);
}

template <typename T>
SKB_CLONES void product_in_short_packs(Strided<const T> a, Strided<const T> b, T beta,
                                       Strided<T> c) {
  product_in_packs<32>(a, b, beta, c);
}

template <typename T>
SKB_AVX512 void product_in_long_packs(Strided<const T> a, Strided<const T> b, T beta,
                                      Strided<T> c) {
  product_in_packs<64>(a, b, beta, c);
}

// C = A B + beta C
template <typename T>
void small_product(Strided<const T> a, Strided<const T> b, T beta, Strided<T> c) {
  static const bool may_be_long = has_avx512();
  if (may_be_long && c.cols >= kPackWidth<T, 64>) {
    product_in_long_packs(a, b, beta, c);
  } else {
    product_in_short_packs(a, b, beta, c);
  }
}

// ---- A second factor that serves many products: copied once, into the panels that a
// product reads one after the other.

// Numbers that a factor of k rows and n columns takes then.
constexpr Index packed_size(Index k, Index n) { return k * ((n + 31) / 32 * 32); }

template <int n_bytes, typename T>
SKB_INLINE void copy_panels(Strided<const T> b, T* packs) {
  constexpr Index width = 2 * kPackWidth<T, n_bytes>;
  for (Index l = 0; l < b.rows; l += kDepth<n_bytes>) {
    const Strided<const T> b_l = b.block(l, std::min(b.rows - l, kDepth<n_bytes>));
    for (Index j = 0; j < b.cols; j += width) {
      copy_panel<n_bytes>(b_l.columns(j, std::min(b.cols - j, width)), width, packs);
      packs += b_l.rows * width;
    }
  }
}

template <int n_bytes, typename T>
SKB_INLINE void product_by_panels(Strided<const T> a, const T* packs, T beta,
                                  Strided<T> c) {
  constexpr Index width = kPackWidth<T, n_bytes>;
  constexpr int n_rows = n_bytes > 32 ? 12 : 6;
  for (Index l = 0; l < a.cols; l += kDepth<n_bytes>) {
    const Strided<const T> a_l = a.columns(l, std::min(a.cols - l, kDepth<n_bytes>));
    for (Index j = 0; j < c.cols; j += 2 * width) {
      const Strided<T> c_j = c.columns(j, std::min(c.cols - j, 2 * width));
      const Panel<T> panel{packs, 2 * width, width};
      const bool is_whole = c_j.cols % width == 0;
      if (c_j.cols > width) {
        product_rows<n_bytes, n_rows, 2>(0, a_l, panel, beta, c_j, is_whole);
      } else {
        product_rows<n_bytes, 8, 1>(0, a_l, panel, beta, c_j, is_whole);
      }
      packs += a_l.cols * 2 * width;
    }
    beta = T(1);
  }
}

template <typename T>
SKB_CLONES void copy_short_panels(Strided<const T> b, T* packs) {
  copy_panels<32>(b, packs);
}
template <typename T>
SKB_AVX512 void copy_long_panels(Strided<const T> b, T* packs) {
  copy_panels<64>(b, packs);
}
template <typename T>
SKB_CLONES void product_by_short_panels(Strided<const T> a, const T* packs, T beta,
                                        Strided<T> c) {
  product_by_panels<32>(a, packs, beta, c);
}
template <typename T>
SKB_AVX512 void product_by_long_panels(Strided<const T> a, const T* packs, T beta,
                                       Strided<T> c) {
  product_by_panels<64>(a, packs, beta, c);
}

// Whether panels for n columns have packs of 64 bytes.
template <typename T>
bool has_long_panels(Index n) {
  static const bool may_be_long = has_avx512();
  return may_be_long && n >= kPackWidth<T, 64>;
}

template <typename T>
void pack_factor(Strided<const T> b, T* packs) {
  if (has_long_panels<T>(b.cols)) {
    copy_long_panels(b, packs);
  } else {
    copy_short_panels(b, packs);
  }
}

// C = A B + beta C with B as `pack_factor` leaves it. Bits of a row of C depend on that
// row of A and of C alone.
template <typename T>
void packed_product(Strided<const T> a, const T* packs, T beta, Strided<T> c) {
  if (has_long_panels<T>(c.cols)) {
    product_by_long_panels(a, packs, beta, c);
  } else {
    product_by_short_panels(a, packs, beta, c);
  }
}

// y = X w for few, short rows
template <typename T>
SKB_CLONES void small_row_products(const Matrix<const T>& x, const T* w,
                                   const Matrix<T>& y) {
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
