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

using Index = std::int64_t;

// Whether AVX2 is both in the clones and the widest that the processor has.
inline bool clones_use_avx2() {
#if SKB_HAS_CLONES
  return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&
         !__builtin_cpu_supports("avx512f");
#else
  return false;
#endif
}

// A short vector that stays in registers, where the compiler knows such types; else an
// array. Never an argument or result: how those are passed depends on the processor.
#if defined(__GNUC__) || defined(__clang__)
// A typedef, for clang drops the alignment of an alias template.
template <typename T>
struct PackOf {
  typedef T type __attribute__((vector_size(32), aligned(sizeof(T)), may_alias));
};
template <typename T>
using Pack = typename PackOf<T>::type;
static_assert(alignof(Pack<float>) == alignof(float) &&
                  alignof(Pack<double>) == alignof(double),
              "packs are read from where any number may lie");
#else
template <typename T>
struct Pack {
  T lane[32 / sizeof(T)];
  T operator[](Index l) const { return lane[l]; }
  Pack& operator+=(const Pack& other) {
    for (Index l = 0; l < Index(32 / sizeof(T)); ++l) lane[l] += other.lane[l];
    return *this;
  }
  friend Pack operator*(T factor, Pack pack) {
    for (T& value : pack.lane) value *= factor;
    return pack;
  }
  friend Pack operator*(Pack a, const Pack& b) {
    for (Index l = 0; l < Index(32 / sizeof(T)); ++l) a.lane[l] *= b.lane[l];
    return a;
  }
  friend Pack operator+(Pack a, const Pack& b) { return a += b; }
};
#endif

}  // namespace sklearn_backprop
