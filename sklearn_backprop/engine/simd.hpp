// Loops that the compiler turns into vector instructions: the three words they need.
#pragma once

#include <cstdint>

// GCC on x86-64 Linux compiles a marked function twice, and the loader picks what the
// processor has. Sanitizers run before the loader has picked, so they get one version.
#if defined(__GNUC__) && !defined(__clang__) && defined(__x86_64__) && \
    defined(__GLIBC__) && __GNUC__ >= 12 && !defined(__SANITIZE_ADDRESS__)
#define SKB_HAS_CLONES 1
#define SKB_CLONES __attribute__((target_clones("arch=x86-64-v3", "default")))
#else
#define SKB_HAS_CLONES 0
#define SKB_CLONES
#endif

// A clone can only use its instructions in what is inlined into it.
#if defined(__GNUC__) || defined(__clang__)
#define SKB_INLINE __attribute__((always_inline)) inline
#else
#define SKB_INLINE inline
#endif

// The iterations of the next loop do not depend on each other: input and output are
// either the same array or do not overlap.
#if defined(__clang__)
#define SKB_INDEPENDENT _Pragma("clang loop vectorize(assume_safety)")
#elif defined(__GNUC__)
#define SKB_INDEPENDENT _Pragma("GCC ivdep")
#else
#define SKB_INDEPENDENT
#endif

namespace sklearn_backprop {

// Fetches a line of the cache that is about to be written, before the writes need it.
SKB_INLINE void prefetch_to_write(const void* at) {
#if defined(__x86_64__) && (defined(__GNUC__) || defined(__clang__))
  __asm__ __volatile__("prefetchw %0" : : "m"(*static_cast<const char*>(at)));
#elif defined(__GNUC__) || defined(__clang__)
  __builtin_prefetch(at, 1);
#else
  (void)at;
#endif
}

// Fetches one that is read later, into the second cache: the first is soon full.
SKB_INLINE void prefetch_to_read(const void* at) {
#if defined(__GNUC__) || defined(__clang__)
  __builtin_prefetch(at, 0, 2);
#else
  (void)at;
#endif
}

using Index = std::int64_t;

// A function with this mark uses AVX-512; call it where `has_avx512()`.
#if SKB_HAS_CLONES
#define SKB_AVX512 __attribute__((target("arch=x86-64-v4,prefer-vector-width=512")))
#else
#define SKB_AVX512
#endif

// Whether the processor has what the clones, or functions for AVX-512, use.
inline bool clones_use_avx2() {
#if SKB_HAS_CLONES
  return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
#else
  return false;
#endif
}
inline bool has_avx512() {
#if SKB_HAS_CLONES
  return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl") &&
         __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512bw") &&
         __builtin_cpu_supports("avx512cd");
#else
  return false;
#endif
}

// A short vector that stays in registers, where the compiler knows such types; else an
// array. Never an argument or result: how those are passed depends on the processor.
#if defined(__GNUC__) || defined(__clang__)
// A typedef, for clang drops the alignment of an alias template.
template <typename T, int n_bytes>
struct PackOf {
  typedef T type __attribute__((vector_size(n_bytes), aligned(sizeof(T)), may_alias));
};
template <typename T, int n_bytes = 32>
using Pack = typename PackOf<T, n_bytes>::type;
static_assert(alignof(Pack<float>) == alignof(float) &&
                  alignof(Pack<double>) == alignof(double),
              "packs are read from where any number may lie");
// The size is told, not deduced, which would drop the alignment.
template <int n_bytes, typename T>
SKB_INLINE void fill_lanes(T value, Pack<T, n_bytes>& pack) {
  pack = value - Pack<T, n_bytes>{};
}
#else
template <typename T, int n_bytes = 32>
struct Pack {
  T lane[n_bytes / sizeof(T)];
  T operator[](Index l) const { return lane[l]; }
  Pack& operator+=(const Pack& other) {
    for (Index l = 0; l < Index(n_bytes / sizeof(T)); ++l) lane[l] += other.lane[l];
    return *this;
  }
  friend Pack operator*(T factor, Pack pack) {
    for (T& value : pack.lane) value *= factor;
    return pack;
  }
  friend Pack operator*(Pack a, const Pack& b) {
    for (Index l = 0; l < Index(n_bytes / sizeof(T)); ++l) a.lane[l] *= b.lane[l];
    return a;
  }
  friend Pack operator+(Pack a, const Pack& b) { return a += b; }
};
template <int n_bytes, typename T>
void fill_lanes(T value, Pack<T, n_bytes>& pack) {
  for (T& lane : pack.lane) lane = value;
}
#endif

// Transposes the square that packs (8 of float, 4 of double) make as rows.
#if defined(__GNUC__) || defined(__clang__)
SKB_INLINE void transpose_packs(Pack<float>* r) {
  Pack<float> pairs[8], fours[8];
  for (int i = 0; i < 8; i += 2) {
    pairs[i] = __builtin_shufflevector(r[i], r[i + 1], 0, 8, 1, 9, 4, 12, 5, 13);
    pairs[i + 1] = __builtin_shufflevector(r[i], r[i + 1], 2, 10, 3, 11, 6, 14, 7, 15);
  }
  for (int i = 0; i < 8; i += 4) {
    for (int k = 0; k < 2; ++k) {
      const Pack<float> a = pairs[i + k], b = pairs[i + 2 + k];
      fours[i + 2 * k] = __builtin_shufflevector(a, b, 0, 1, 8, 9, 4, 5, 12, 13);
      fours[i + 2 * k + 1] = __builtin_shufflevector(a, b, 2, 3, 10, 11, 6, 7, 14, 15);
    }
  }
  for (int k = 0; k < 4; ++k) {
    const Pack<float> a = fours[k], b = fours[4 + k];
    r[k] = __builtin_shufflevector(a, b, 0, 1, 2, 3, 8, 9, 10, 11);
    r[4 + k] = __builtin_shufflevector(a, b, 4, 5, 6, 7, 12, 13, 14, 15);
  }
}
SKB_INLINE void transpose_packs(Pack<double>* r) {
  Pack<double> pairs[4];
  for (int i = 0; i < 4; i += 2) {
    pairs[i] = __builtin_shufflevector(r[i], r[i + 1], 0, 4, 2, 6);
    pairs[i + 1] = __builtin_shufflevector(r[i], r[i + 1], 1, 5, 3, 7);
  }
  for (int k = 0; k < 2; ++k) {
    const Pack<double> a = pairs[k], b = pairs[2 + k];
    r[k] = __builtin_shufflevector(a, b, 0, 1, 4, 5);
    r[2 + k] = __builtin_shufflevector(a, b, 2, 3, 6, 7);
  }
}
#else
template <typename T>
void transpose_packs(Pack<T>* r) {
  constexpr int width = 32 / sizeof(T);
  for (int i = 0; i < width; ++i) {
    for (int k = 0; k < i; ++k) {
      const T kept = r[i].lane[k];
      r[i].lane[k] = r[k].lane[i];
      r[k].lane[i] = kept;
    }
  }
}
#endif

}  // namespace sklearn_backprop
