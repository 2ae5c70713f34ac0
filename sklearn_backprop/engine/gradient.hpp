// The objective of a mini-batch and its gradient, by a team. Every member passes rows
// of its own and leaves a partial gradient. Then each has a slice of theta: there it
// sums the partial gradients in the order of the ranks, adds the penalty and measures.
#pragma once

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>
#include <vector>

#include "denormals.hpp"
#include "network.hpp"
#include "norms.hpp"
#include "team.hpp"

namespace sklearn_backprop {

// How a mini-batch counts.
struct Weighing {
  double mean_weight = 1;  // of a row: a batch of n rows is expected to weigh n of it
  double penalty = 0;      // alpha / total weight
};

// What is measured of a gradient; norms are before clipping, penalty included.
struct GradientMeasures {
  double objective = 0;
  double squares = 0;                  // of the whole gradient, frozen arrays left out
  std::vector<double> column_squares;  // of each recorded array, NaN of a frozen one

  bool is_finite() const { return std::isfinite(objective + squares); }
};

// For members who pass their rows all alike.
template <typename T>
void all_alike(int /* rank */, Pass<T>& /* own */) {}

// Into how many shares so many threads divide rows: into several for each, so that one
// that is slow does fewer, as long as it takes little to sum their partial gradients.
template <typename T>
int n_shares_for(const Network<T>& network, Index n_rows, int n_threads) {
  if (n_threads == 1 || network.couples_rows()) return n_threads;
  constexpr Index most_each = 8, most_bytes = Index(8) << 20;
  const Index by_rows = n_rows / network.rows_at_once();
  const Index by_bytes =
      most_bytes / (Index(sizeof(T)) * std::max<Index>(1, network.n_parameters()));
  const Index most = std::min({most_each * n_threads, by_rows, by_bytes});
  return std::max(n_threads, static_cast<int>(most));
}

template <typename T>
class TeamGradient {
 public:
  // max_rows: the largest mini-batch that comes; at_once: the rows that a member passes
  // at a time, where they need not all be together.
  TeamGradient(const Network<T>& network, Index max_rows, int team_size, Index at_once)
      : network_(&network), shares_(size_of(max_rows * network.head().n_members())) {
    const Index most = (max_rows + team_size - 1) / team_size;
    rows_at_once_ = network.couples_rows() ? most : std::min(most, at_once);
    if (network.couples_rows()) row_shares_.resize(shares_.size());
    members_.resize(static_cast<std::size_t>(team_size));
    for (Own& own : members_) own.column_squares.resize(size_of(network.n_columns()));
  }

  TeamGradient(const Network<T>& network, Index max_rows, int team_size)
      : TeamGradient(network, max_rows, team_size, network.rows_at_once()) {}

  int team_size() const { return static_cast<int>(members_.size()); }

  // pass.gradient becomes the gradient of the selected rows' objective. `pass` says all
  // but where rows and caches are; equip(rank, own) changes what is that member's own:
  // its copy of theta, and a probe, which sees its rows. The leader calls between()
  // before all else, and then now and then; it may throw. A gradient of the inputs is
  // of rows that pass at once, by one member.
  template <typename Equip, typename Between>
  const GradientMeasures& compute(Team& team, const Pass<T>& pass, const Data<T>& data,
                                  Selection rows, const Weighing& weighing,
                                  const Equip& equip, Between& between) {
    workspaces_.resize(size_of(team.n_threads()));
    auto own_pass = [&](const Member& member) {
      Pass<T> own = pass;
      equip(member.rank(), own);
      return own;
    };
    auto pass_share = [&](Member& member) {
      pass_rows(member, own_pass(member), data, rows, weighing, between);
    };
    if (network_->couples_rows()) {
      team.share_side_by_side(pass_share);
    } else {
      team.share(pass_share);
    }
    team.share(
        [&](const Member& member) { collect(member, own_pass(member), weighing); });
    return add_measures(weighing);
  }

 private:
  // What one member leaves.
  struct alignas(64) Own {
    std::vector<T> partial;  // its gradient; the first member's is the result's memory
    double value = 0;
    double squares = 0;
    double penalised_squares = 0;
    std::vector<double> column_squares;
  };

  static std::size_t size_of(Index n) { return static_cast<std::size_t>(n); }
  Own& own_of(const Member& member) {
    return members_[static_cast<std::size_t>(member.rank())];
  }

  // Once, by the thread that works there, so that what it needs is near it.
  Workspace<T>& make_room(const Member& member, Own& own) {
    if (!member.is_first()) own.partial.resize(size_of(network_->n_parameters()));
    Workspace<T>& workspace = workspaces_[size_of(member.thread())];
    if (workspace.max_rows() == 0) workspace = network_->make_workspace(rows_at_once_);
    return workspace;
  }

