// Sequences of several lengths as rows without gaps: first all first steps, then all
// second ones, and so on. Sequences are sorted, longest first, so that those that have
// a step are the first of the step before.
#pragma once

#include <algorithm>
#include <numeric>
#include <vector>

#include "../matrix.hpp"

namespace sklearn_backprop {

class Packing {
 public:
  // Of rows (n, n_steps * n_channels), step after step. A sequence ends behind its last
  // step that holds a number; NaN in all channels stands behind it.
  template <typename T>
  Packing(const Matrix<const T>& x, Index n_steps, Index n_channels)
      : n_steps_(n_steps), rows_(static_cast<std::size_t>(x.rows)) {
    std::vector<Index> lengths(rows_.size());
    for (Index i = 0; i < x.rows; ++i) {
      const T* row = x.row(i);
      Index n = n_steps * n_channels;
      while (n > 0 && row[n - 1] != row[n - 1]) --n;
      lengths[static_cast<std::size_t>(i)] = (n + n_channels - 1) / n_channels;
    }
    std::iota(rows_.begin(), rows_.end(), Index(0));
    const auto length_of = [&](Index i) {
      return lengths[static_cast<std::size_t>(i)];
    };
    std::stable_sort(rows_.begin(), rows_.end(),
                     [&](Index i, Index k) { return length_of(i) > length_of(k); });
    const Index longest = rows_.empty() ? 0 : length_of(rows_.front());
    starts_.reserve(static_cast<std::size_t>(longest + 1));
    starts_.push_back(0);
    auto end = rows_.end();
    for (Index t = 0; t < longest; ++t) {
      while (length_of(*(end - 1)) <= t) --end;
      starts_.push_back(starts_.back() + Index(end - rows_.begin()));
    }
  }

  // Steps of the longest sequence.
  Index n_steps() const { return Index(starts_.size()) - 1; }
  // Steps of all sequences together.
  Index n_rows() const { return starts_.back(); }
  // Where step t begins, and how many sequences have it.
  Index start(Index t) const { return starts_[static_cast<std::size_t>(t)]; }
  Index count(Index t) const {
    return t < 0 || t >= n_steps() ? 0 : start(t + 1) - start(t);
  }

  // visit(place, row, step): a packed row, and where it comes from
  template <typename Visit>
  void for_each(Visit&& visit) const {
    for (Index t = 0; t < n_steps(); ++t) {
      for (Index i = 0; i < count(t); ++i) visit(start(t) + i, row(i), t);
    }
  }
  // visit(row, length, i), the i-th longest first
  template <typename Visit>
  void for_each_sequence(Visit&& visit) const {
    Index length = n_steps();
    for (Index i = 0; i < Index(rows_.size()); ++i) {
      while (length > 0 && count(length - 1) <= i) --length;
      visit(row(i), length, i);
    }
  }

  // What tells a packed row apart, wherever it stands: for random masks.
  std::vector<Index> numbers(Index first_row) const {
    std::vector<Index> numbers(static_cast<std::size_t>(n_rows()));
    for_each([&](Index place, Index row, Index step) {
      numbers[static_cast<std::size_t>(place)] = (first_row + row) * n_steps_ + step;
    });
    return numbers;
  }

 private:
  Index row(Index i) const { return rows_[static_cast<std::size_t>(i)]; }

  Index n_steps_;
  std::vector<Index> rows_, starts_;
};

}  // namespace sklearn_backprop
