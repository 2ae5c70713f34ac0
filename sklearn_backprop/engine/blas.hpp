// BLAS by way of SciPy: the routines that scipy.linalg.cython_blas exports as capsules.
// Nothing is linked and nothing is shipped; the addresses are filled in at import.
#pragma once

#include <cstddef>
#include <cstdint>

#include "room.hpp"

namespace sklearn_backprop::blas {

// Fortran's character and integer arguments are passed by address. SciPy's build
// decides whether its integers have 32 bits (LP64) or 64 (ILP64), so both are callable.
template <typename T, typename Int>
struct Routines {
  using gemm_t = void (*)(char*, char*, Int*, Int*, Int*, T*, T*, Int*, T*, Int*, T*,
                          T*, Int*);
  using gemv_t = void (*)(char*, Int*, Int*, T*, T*, Int*, T*, Int*, T*, T*, Int*);
  using syrk_t = void (*)(char*, char*, Int*, Int*, T*, T*, Int*, T*, T*, Int*);
  gemm_t gemm = nullptr;
  gemv_t gemv = nullptr;
  syrk_t syrk = nullptr;
};

template <typename T>
struct Table {
  Routines<T, std::int32_t> lp64;
  Routines<T, std::int64_t> ilp64;
  bool is_ilp64 = false;
};

template <typename T>
inline Table<T> table{};

// OpenBLAS has a buffer of 32 MiB for each product under way, made when so many are
// under way for the first time, and where there is no room for one it tries for ever.
// So a thread asks for room before its first product, and again in each call that
// others help with.
inline thread_local bool has_asked_for_buffer = false;

inline void begin_call() { has_asked_for_buffer = false; }

inline void before_product() {
  if (has_asked_for_buffer) return;
  ask_for_room(std::size_t(33) << 20);
  has_asked_for_buffer = true;
}

template <typename T, typename Call>
inline void dispatch(Call&& call) {
  before_product();
  if (table<T>.is_ilp64) {
    call(table<T>.ilp64, std::int64_t{});
  } else {
    call(table<T>.lp64, std::int32_t{});
  }
}

// C (m x n, column-major) = alpha * op(A) * op(B) + beta * C
template <typename T>
inline void gemm(char trans_a, char trans_b, std::int64_t m, std::int64_t n,
                 std::int64_t k, T alpha, const T* a, std::int64_t lda, const T* b,
                 std::int64_t ldb, T beta, T* c, std::int64_t ldc) {
  dispatch<T>([&](auto& routines, auto tag) {
    using Int = decltype(tag);
    Int m_ = static_cast<Int>(m), n_ = static_cast<Int>(n), k_ = static_cast<Int>(k);
    Int lda_ = static_cast<Int>(lda), ldb_ = static_cast<Int>(ldb);
    Int ldc_ = static_cast<Int>(ldc);
    routines.gemm(&trans_a, &trans_b, &m_, &n_, &k_, &alpha, const_cast<T*>(a), &lda_,
                  const_cast<T*>(b), &ldb_, &beta, c, &ldc_);
  });
}

// y = alpha * op(A) * x + beta * y, with A (m x n) column-major
template <typename T>
inline void gemv(char trans, std::int64_t m, std::int64_t n, T alpha, const T* a,
                 std::int64_t lda, const T* x, T beta, T* y) {
  dispatch<T>([&](auto& routines, auto tag) {
    using Int = decltype(tag);
    Int m_ = static_cast<Int>(m), n_ = static_cast<Int>(n), one = 1;
    Int lda_ = static_cast<Int>(lda);
    routines.gemv(&trans, &m_, &n_, &alpha, const_cast<T*>(a), &lda_, const_cast<T*>(x),
                  &one, &beta, y, &one);
  });
}

// C (m x n) = op(A) * B + beta * C, by gemv where B is a single column: gemm would copy
// A.
template <typename T>
inline void multiply(char trans, std::int64_t m, std::int64_t n, std::int64_t k,
                     const T* a, std::int64_t lda, const T* b, T beta, T* c) {
  if (n == 1) {
    const bool as_is = trans == 'N';
    gemv<T>(trans, as_is ? m : k, as_is ? k : m, T(1), a, lda, b, beta, c);
  } else {
    gemm<T>(trans, 'N', m, n, k, T(1), a, lda, b, k, beta, c, m);
  }
}

// One triangle of C (n x n) = alpha * op(A) * op(A)' + beta * C
template <typename T>
inline void syrk(char uplo, char trans, std::int64_t n, std::int64_t k, T alpha,
                 const T* a, std::int64_t lda, T beta, T* c, std::int64_t ldc) {
  dispatch<T>([&](auto& routines, auto tag) {
    using Int = decltype(tag);
    Int n_ = static_cast<Int>(n), k_ = static_cast<Int>(k);
    Int lda_ = static_cast<Int>(lda), ldc_ = static_cast<Int>(ldc);
    routines.syrk(&uplo, &trans, &n_, &k_, &alpha, const_cast<T*>(a), &lda_, &beta, c,
                  &ldc_);
  });
}

}  // namespace sklearn_backprop::blas
