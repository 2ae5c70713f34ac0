// What training did to each weight matrix, in norms: it reads and never writes what
// training uses.
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <stdexcept>
#include <string>
#include <vector>

#include "layers.hpp"
#include "norms.hpp"

namespace sklearn_backprop {

enum class RecordMode { none, epoch, batch };

inline RecordMode record_mode_of(const std::string& name) {
  if (name == "epoch") return RecordMode::epoch;
  if (name == "batch") return RecordMode::batch;
  throw std::invalid_argument("Unknown record '" + name + "'.");
}

// What a record measures, in the order of its row: C numbers for each of the first
// names, one per dense layer, then one for each of the others.
constexpr std::array layer_measures = {"gradient_norm", "gradient_norm_max",
                                       "update_ratio", "dead_fraction",
                                       "saturated_fraction"};
constexpr std::array step_measures = {"clipped_fraction", "global_norm"};

// Squared norms that a step takes anyway, and whether it was clipped.
struct StepMeasures {
  std::vector<double> gradient_squares;  // per column, of W's gradient
  double global_squares = 0;
  bool was_clipped = false;
};

class Recorder {
 public:
  Recorder(RecordMode mode, Index n_columns, int n_threads)
      : mode_(mode), n_columns_(static_cast<std::size_t>(n_columns)) {
    if (mode_ == RecordMode::none) return;
    unit_counts_.assign(static_cast<std::size_t>(n_threads),
                        std::vector<UnitCounts>(n_columns_));
    clear();
  }

  bool is_on() const { return mode_ != RecordMode::none; }
  // Where activations count their units, per thread; null while nothing is recorded.
  std::vector<std::vector<UnitCounts>>* unit_counts() {
    return is_on() ? &unit_counts_ : nullptr;
  }

  // After the optimizer: `change` holds what it added to theta.
  template <typename T>
  void add_step(const StepMeasures& step, const std::vector<Segment>& segments,
                const T* change, const T* theta) {
    if (!is_on()) return;
    for (const Segment& segment : segments) {
      if (segment.kind != Segment::Kind::weight) continue;
      const auto c = static_cast<std::size_t>(segment.column);
      const double squares = step.gradient_squares[c];
      squares_[c] += squares;
      most_squares_[c] = std::max(most_squares_[c], squares);
      ratio_[c] +=
          ratio_of_norms(change + segment.begin, theta + segment.begin, segment.size());
    }
    global_squares_ += step.global_squares;
    n_clipped_ += step.was_clipped ? 1 : 0;
    ++n_steps_;
    if (mode_ == RecordMode::batch) close();
  }

  // The records, one row after the other, and the width of a row.
  const std::vector<double>& finish() {
    if (is_on() && n_steps_ > 0) close();
    return records_;
  }
  std::size_t width() const {
    return layer_measures.size() * n_columns_ + step_measures.size();
  }

 private:
  void close() {
    const double share = 1.0 / double(n_steps_);
    put([&](std::size_t c) { return std::sqrt(squares_[c] * share); });
    put([&](std::size_t c) { return std::sqrt(most_squares_[c]); });
    put([&](std::size_t c) { return ratio_[c] * share; });
    put([&](std::size_t c) { return dead_fraction(c); });
    put([&](std::size_t c) { return saturated_fraction(c); });
    records_.push_back(double(n_clipped_) * share);
    records_.push_back(std::sqrt(global_squares_ * share));
    clear();
  }

  template <typename Measure>
  void put(const Measure& measure) {
    for (std::size_t c = 0; c < n_columns_; ++c) records_.push_back(measure(c));
  }

  double dead_fraction(std::size_t c) const {
    std::vector<unsigned char> is_alive;
    for (const auto& counts_of_thread : unit_counts_) {
      const auto& alive_here = counts_of_thread[c].is_alive;
      is_alive.resize(std::max(is_alive.size(), alive_here.size()));
      for (std::size_t j = 0; j < alive_here.size(); ++j) {
        is_alive[j] = static_cast<unsigned char>(is_alive[j] | alive_here[j]);
      }
    }
    const auto n_dead = std::count(is_alive.begin(), is_alive.end(), 0);
    return share_of(double(n_dead), double(is_alive.size()));
  }

  double saturated_fraction(std::size_t c) const {
    double n_saturated = 0, n_seen = 0;
    for (const auto& counts_of_thread : unit_counts_) {
      n_saturated += counts_of_thread[c].n_saturated;
      n_seen += counts_of_thread[c].n_seen;
    }
    return share_of(n_saturated, n_seen);
  }

  // NaN where there is nothing to count: a dense layer without an activation.
  static double share_of(double part, double whole) {
    return whole > 0 ? part / whole : std::numeric_limits<double>::quiet_NaN();
  }

  void clear() {
    squares_.assign(n_columns_, 0);
    most_squares_.assign(n_columns_, 0);
    ratio_.assign(n_columns_, 0);
    global_squares_ = 0;
    n_clipped_ = n_steps_ = 0;
    for (auto& counts_of_thread : unit_counts_) {
      for (UnitCounts& counts : counts_of_thread) counts.clear();
    }
  }

  RecordMode mode_;
  std::size_t n_columns_;
  std::vector<std::vector<UnitCounts>> unit_counts_;
  std::vector<double> squares_, most_squares_, ratio_;
  double global_squares_ = 0;
  Index n_clipped_ = 0, n_steps_ = 0;
  std::vector<double> records_;
};

}  // namespace sklearn_backprop
