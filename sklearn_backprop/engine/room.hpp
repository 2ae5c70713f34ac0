// Memory that libraries take for granted: where it lacks they end the process, or try
// for ever. Who asks for it first gets std::bad_alloc instead, and Python MemoryError.
#pragma once

#include <cstddef>
#include <exception>
#include <memory>
#include <new>

#if defined(__GLIBC__)
#include <sys/mman.h>
#endif

namespace sklearn_backprop {

// Has the data of this thread made that a throw needs, while there is room for them:
// where there is none, the C library ends the process. (The function is pure, so that
// without a use of its result no call would be made.)
inline void make_room_for_exceptions() {
  [[maybe_unused]] volatile const int n = std::uncaught_exceptions();
}

// Throws where there are not so many bytes. They are not written to, or the system
// would find a page, and take it back from every processor that runs a thread of this
// process: as long as a step.
inline void ask_for_room(std::size_t n_bytes) {
#if defined(__GLIBC__)
  void* const room = ::mmap(nullptr, n_bytes, PROT_READ | PROT_WRITE,
                            MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (room == MAP_FAILED) throw std::bad_alloc();
  ::munmap(room, n_bytes);
#else
  const std::unique_ptr<volatile char[]> room(new volatile char[n_bytes]);
  room[0] = 0;  // or the compiler would not ask
#endif
}

}  // namespace sklearn_backprop
