// The three matrix products of a dense layer, on dense or CSR rows.
#pragma once

#include <algorithm>

#include "blas.hpp"
#include "matrix.hpp"

namespace sklearn_backprop {

// One block of C = A B + beta C with its sums held in registers: n_rows rows by n_packs
// packs, the second of which begins `second` columns behind the first. A is read with
// two strides, so that it may be a transpose.
template <int n_rows, int n_packs, typename T>
SKB_INLINE void product_block(Index k, const T* a, Index a_row, Index a_col, const T* b,
                              Index ldb, Index second, T beta, T* c, Index ldc) {
  Pack<T> sum[n_rows][n_packs] = {};
  for (Index l = 0; l < k; ++l) {
    for (int j = 0; j < n_packs; ++j) {
      const Pack<T> b_l = *reinterpret_cast<const Pack<T>*>(b + l * ldb + j * second);
      for (int i = 0; i < n_rows; ++i) sum[i][j] += a[i * a_row + l * a_col] * b_l;
    }
  }
  for (int i = 0; i < n_rows; ++i) {
    for (int j = 0; j < n_packs; ++j) {
      auto* target = reinterpret_cast<Pack<T>*>(c + i * ldc + j * second);
      *target = beta == T(0) ? sum[i][j] : sum[i][j] + beta * *target;
    }
  }
}

template <int n_packs, typename T>
SKB_INLINE void product_columns(Index m, Index k, const T* a, Index a_row, Index a_col,
                                const T* b, Index ldb, Index second, T beta, T* c,
                                Index ldc) {
  Index i = 0;
  for (; i + 4 <= m; i += 4) {
    product_block<4, n_packs>(k, a + i * a_row, a_row, a_col, b, ldb, second, beta,
                              c + i * ldc, ldc);
  }
  for (; i < m; ++i) {
    product_block<1, n_packs>(k, a + i * a_row, a_row, a_col, b, ldb, second, beta,
                              c + i * ldc, ldc);
  }
}

// C (m x n) = A (m x k) B (k x n) + beta C, by packs of columns. Where columns are left
// over, the last pack overlaps the one before and writes the same values once more,
// which beta forbids; few columns are summed one by one.
template <typename T>
SKB_CLONES void small_product(Index m, Index n, Index k, const T* a, Index a_row,
                              Index a_col, const T* b, Index ldb, T beta, T* c,
                              Index ldc) {
  constexpr Index width = 32 / sizeof(T);
  Index j = 0;
  for (; j + 2 * width <= n; j += 2 * width) {
    product_columns<2>(m, k, a, a_row, a_col, b + j, ldb, width, beta, c + j, ldc);
  }
  const bool may_overlap = beta == T(0) && n >= width;
  if (n - j > width && may_overlap) {
    product_columns<2>(m, k, a, a_row, a_col, b + j, ldb, n - j - width, beta, c + j,
                       ldc);
    return;
  }
  for (; j + width <= n; j += width) {
    product_columns<1>(m, k, a, a_row, a_col, b + j, ldb, width, beta, c + j, ldc);
  }
  if (j < n && may_overlap) {
    product_columns<1>(m, k, a, a_row, a_col, b + n - width, ldb, width, beta,
                       c + n - width, ldc);
    return;
  }
  for (; j < n; ++j) {
    for (Index i = 0; i < m; ++i) {
      T sum = T(0);
      for (Index l = 0; l < k; ++l) sum += a[i * a_row + l * a_col] * b[l * ldb + j];
      T& target = c[i * ldc + j];
      target = beta == T(0) ? sum : sum + beta * target;
    }
  }
}

// y = X w for few, short rows
template <typename T>
SKB_CLONES void small_row_products(Matrix<const T> x, const T* w, Matrix<T> y) {
  constexpr Index width = 32 / sizeof(T);
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

// So small that calling BLAS costs more than the product.
inline bool is_tiny(Index m, Index n, Index k) { return m * n * k <= 8192; }

// BLAS copies both factors before it multiplies, which pays for large products only.
// That is so for its AVX2 kernels; those for AVX-512 take small factors as they are.
// The limits are those of benchmarks on a processor of the former kind.
template <typename T>
bool is_small(Index m, Index n, Index k, T beta) {
  constexpr Index width = 32 / sizeof(T);
  const bool is_even = n % width == 0 || (n > width && beta == T(0));
  constexpr Index worth_it = Index(1) << (sizeof(T) == sizeof(float) ? 21 : 18);
  static const Index most = clones_use_avx2() ? worth_it : 0;
  return is_tiny(m, n, k) || (is_even && m * n * k <= most);
}

// y = x W, with W (x.cols x y.cols)
template <typename T>
void multiply(const Rows<T>& x, const T* W, Matrix<T> y) {
  const Index n = y.cols, k = x.cols();
  if (x.is_sparse()) {
    for (Index i = 0; i < y.rows; ++i) {
      T* out = y.row(i);
      std::fill_n(out, n, T(0));
      x.for_row(i, [&](Index column, T value) {
        const T* weights = W + column * n;
        SKB_INDEPENDENT
        for (Index j = 0; j < n; ++j) out[j] += value * weights[j];
      });
    }
  } else if (n == 1 && is_tiny(y.rows, n, k)) {
    small_row_products(x.dense, W, y);
  } else if (is_small(y.rows, n, k, T(0))) {
    small_product(y.rows, n, k, x.dense.data, x.dense.stride, Index(1), W, n, T(0),
                  y.data, y.stride);
  } else if (n == 1 && y.stride == 1) {
    blas::gemv('T', k, y.rows, T(1), x.dense.data, x.dense.stride, W, T(0), y.data);
  } else {
    blas::gemm('N', 'N', n, y.rows, k, T(1), W, n, x.dense.data, x.dense.stride, T(0),
               y.data, y.stride);
  }
}

// dW = x' delta + beta dW
template <typename T>
void multiply_transposed(const Rows<T>& x, Matrix<T> delta, T beta, T* dW) {
  const Index n = delta.cols, k = x.cols(), m = delta.rows;
  if (x.is_sparse()) {
    if (beta == T(0)) std::fill_n(dW, k * n, T(0));
    for (Index i = 0; i < m; ++i) {
      const T* d = delta.row(i);
      x.for_row(i, [&](Index column, T value) {
        T* out = dW + column * n;
        SKB_INDEPENDENT
        for (Index j = 0; j < n; ++j) out[j] += value * d[j];
      });
    }
  } else if (n == 1 && is_tiny(m, n, k)) {  // dW' = delta' x: one long row
    small_product(Index(1), k, m, delta.data, Index(1), delta.stride, x.dense.data,
                  x.dense.stride, beta, dW, k);
  } else if (is_small(k, n, m, beta)) {
    small_product(k, n, m, x.dense.data, Index(1), x.dense.stride, delta.data,
                  delta.stride, beta, dW, n);
  } else if (n == 1 && delta.stride == 1) {
    blas::gemv('N', k, m, T(1), x.dense.data, x.dense.stride, delta.data, beta, dW);
  } else {
    blas::gemm('N', 'T', n, k, m, T(1), delta.data, delta.stride, x.dense.data,
               x.dense.stride, beta, dW, n);
  }
}

// delta_x = delta W'
template <typename T>
void multiply_by_transpose(Matrix<T> delta, const T* W, Matrix<T> delta_x) {
  const Index n = delta.cols, k = delta_x.cols, m = delta.rows;
  if (n == 1) {  // an outer product: W' is one row
    small_product(m, k, Index(1), delta.data, delta.stride, Index(1), W, k, T(0),
                  delta_x.data, delta_x.stride);
  } else {
    blas::gemm('T', 'N', k, m, n, T(1), W, n, delta.data, delta.stride, T(0),
               delta_x.data, delta_x.stride);
  }
}

// y += x, or y = x where y is fresh
template <typename T>
void copy_rows(const Rows<T>& x, Matrix<T> y) {
  for (Index i = 0; i < y.rows; ++i) {
    T* out = y.row(i);
    if (x.is_sparse()) {
      std::fill_n(out, y.cols, T(0));
      x.for_row(i, [&](Index column, T value) { out[column] += value; });
    } else {
      std::copy_n(x.dense.row(i), y.cols, out);
    }
  }
}

// y += scale * x
template <typename T, typename X>
SKB_CLONES void add_scaled(Matrix<T> y, T scale, Matrix<X> x) {
  for (Index i = 0; i < y.rows; ++i) {
    T* out = y.row(i);
    const X* in = x.row(i);
    SKB_INDEPENDENT
    for (Index j = 0; j < y.cols; ++j) out[j] += scale * in[j];
  }
}

// y = scale * x
template <typename T>
SKB_CLONES void scale_into(Matrix<T> y, T scale, Matrix<T> x) {
  for (Index i = 0; i < y.rows; ++i) {
    T* out = y.row(i);
    const T* in = x.row(i);
    SKB_INDEPENDENT
    for (Index j = 0; j < y.cols; ++j) out[j] = scale * in[j];
  }
}

// sum (+)= column sums of delta
template <typename T>
SKB_CLONES void add_column_sums(Matrix<T> delta, T* sum) {
  for (Index i = 0; i < delta.rows; ++i) {
    const T* d = delta.row(i);
    SKB_INDEPENDENT
    for (Index j = 0; j < delta.cols; ++j) sum[j] += d[j];
  }
}

template <typename T>
SKB_CLONES void add_row(Matrix<T> y, const T* b) {
  for (Index i = 0; i < y.rows; ++i) {
    T* out = y.row(i);
    SKB_INDEPENDENT
    for (Index j = 0; j < y.cols; ++j) out[j] += b[j];
  }
}

}  // namespace sklearn_backprop
