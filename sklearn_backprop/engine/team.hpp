// A team of threads: a leader, the thread that calls, and helpers, who wait for it to
// share work out.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <exception>
#include <stdexcept>
#include <utility>
#include <vector>

#include "blas.hpp"
#include "helpers.hpp"
#include "simd.hpp"
#include "waiting.hpp"

namespace sklearn_backprop {

// Leaves the work of a thread whose team-mate has failed.
struct TeamStopped {};

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
      wait_until([&] {
        return round_.load(std::memory_order_acquire) != round || is_broken();
      });
    }
    if (is_broken()) throw TeamStopped{};
  }
  void break_up() { is_broken_.store(true, std::memory_order_release); }
  bool is_broken() const { return is_broken_.load(std::memory_order_acquire); }

 private:
  const int size_;
  alignas(64) std::atomic<int> n_waiting_{0};
  alignas(64) std::atomic<unsigned> round_{0};
  alignas(64) std::atomic<bool> is_broken_{false};
};

class Team;

// One share of the work, as the work sees it.
class Member {
 public:
  Member(Team& team, int rank, int thread)
      : team_(&team), rank_(rank), thread_(thread) {}

  int rank() const { return rank_; }
  int size() const;
  // Who does the share: 0 is the leader.
  int thread() const { return thread_; }
  bool is_with_leader() const { return thread_ == 0; }
  // The share that the leader does, and no helper.
  bool is_first() const { return rank_ == 0; }
  // Whether another share has failed: what is done from now on is for nothing.
  bool must_stop() const;
  // total (n) = the sum of what each member calls `mine` (n), in the order of ranks;
  // only where all shares are done at the same time.
  template <typename T>
  void add_up(const T* mine, Index n, T* total);
  // This member's stretch of n things. Where there are more shares than threads they
  // shrink, so that the last ones are short, and no thread waits long for another.
  std::pair<Index, Index> share_of(Index n) const;
  // The same, in whole vector registers as far as that goes.
  std::pair<Index, Index> slice_of(Index n) const {
    constexpr Index unit = 16;
    const auto [begin, end] = share_of((n + unit - 1) / unit);
    return {std::min(n, begin * unit), std::min(n, end * unit)};
  }

 private:
  Team* team_;
  int rank_;
  int thread_;
};

class Team {
 public:
  explicit Team(int size) : Team(size, size) {}
  // With more shares than threads one that is slow, or kept waiting, does fewer.
  Team(int size, int n_threads)
      : size_(std::max(1, size)),
        n_threads_(std::clamp(n_threads, 1, size_)),
        barrier_(size_),
        claims_(static_cast<std::size_t>(size_)),
        offered_(static_cast<std::size_t>(size_)),
        failures_(static_cast<std::size_t>(size_)) {
    if (n_threads_ > 1) blas::begin_call();
    helpers_.reserve(static_cast<std::size_t>(n_threads_ - 1));
    try {
      for (int rank = 1; rank < n_threads_; ++rank) {
        helpers_.push_back(pool_.lend());
        helpers_.back()->begin([this, rank] { help(rank); });
      }
    } catch (...) {
      dismiss();
      throw;
    }
  }
  ~Team() { dismiss(); }
  Team(const Team&) = delete;
  Team& operator=(const Team&) = delete;

  int size() const { return size_; }
  int n_threads() const { return n_threads_; }

  // Calls work(member) once for every rank, and returns when all calls have. A thread
  // that is done with its own share takes one that nobody has begun, so that a helper
  // whom the system keeps waiting holds nobody up. Of the exceptions that leave the
  // calls, that of the lowest rank is thrown on; then the team is done for.
  template <typename Work>
  void share(const Work& work) {
    share_out(work, false);
  }
  // The same with every share on a thread of its own, so that they may add up.
  template <typename Work>
  void share_side_by_side(const Work& work) {
    if (n_threads_ < size_) throw std::logic_error("more shares than threads");
    share_out(work, true);
  }

 private:
  friend class Member;

  // A phase in which somebody has begun that share; on a cache line of its own.
  struct alignas(64) Claim {
    std::atomic<unsigned> phase{0};
  };

