// How a thread waits for what another one is about to do.
#pragma once

#include <thread>

#if defined(__x86_64__) || defined(_M_X64)
#include <immintrin.h>
#endif

namespace sklearn_backprop {

// Lets the processor rest while it waits for another one.
inline void pause_briefly() {
#if defined(__x86_64__) || defined(_M_X64)
  _mm_pause();
#elif defined(__aarch64__) && (defined(__GNUC__) || defined(__clang__))
  __asm__ __volatile__("yield");
#endif
}

// Waits until is_over(), or, where it gives up, until gives_up() says so. Some
// microseconds of waiting are cheaper than to give the processor away; beyond that
// another thread may need it, for instance the one waited for.
template <typename Condition, typename GivesUp>
void wait_until(const Condition& is_over, const GivesUp& gives_up) {
  constexpr int most_pauses = 60;
  for (int n = 0; !is_over(); ++n) {
    if (n < most_pauses) {
      pause_briefly();
    } else if (gives_up()) {
      return;
    } else {
      std::this_thread::yield();
    }
  }
}

template <typename Condition>
void wait_until(const Condition& is_over) {
  wait_until(is_over, [] { return false; });
}

}  // namespace sklearn_backprop
