// OpenMP where the compiler has it; one thread, and the same numbers, where it has not.
#pragma once

#ifdef _OPENMP
#include <omp.h>
#endif

namespace sklearn_backprop {

inline int max_threads() {
#ifdef _OPENMP
  return omp_get_max_threads();
#else
  return 1;
#endif
}

}  // namespace sklearn_backprop
