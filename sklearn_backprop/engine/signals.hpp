// Ctrl-C amid compiled work.
#pragma once

#include <nanobind/nanobind.h>

#include <chrono>

namespace sklearn_backprop {

// Looks for signals, at most every tenth of a second, and throws what their handlers
// raise. To be called by the thread that came from Python, without the GIL.
class SignalPoll {
 public:
  void operator()() {
    if (Clock::now() - last_ < std::chrono::milliseconds(100)) return;
    {
      const nanobind::gil_scoped_acquire acquire;
      if (PyErr_CheckSignals() != 0) throw nanobind::python_error();
    }
    last_ = Clock::now();
  }

 private:
  using Clock = std::chrono::steady_clock;

  Clock::time_point last_ = Clock::now();
};

}  // namespace sklearn_backprop
