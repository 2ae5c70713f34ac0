// Threads that help, and sleep until they are needed again: making and ending one for
// each call takes longer than many calls. They are the engine's own rather than
// OpenMP's, so that every platform has them, and a forked process, in which they do not
// go on, forgets them.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <functional>
#include <mutex>
#include <new>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

#if defined(__unix__) || defined(__APPLE__)
#include <pthread.h>
#endif

#if defined(__GLIBC__)
#include <sched.h>
#endif

#include "room.hpp"
#include "waiting.hpp"

namespace sklearn_backprop {

// One thread, which does a task after another; it lives as long as the process.
class Helper {
 public:
  Helper() {
    // Its stack, 8 MiB as a rule, and more than enough for what is its own: glibc ends
    // a process whose new thread finds no room for that.
    ask_for_room(std::size_t(9) << 20);
    try {
      thread_ = std::thread([this] { run(); });
    } catch (const std::system_error&) {  // no room for one more thread
      throw std::bad_alloc();
    }
  }
  Helper(const Helper&) = delete;
  Helper& operator=(const Helper&) = delete;

  // Only a helper without a task takes one, which throws nothing.
  void begin(std::function<void()> task) {
    bool is_asleep;
    {
      const std::lock_guard<std::mutex> lock(mutex_);
      task_ = std::move(task);
      state_.store(State::kAsked, std::memory_order_release);
      is_asleep = is_asleep_;
    }
    if (is_asleep) wake();
  }
  // Returns when the task is done, or at once if it was not begun: then nobody does it.
  void end() {
    State asked = State::kAsked;
    if (state_.compare_exchange_strong(asked, State::kFree)) return;
    wait_until([&] { return state_.load(std::memory_order_acquire) == State::kFree; });
  }

 private:
  enum class State { kFree, kAsked, kBusy };

  void run() {
    make_room_for_exceptions();
    for (;;) {
      wait_to_be_asked();
      State asked = State::kAsked;
      if (!state_.compare_exchange_strong(asked, State::kBusy)) continue;
      task_();
      state_.store(State::kFree, std::memory_order_release);
    }
  }

  // One epoch, one evaluation follows another: who sleeps at once wakes late.
  void wait_to_be_asked() {
    using clock = std::chrono::steady_clock;
    constexpr std::chrono::microseconds most(50);
    const auto is_asked = [this] {
      return state_.load(std::memory_order_acquire) == State::kAsked;
    };
    const auto start = clock::now();
    wait_until(is_asked, [&] { return clock::now() - start > most; });
    if (is_asked()) return;
    std::unique_lock<std::mutex> lock(mutex_);
    is_asleep_ = true;
    is_asked_.wait(lock, is_asked);
    is_asleep_ = false;
  }

  // Linux puts a thread that starts or wakes where its waker runs, as often as not, if
  // the process has slept, and moves it only milliseconds later, while the waker does
  // all the work. Forbidden to be there, it goes elsewhere; then it may be where it
  // likes. Where there is no other processor, the system refuses, and it stays.
  void wake() {
#if defined(__GLIBC__) && defined(__linux__)
    cpu_set_t allowed;
    if (::sched_getaffinity(0, sizeof allowed, &allowed) == 0) {
      cpu_set_t elsewhere = allowed;
      CPU_CLR(::sched_getcpu(), &elsewhere);
      const pthread_t thread = thread_.native_handle();
      ::pthread_setaffinity_np(thread, sizeof elsewhere, &elsewhere);
      is_asked_.notify_one();
      ::pthread_setaffinity_np(thread, sizeof allowed, &allowed);
      return;
    }
#endif
    is_asked_.notify_one();
  }

  std::mutex mutex_;
  std::condition_variable is_asked_;
  std::function<void()> task_;
  std::atomic<State> state_{State::kFree};
  bool is_asleep_ = true;  // or about to start
  std::thread thread_;
};

// The helpers of this process that nobody has.
class HelperPool {
 public:
  // It is never destroyed: helpers sleep in it when the process ends.
  static HelperPool& of_this_process() {
    HelperPool* pool = current_.load(std::memory_order_acquire);
    if (pool != nullptr) return *pool;
    forget_in_forks();
    auto* const made = new HelperPool;
    if (current_.compare_exchange_strong(pool, made)) return *made;
    delete made;  // another thread was first
    return *pool;
  }

  // A helper that the caller has until it gives it back.
  Helper* lend() {
    const std::lock_guard<std::mutex> lock(mutex_);
    if (free_.empty()) {
      free_.reserve(n_made_ + 1);
      auto* const made = new Helper;
      ++n_made_;
      return made;
    }
    Helper* const helper = free_.back();
    free_.pop_back();
    return helper;
  }
  void take_back(Helper* helper) {
    const std::lock_guard<std::mutex> lock(mutex_);
    free_.push_back(helper);  // there is room for all
  }

 private:
  HelperPool() = default;

  // The pool of a parent, whose lock another thread may have held, stays as it was.
  static void forget_in_forks() {
#if defined(__unix__) || defined(__APPLE__)
    ::pthread_atfork(nullptr, nullptr, [] { current_.store(nullptr); });
#endif
  }

  inline static std::atomic<HelperPool*> current_{nullptr};
  std::mutex mutex_;
  std::vector<Helper*> free_;
  std::size_t n_made_ = 0;
};

}  // namespace sklearn_backprop
