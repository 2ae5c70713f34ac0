// Numbers below the normal range, which x86 reckons with a hundred times as slowly.
#pragma once

#if defined(__x86_64__) || defined(_M_X64)
#include <xmmintrin.h>
#endif

namespace sklearn_backprop {

// While one lives, results of this thread that are too small to be normal (below 1e-38
// in float32, 1e-308 in float64) become zero. Training makes many that mean nothing:
// moments that decay behind a unit that died, products of gradients that vanish. Other
// processors are not slower there, and are left as they are.
class FlushDenormals final {
 public:
#if defined(__x86_64__) || defined(_M_X64)
  FlushDenormals() : before_(_mm_getcsr()) { _mm_setcsr(before_ | flush_to_zero); }
  ~FlushDenormals() { _mm_setcsr(before_); }
#else
  FlushDenormals() {}
  ~FlushDenormals() {}
#endif
  FlushDenormals(const FlushDenormals&) = delete;
  FlushDenormals& operator=(const FlushDenormals&) = delete;

 private:
#if defined(__x86_64__) || defined(_M_X64)
  static constexpr unsigned flush_to_zero = 0x8000;
  const unsigned before_;
#endif
};

}  // namespace sklearn_backprop