  template <typename Work>
  void share_out(const Work& work, bool side_by_side) {
    if (size_ == 1) {
      Member alone(*this, 0, 0);
      work(alone);
      return;
    }
    work_ = &work;
    call_ = [](const void* held, Member& member) {
      (*static_cast<const Work*>(held))(member);
    };
    is_side_by_side_.store(side_by_side, std::memory_order_relaxed);
    n_done_.store(0, std::memory_order_relaxed);
    const unsigned phase = phase_.load(std::memory_order_relaxed) + 1;
    claims_[0].phase.store(phase, std::memory_order_relaxed);
    phase_.store(phase, std::memory_order_release);
    do_share(0, 0);
    do_what_is_left(phase, 0);
    wait_until([&] { return n_done_.load(std::memory_order_acquire) == size_; });
    if (barrier_.is_broken()) throw_failure();
  }

  void help(int thread) {
    blas::begin_call();
    for (unsigned seen = 0;;) {
      unsigned phase = seen;
      wait_until([&] {
        phase = phase_.load(std::memory_order_acquire);
        return phase != seen;
      });
      if (is_dismissed_.load(std::memory_order_acquire)) return;
      seen = phase;
      if (claim(thread, phase)) do_share(thread, thread);
      do_what_is_left(phase, thread);
    }
  }

  // Does the shares that nobody has begun. The leader's is never among them: it is
  // claimed before a phase begins.
  void do_what_is_left(unsigned phase, int thread) {
    if (is_side_by_side_.load(std::memory_order_relaxed)) return;
    for (int k = 1; k < size_; ++k) {
      const int other = (thread + k) % size_;
      if (claim(other, phase)) do_share(other, thread);
    }
  }

  // Whether this thread is to do that share: it is the first to ask in this phase. The
  // leader ends a phase when all shares are done, so that a claim that comes late
  // fails.
  bool claim(int rank, unsigned phase) {
    unsigned before = phase - 1;
    return claims_[static_cast<std::size_t>(rank)].phase.compare_exchange_strong(
        before, phase, std::memory_order_acq_rel, std::memory_order_relaxed);
  }

  void do_share(int rank, int thread) {
    try {
      Member member(*this, rank, thread);
      call_(work_, member);
    } catch (const TeamStopped&) {
    } catch (...) {
      failures_[static_cast<std::size_t>(rank)] = std::current_exception();
      barrier_.break_up();
    }
    n_done_.fetch_add(1, std::memory_order_release);
  }

  void throw_failure() const {
    for (const std::exception_ptr& failure : failures_) {
      if (failure) std::rethrow_exception(failure);
    }
  }

  void dismiss() {
    is_dismissed_.store(true, std::memory_order_release);
    phase_.fetch_add(1, std::memory_order_release);
    for (Helper* helper : helpers_) {
      helper->end();
      pool_.take_back(helper);
    }
  }

  const int size_;  // shares
  const int n_threads_;
  Barrier barrier_;
  std::vector<Claim> claims_;
  std::vector<const void*> offered_;  // what members add up
  std::vector<std::exception_ptr> failures_;
  // The phase's work. A helper reads it after a claim, when the phase cannot end.
  const void* work_ = nullptr;
  void (*call_)(const void*, Member&) = nullptr;
  std::atomic<bool> is_side_by_side_{false};
  std::atomic<bool> is_dismissed_{false};
  alignas(64) std::atomic<unsigned> phase_{0};
  alignas(64) std::atomic<int> n_done_{0};
  HelperPool& pool_ = HelperPool::of_this_process();
  std::vector<Helper*> helpers_;
};

inline int Member::size() const { return team_->size(); }

inline std::pair<Index, Index> Member::share_of(Index n) const {
  if (size() == team_->n_threads()) {
    return {n * rank_ / size(), n * (rank_ + 1) / size()};
  }
  // Each is one part of what is left in so many, the last ones in as many as there are:
  // a thread half as fast as the others can still do its first one in time.
  const int most_parts = (3 * team_->n_threads() + 1) / 2;
  Index begin = 0, end = 0;
  for (int rank = 0; rank <= rank_; ++rank) {
    begin = end;
    end += (n - begin) / std::min(most_parts, size() - rank);
  }
  return {begin, end};
}

inline bool Member::must_stop() const { return team_->barrier_.is_broken(); }

template <typename T>
void Member::add_up(const T* mine, Index n, T* total) {
  if (size() == 1) {
    std::copy_n(mine, n, total);
    return;
  }
  team_->offered_[static_cast<std::size_t>(rank_)] = mine;
  team_->barrier_.wait();
  std::copy_n(static_cast<const T*>(team_->offered_[0]), n, total);
  for (std::size_t rank = 1; rank < team_->offered_.size(); ++rank) {
    const T* part = static_cast<const T*>(team_->offered_[rank]);
    for (Index i = 0; i < n; ++i) total[i] += part[i];
  }
  team_->barrier_.wait();
}

}  // namespace sklearn_backprop
