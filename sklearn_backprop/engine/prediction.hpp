// Passes that train nothing: a team goes over all rows, some at a time.
#pragma once

#include <algorithm>
#include <atomic>

#include "network.hpp"
#include "team.hpp"

namespace sklearn_backprop {

// How many threads to set on so many rows: a small pass is sooner done than a second
// thread is started.
template <typename T>
int n_threads_worth(const Network<T>& network, Index n_rows, int n_threads) {
  constexpr double products_per_thread = 1e6;
  const double work = double(n_rows) * network.products_per_row();
  const double wanted = std::min(double(n_threads), work / products_per_thread);
  return std::max(1, static_cast<int>(std::min(wanted, double(n_rows))));
}

template <typename T>
Index n_stretches(const Network<T>& network, Index n_rows) {
  const Index at_once = std::min(n_rows, network.rows_at_once());
  return (n_rows + at_once - 1) / at_once;
}

// Calls visit(pass, number, selection) for every stretch of the selected rows, in no
// order: who is free takes the next. between() is called by the leader now and then; it
// may throw.
template <typename T, typename Visit, typename Between>
void for_each_stretch(const Network<T>& network, const Pass<T>& pass, Selection rows,
                      int n_threads, const Visit& visit, Between& between) {
  const Index at_once = std::min(rows.count, network.rows_at_once());
  const Index n_all = n_stretches(network, rows.count);
  const Index most =
      std::min<Index>(n_all, n_threads_worth(network, rows.count, n_threads));
  Team team(static_cast<int>(most));
  std::atomic<Index> next{0};
  team.share([&](const Member& member) {
    if (next >= n_all) return;
    Workspace<T> workspace = network.make_workspace(at_once);
    Pass<T> mine = pass;
    mine.workspace = &workspace;
    for (Index s = next++; s < n_all; s = next++) {
      if (member.must_stop()) return;
      if (member.is_first()) between();
      const Index begin = s * at_once;
      const Index n = std::min(at_once, rows.count - begin);
      mine.first_row = begin;
      if (pass.loss_share != nullptr) mine.loss_share = pass.loss_share + begin;
      visit(mine, s, rows.part(begin, n));
    }
  });
}

}  // namespace sklearn_backprop