  // What the rows [begin, end) of a selection count in the objective, and in its
  // weight.
  void fill_shares(const Data<T>& data, Selection rows, Index begin, Index end,
                   const Weighing& weighing) {
    const double expected = double(rows.n_sources()) * weighing.mean_weight;
    begin *= rows.width;
    end *= rows.width;
    fill_with_weights(data, rows, begin, end, 1 / expected, shares_);
    if (row_shares_.empty()) return;
    fill_with_weights(data, rows, begin, end, 1 / weight_of(data, rows), row_shares_);
  }

  // shares[i] = factor * w_i
  static void fill_with_weights(const Data<T>& data, Selection rows, Index begin,
                                Index end, double factor, std::vector<T>& shares) {
    if (data.weight == nullptr) {
      std::fill(shares.begin() + begin, shares.begin() + end, T(factor));
      return;
    }
    for (Index i = begin; i < end; ++i) {
      shares[size_of(i)] = T(factor * double(data.weight[rows.source(i)]));
    }
  }

  template <typename Between>
  void pass_rows(Member& member, Pass<T> mine, const Data<T>& data, Selection rows,
                 const Weighing& weighing, Between& between) {
    Own& own = own_of(member);
    const auto [first, last] = member.share_of(rows.count);
    fill_shares(data, rows, first, last, weighing);
    const Index first_row = mine.first_row;
    mine.workspace = &make_room(member, own);
    mine.member = &member;
    if (!member.is_first()) {
      mine.gradient = own.partial.data();
      mine.new_running = nullptr;
    }
    own.value = 0;
    Index begin = first;
    do {
      if (member.must_stop()) throw TeamStopped{};
      if (member.is_with_leader()) between();
      const FlushDenormals flushing;  // not of what handlers of signals compute
      const Index n = std::min(rows_at_once_, last - begin);
      mine.first_row = first_row + begin;
      mine.loss_share = shares_.data() + begin * rows.width;
      if (!row_shares_.empty())
        mine.row_share = row_shares_.data() + begin * rows.width;
      own.value += network_->value_and_gradient(mine, data, rows.part(begin, n));
      mine.beta = T(1);
      begin += rows_at_once_;
    } while (begin < last);
  }

  void collect(const Member& member, const Pass<T>& pass, const Weighing& weighing) {
    const FlushDenormals flushing;
    Own& own = own_of(member);
    const auto [begin, end] = member.slice_of(network_->n_parameters());
    // A member without rows has left zeros.
    for (std::size_t rank = 1; rank < members_.size(); ++rank) {
      add_to(pass.gradient, members_[rank].partial.data(), begin, end, T(1));
    }
    own.squares = own.penalised_squares = 0;
    std::fill(own.column_squares.begin(), own.column_squares.end(), 0.0);
    network_->table().for_each_in(
        begin, end, [&](const Parameter& row, Index from, Index to) {
          const double penalty = weighing.penalty * row.penalty;
          if (penalty != 0) {
            own.penalised_squares +=
                row.penalty * sum_of_squares(pass.theta + from, to - from);
          }
          const double squares = row.is_frozen()
                                     ? freeze(pass.gradient, from, to)
                                     : finish(pass, from, to, T(penalty), own);
          if (row.column >= 0) own.column_squares[size_of(row.column)] += squares;
        });
  }

  // Adds the penalty's share; returns the sum of squares on [begin, end).
  static double finish(const Pass<T>& pass, Index begin, Index end, T penalty,
                       Own& own) {
    if (penalty != T(0)) add_to(pass.gradient, pass.theta, begin, end, penalty);
    const double squares = sum_of_squares<T>(pass.gradient + begin, end - begin);
    own.squares += squares;
    return squares;
  }

  // Nothing moves what is frozen; the norm of a gradient that nobody reckoned is NaN.
  static double freeze(T* gradient, Index begin, Index end) {
    std::fill(gradient + begin, gradient + end, T(0));
    return std::numeric_limits<double>::quiet_NaN();
  }

  // sum += factor * x on [begin, end)
  static void add_to(T* sum, const T* x, Index begin, Index end, T factor) {
    const Index n = end - begin;
    add_scaled(Matrix<T>{sum + begin, 1, n, n}, factor,
               Matrix<const T>{x + begin, 1, n, n});
  }

  const GradientMeasures& add_measures(const Weighing& weighing) {
    GradientMeasures& all = measures_;
    double penalised_squares = 0;
    all.objective = all.squares = 0;
    all.column_squares.assign(size_of(network_->n_columns()), 0.0);
    for (const Own& own : members_) {
      all.objective += own.value;
      all.squares += own.squares;
      penalised_squares += own.penalised_squares;
      for (std::size_t c = 0; c < all.column_squares.size(); ++c) {
        all.column_squares[c] += own.column_squares[c];
      }
    }
    all.objective += 0.5 * weighing.penalty * penalised_squares;
    return all;
  }

  const Network<T>* network_;
  Index rows_at_once_ = 0;
  std::vector<T> shares_, row_shares_;
  std::vector<Own> members_;
  std::vector<Workspace<T>> workspaces_;  // of each thread
  GradientMeasures measures_;
};

}  // namespace sklearn_backprop
