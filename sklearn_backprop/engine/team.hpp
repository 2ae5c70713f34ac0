// A team of threads that walks through the same work side by side and meets now and
// then. Threads of its own rather than OpenMP's: they live as long as one call, so that
// a forked process inherits none, and every platform has them.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <exception>
#include <memory>
#include <new>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

#if defined(__x86_64__) || defined(_M_X64)
#include <immintrin.h>
#endif

#include "simd.hpp"

namespace sklearn_backprop {

// Leaves the work of a thread whose team-mate has failed.
struct TeamStopped {};

// Has the data of this thread made that a throw needs, while there is room for them:
// where there is none, the C library ends the process. (The function is pure, so that
// without a use of its result no call would be made.)
inline void make_room_for_exceptions() {
  [[maybe_unused]] volatile const int n = std::uncaught_exceptions();
}

// Lets the processor rest while it waits for another one.
inline void pause_briefly() {
#if defined(__x86_64__) || defined(_M_X64)
  _mm_pause();
#elif defined(__aarch64__) && (defined(__GNUC__) || defined(__clang__))
  __asm__ __volatile__("yield");
#endif
}

// Where all of a team wait for the last one.
class Barrier {
 public:
  explicit Barrier(int size) : size_(size) {}

  void wait() {
    const unsigned round = round_.load(std::memory_order_acquire);
    if (n_waiting_.fetch_add(1, std::memory_order_acq_rel) + 1 == size_) {
      n_waiting_.store(0, std::memory_order_relaxed);
      round_.store(round + 1, std::memory_order_release);
    } else {
      wait_for_round_after(round);
    }
    if (is_broken()) throw TeamStopped{};
  }
  void break_up() { is_broken_.store(true, std::memory_order_release); }
  bool is_broken() const { return is_broken_.load(std::memory_order_acquire); }

 private:
  // Some microseconds of waiting are cheaper than to give the processor away.
  static constexpr int kSpins = 4000;

  void wait_for_round_after(unsigned round) const {
    for (int spin = 0; round_.load(std::memory_order_acquire) == round; ++spin) {
      if (is_broken()) return;
      if (spin < kSpins) {
        pause_briefly();
      } else {
        std::this_thread::yield();
      }
    }
  }

  const int size_;
  alignas(64) std::atomic<int> n_waiting_{0};
  alignas(64) std::atomic<unsigned> round_{0};
  alignas(64) std::atomic<bool> is_broken_{false};
};

class Team;

// One thread of a team, as its work sees it.
class Member {
 public:
  Member(Team& team, int rank) : team_(&team), rank_(rank) {}

  int rank() const { return rank_; }
  int size() const;
  bool is_first() const { return rank_ == 0; }
  // Whether a team-mate has failed: what is done from now on is for nothing.
  bool must_stop() const;
  // Waits for all the others.
  void meet();
  // total (n) = the sum of what each member calls `mine` (n), in the order of ranks.
  template <typename T>
  void add_up(const T* mine, Index n, T* total);
  // This member's stretch of n things.
  std::pair<Index, Index> share_of(Index n) const {
    return {n * rank_ / size(), n * (rank_ + 1) / size()};
  }

 private:
  Team* team_;
  int rank_;
};

class Team {
 public:
  explicit Team(int size)
      : size_(std::max(1, size)),
        barrier_(size_),
        offered_(static_cast<std::size_t>(size_)),
        failures_(static_cast<std::size_t>(size_)) {}

  int size() const { return size_; }

  // Calls work(member) on every thread. Of the exceptions that leave it, that of the
  // lowest rank is thrown on.
  template <typename Work>
  void run(const Work& work) {
    ask_for_room();
    std::vector<std::thread> threads;
    threads.reserve(static_cast<std::size_t>(size_ - 1));
    try {
      for (int rank = 1; rank < size_; ++rank) {
        threads.emplace_back([this, &work, rank] { work_as(rank, work); });
      }
      work_as(0, work);
    } catch (const std::system_error&) {  // no room for one more thread
      barrier_.break_up();
      for (std::thread& thread : threads) thread.join();
      throw std::bad_alloc();
    }
    for (std::thread& thread : threads) thread.join();
    for (const std::exception_ptr& failure : failures_) {
      if (failure) std::rethrow_exception(failure);
    }
  }

 private:
  friend class Member;

  // glibc ends a process whose new thread finds no room for what is its own: ask for
  // room first, which throws. One page is touched, or the compiler would not ask.
  void ask_for_room() const {
    if (size_ == 1) return;
    const auto n = kRoomOfThread * static_cast<std::size_t>(size_ - 1);
    const std::unique_ptr<volatile char[]> room(new volatile char[n]);
    room[0] = 0;
  }

  template <typename Work>
  void work_as(int rank, const Work& work) {
    make_room_for_exceptions();
    try {
      Member member(*this, rank);
      work(member);
    } catch (const TeamStopped&) {
    } catch (...) {
      failures_[static_cast<std::size_t>(rank)] = std::current_exception();
      barrier_.break_up();
    }
  }

  // Its stack, 8 MiB as a rule, and so much beside that glibc asks the system for it,
  // as it will for the thread, instead of taking what one of its heaps of 64 MiB has
  // left.
  static constexpr std::size_t kRoomOfThread = std::size_t(72) << 20;

  const int size_;
  Barrier barrier_;
  std::vector<const void*> offered_;
  std::vector<std::exception_ptr> failures_;
};

inline int Member::size() const { return team_->size(); }

inline bool Member::must_stop() const { return team_->barrier_.is_broken(); }

inline void Member::meet() {
  if (size() > 1) team_->barrier_.wait();
}

template <typename T>
void Member::add_up(const T* mine, Index n, T* total) {
  team_->offered_[static_cast<std::size_t>(rank_)] = mine;
  meet();
  std::copy_n(static_cast<const T*>(team_->offered_[0]), n, total);
  for (std::size_t rank = 1; rank < team_->offered_.size(); ++rank) {
    const T* part = static_cast<const T*>(team_->offered_[rank]);
    for (Index i = 0; i < n; ++i) total[i] += part[i];
  }
  meet();
}

// Calls work(member) on a team of `size` threads.
template <typename Work>
void run_team(int size, const Work& work) {
  Team(size).run(work);
}

}  // namespace sklearn_backprop
