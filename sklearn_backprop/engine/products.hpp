// The three matrix products of a dense layer, on dense or CSR rows.
#pragma once

#include <algorithm>

#include "blas.hpp"
#include "matrix.hpp"
#include "small_products.hpp"

namespace sklearn_backprop {

// So small that calling BLAS costs more than the product.
inline bool is_tiny(Index m, Index n, Index k) { return m * n * k <= 8192; }

// Whether C (m x n) = A (m x k) B is small enough to be summed in registers, or B small
// enough to be near for every row of A: BLAS's kernels copy both factors first. With
// AVX-512 copying costs more, beside arithmetic that is twice as fast. The limits are
// those of benchmarks.
template <typename T>
bool is_small(Index m, Index n, Index k) {
  if (is_tiny(m, n, k)) return true;
  static const Index most = Index(1) << (has_avx512() ? 24 : 21);
  static const Index most_bytes_of_b = Index(1) << (has_avx512() ? 21 : 19);
  return clones_use_avx2() && n >= kPackWidth<T> &&
         (m * n * k <= most || k * n * Index(sizeof(T)) <= most_bytes_of_b);
}

// Whether C' (n x m) takes fewer packs than C (m x n), by so much that it pays to
// scatter them: the sums of C' are over k.
template <typename T>
bool is_narrow(Index m, Index n, Index k) {
  constexpr Index width = kPackWidth<T>;
  const Index packs = (n + width - 1) / width * m;
  const Index packs_of_transpose = (m + width - 1) / width * n;
  return n < m && packs_of_transpose < packs && (k >= 64 || n < width);
}

// y = x W, with W (x.cols x y.cols)
template <typename T>
void multiply(const Rows<T>& x, const T* W, const Matrix<T>& y) {
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
  } else if (is_small<T>(y.rows, n, k)) {
    small_product<T>(strided(x), strided(W, k, n), T(0), strided(y));
  } else if (n == 1 && y.stride == 1) {
    blas::gemv('T', k, y.rows, T(1), x.dense.data, x.dense.stride, W, T(0), y.data);
  } else {
    blas::gemm('N', 'N', n, y.rows, k, T(1), W, n, x.dense.data, x.dense.stride, T(0),
               y.data, y.stride);
  }
}

// The same for dense rows, where bits of a row of y depend on that row of x alone,
// however many there are.
template <typename T>
void multiply_row_by_row(const Matrix<const T>& x, const T* W, const Matrix<T>& y) {
  small_product<T>(strided(x), strided(W, x.cols, y.cols), T(0), strided(y));
}

// dW = x' delta + beta dW
template <typename T>
void multiply_transposed(const Rows<T>& x, const Matrix<T>& delta, T beta, T* dW) {
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
  } else if (n == 1 && delta.stride == 1 && !is_tiny(m, n, k)) {
    blas::gemv('N', k, m, T(1), x.dense.data, x.dense.stride, delta.data, beta, dW);
  } else if (is_narrow<T>(k, n, m) && is_small<T>(n, k, m)) {  // dW' = delta' x
    small_product<T>(strided(delta).transposed(), strided(x.dense), beta,
                     strided(dW, k, n).transposed());
  } else if (is_small<T>(k, n, m)) {
    small_product<T>(strided(x.dense).transposed(), strided(delta), beta,
                     strided(dW, k, n));
  } else {
    blas::gemm('N', 'T', n, k, m, T(1), delta.data, delta.stride, x.dense.data,
               x.dense.stride, beta, dW, n);
  }
}

// delta_x = delta W'
template <typename T>
void multiply_by_transpose(const Matrix<T>& delta, const T* W,
                           const Matrix<T>& delta_x) {
  const Index n = delta.cols, k = delta_x.cols, m = delta.rows;
  if (n == 1 || is_small<T>(m, k, n)) {
    small_product<T>(strided(delta), strided(W, k, n).transposed(), T(0),
                     strided(delta_x));
  } else {
    blas::gemm('T', 'N', k, m, n, T(1), W, n, delta.data, delta.stride, T(0),
               delta_x.data, delta_x.stride);
  }
}

// y = x, sparse rows filled with zeros
template <typename T>
void copy_rows(const Rows<T>& x, const Matrix<T>& y) {
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
SKB_CLONES void add_scaled(const Matrix<T>& y, T scale, Matrix<X> x) {
  for (Index i = 0; i < y.rows; ++i) {
    T* out = y.row(i);
    const X* in = x.row(i);
    SKB_INDEPENDENT
    for (Index j = 0; j < y.cols; ++j) out[j] += scale * in[j];
  }
}

// y = scale * x
template <typename T>
SKB_CLONES void scale_into(const Matrix<T>& y, T scale, const Matrix<T>& x) {
  for (Index i = 0; i < y.rows; ++i) {
    T* out = y.row(i);
    const T* in = x.row(i);
    SKB_INDEPENDENT
    for (Index j = 0; j < y.cols; ++j) out[j] = scale * in[j];
  }
}

// sum (+)= column sums of delta
template <typename T>
SKB_CLONES void add_column_sums(const Matrix<T>& delta, T* sum) {
  for (Index i = 0; i < delta.rows; ++i) {
    const T* d = delta.row(i);
    SKB_INDEPENDENT
    for (Index j = 0; j < delta.cols; ++j) sum[j] += d[j];
  }
}

template <typename T>
SKB_CLONES void add_row(const Matrix<T>& y, const T* b) {
  for (Index i = 0; i < y.rows; ++i) {
    T* out = y.row(i);
    SKB_INDEPENDENT
    for (Index j = 0; j < y.cols; ++j) out[j] += b[j];
  }
}

}  // namespace sklearn_backprop
