// Copies of theta for a team. Were there one theta for all, those who read it in a pass
// would keep its lines in their caches, and each that a step writes would have to be
// taken back from there, one after the other: for a theta that fits a cache that takes
// longer than the step itself. So every member steps on its slice of a copy of its own,
// and then adds there what the others have changed: the same sums, hence the same bits.
#pragma once

#include <cstddef>
#include <vector>

#include "denormals.hpp"
#include "parameters.hpp"
#include "products.hpp"
#include "team.hpp"

namespace sklearn_backprop {

template <typename T>
class Replicas {
 public:
  // From now on all members have what theta holds: the first has theta itself, and so
  // have the others where it is so large that copies cost what they spare.
  void start(Team& team, const ParameterTable& table, T* theta) {
    constexpr std::size_t most_bytes = std::size_t(3) << 20;
    const auto n = static_cast<std::size_t>(table.n_parameters());
    table_ = &table;
    theta_ = theta;
    are_apart_ = team.size() > 1 && n * sizeof(T) <= most_bytes;
    if (!are_apart_) return;
    copies_.resize(static_cast<std::size_t>(team.size() - 1));
    team.share([&](const Member& member) {
      if (!member.is_first()) copy_of(member.rank()).assign(theta, theta + n);
    });
  }

  T* of(int rank) { return are_apart_ && rank > 0 ? copy_of(rank).data() : theta_; }

  // Every member has changed its slice of theta, by so much, and gets to know the rest.
  void exchange(Team& team, const T* change) {
    if (!are_apart_) return;
    team.share([&](const Member& member) {
      const FlushDenormals flushing;
      const auto [begin, end] = member.slice_of(table_->n_parameters());
      add(change, 0, begin, of(member.rank()));
      add(change, end, table_->n_parameters(), of(member.rank()));
    });
  }

 private:
  std::vector<T>& copy_of(int rank) {
    return copies_[static_cast<std::size_t>(rank - 1)];
  }

  // theta += change on [begin, end). Frozen arrays keep their bits, of which even
  // adding zero takes one: the sign of -0.
  void add(const T* change, Index begin, Index end, T* theta) const {
    table_->for_each_in(begin, end, [&](const Parameter& row, Index from, Index to) {
      if (row.is_frozen()) return;
      const Index n = to - from;
      add_scaled(Matrix<T>{theta + from, 1, n, n}, T(1),
                 Matrix<const T>{change + from, 1, n, n});
    });
  }

  const ParameterTable* table_ = nullptr;
  T* theta_ = nullptr;
  bool are_apart_ = false;
  std::vector<std::vector<T>> copies_;  // of all members but the first
};

}  // namespace sklearn_backprop
