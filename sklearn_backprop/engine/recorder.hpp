// What training did to each recorded array, in norms: it reads and never writes what
// training uses.
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <stdexcept>
#include <string>
#include <vector>

#include "gradient.hpp"
#include "network.hpp"
#include "probes.hpp"

namespace sklearn_backprop {

enum class RecordMode { none, epoch, batch };

inline RecordMode record_mode_of(const std::string& name) {
  if (name == "epoch") return RecordMode::epoch;
  if (name == "batch") return RecordMode::batch;
  throw std::invalid_argument("Unknown record '" + name + "'.");
}

// What a record measures, in the order of its row: C numbers for each of the first
// names, one for every recorded array, then one for each of the others; last the norm
// of dJ/d(state) for every recurrent layer and step.
constexpr std::array array_measures = {"gradient_norm", "gradient_norm_max",
                                       "update_ratio", "dead_fraction",
                                       "saturated_fraction"};
constexpr std::array step_measures = {"clipped_fraction", "global_norm"};

template <typename T>
class Recorder {
 public:
  Recorder(RecordMode mode, const Network<T>& network, int team_size)
      : mode_(mode),
        n_columns_(static_cast<std::size_t>(network.n_columns())),
        n_times_(static_cast<std::size_t>(network.n_recurrent() * network.n_steps())) {
    if (mode_ == RecordMode::none) return;
    const UnitProbe<T> units(network.columns_of_layers(), network.n_columns());
    const TimeProbe<T> time(network.recurrences(), network.n_recurrent(),
                            network.n_steps());
    probes_.assign(static_cast<std::size_t>(team_size), RecordProbe<T>(units, time));
    clear();
  }

  bool is_on() const { return mode_ != RecordMode::none; }
  // What counts units in one member's rows; null while nothing is recorded.
  Probe<T>* probe(int rank) {
    return is_on() ? &probes_[static_cast<std::size_t>(rank)] : nullptr;
  }

  // After the optimizer's step, whose update of each array, relative to it, is given.
  void add_step(const GradientMeasures& gradient, bool was_clipped,
                const std::vector<double>& update_ratio) {
    for (std::size_t c = 0; c < n_columns_; ++c) {
      const double squares = gradient.column_squares[c];
      squares_[c] += squares;
      if (!(squares <= most_squares_[c])) most_squares_[c] = squares;  // NaN stays
      ratio_[c] += update_ratio[c];
    }
    global_squares_ += gradient.squares;
    n_clipped_ += was_clipped ? 1 : 0;
    ++n_steps_;
    if (mode_ == RecordMode::batch) close();
  }

  // The records, one row after the other, and the width of a row.
  const std::vector<double>& finish() {
    if (is_on() && n_steps_ > 0) close();
    return records_;
  }
  std::size_t width() const {
    return array_measures.size() * n_columns_ + step_measures.size() + n_times_;
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
    for (std::size_t t = 0; t < n_times_; ++t) {
      records_.push_back(std::sqrt(squares_in_time(t) * share));
    }
    clear();
  }

  template <typename Measure>
  void put(const Measure& measure) {
    for (std::size_t c = 0; c < n_columns_; ++c) records_.push_back(measure(c));
  }

  double dead_fraction(std::size_t c) const {
    std::vector<unsigned char> is_alive;
    for (const RecordProbe<T>& probe : probes_) {
      const auto& alive_here = probe.units.counts()[c].is_alive;
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
    for (const RecordProbe<T>& probe : probes_) {
      n_saturated += probe.units.counts()[c].n_saturated;
      n_seen += probe.units.counts()[c].n_seen;
    }
    return share_of(n_saturated, n_seen);
  }

  double squares_in_time(std::size_t t) const {
    double sum = std::numeric_limits<double>::quiet_NaN();
    for (const RecordProbe<T>& probe : probes_) {
      const double own = probe.time.squares()[t];
      if (!std::isnan(own)) sum = std::isnan(sum) ? own : sum + own;
    }
    return sum;
  }

  // NaN where there is nothing to count: no activation follows that array.
  static double share_of(double part, double whole) {
    return whole > 0 ? part / whole : std::numeric_limits<double>::quiet_NaN();
  }

  void clear() {
    squares_.assign(n_columns_, 0);
    most_squares_.assign(n_columns_, 0);
    ratio_.assign(n_columns_, 0);
    global_squares_ = 0;
    n_clipped_ = n_steps_ = 0;
    for (RecordProbe<T>& probe : probes_) probe.clear();
  }

  RecordMode mode_;
  std::size_t n_columns_, n_times_;
  std::vector<RecordProbe<T>> probes_;  // one for each member of the team
  std::vector<double> squares_, most_squares_, ratio_;
  double global_squares_ = 0;
  Index n_clipped_ = 0, n_steps_ = 0;
  std::vector<double> records_;
};

}  // namespace sklearn_backprop
