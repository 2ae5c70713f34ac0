// The orthogonal factor of a matrix, roughly: singular vectors stay, and singular
// values come near to one, by the iteration of Newton and Schulz (Jordan et al., 2024).
#pragma once

#include <algorithm>
#include <cmath>
#include <utility>
#include <vector>

#include "blas.hpp"
#include "norms.hpp"
#include "simd.hpp"

namespace sklearn_backprop {

template <typename T>
class Orthogonalizer final {
 public:
  // In place of G (rows x cols, row by row) leaves `length` times the factor; zeros
  // stay zeros.
  void apply(T* G, Index rows, Index cols, double length) {
    const Index n = rows * cols, order = std::min(rows, cols);
    const double norm = std::sqrt(sum_of_squares<T>(G, n));
    if (norm == 0) return;
    gram_.resize(std::size_t(order * order));
    polynomial_.resize(gram_.size());
    next_.resize(std::size_t(n));
    for (Index i = 0; i < n; ++i) G[i] = T(G[i] / norm);
    T* now = G;
    T* next = next_.data();
    for (int k = 0; k < kIterations; ++k) {
      multiply_by_gram_polynomial(now, rows, cols, order, next);
      std::swap(now, next);
    }
    for (Index i = 0; i < n; ++i) G[i] = T(length * now[i]);
  }

 private:
  // Singular values s become a s + b s^3 + c s^5. The polynomial grows fast where they
  // are small and keeps them between 0.7 and 1.2 once they are there. Five iterations
  // are usual; what networks learned on rows of three tables after three was as good.
  static constexpr int kIterations = 3;
  static constexpr double kA = 3.4445, kB = -4.7750, kC = 2.0315;

  // next = (a + b H + c H^2) X or X (a + b H + c H^2), with H = X X' or X' X, whichever
  // is smaller. BLAS goes by columns, and so sees the transpose of X.
  void multiply_by_gram_polynomial(const T* X, Index rows, Index cols, Index order,
                                   T* next) {
    T* H = gram_.data();
    T* P = polynomial_.data();
    const bool is_wide = rows <= cols;
    blas::syrk<T>('L', is_wide ? 'T' : 'N', order, is_wide ? cols : rows, T(1), X, cols,
                  T(0), H, order);
    mirror(H, order);
    for (Index i = 0; i < order * order; ++i) P[i] = T(kB) * H[i];
    for (Index i = 0; i < order; ++i) P[i * order + i] += T(kA);
    blas::syrk<T>('L', 'N', order, order, T(kC), H, order, T(1), P, order);
    mirror(P, order);
    if (is_wide) {
      blas::gemm<T>('N', 'N', cols, rows, order, T(1), X, cols, P, order, T(0), next,
                    cols);
    } else {
      blas::gemm<T>('N', 'N', cols, rows, order, T(1), P, order, X, cols, T(0), next,
                    cols);
    }
  }

  // Copies the lower triangle, as BLAS sees it, to the upper one.
  static void mirror(T* M, Index order) {
    for (Index j = 0; j < order; ++j) {
      for (Index i = j + 1; i < order; ++i) M[i * order + j] = M[j * order + i];
    }
  }

  std::vector<T> gram_, polynomial_, next_;
};

}  // namespace sklearn_backprop
