// What training did to each weight matrix, in norms: it reads and never writes what
// training uses.
#pragma once

#include <algorithm>
#include <cmath>
#include <limits>
#include <stdexcept>
#include <string>
#include <vector>

#include "layers.hpp"

namespace sklearn_backprop {

enum class RecordMode { none, epoch, batch };

inline RecordMode record_mode_of(const std::string& name) {
  if (name == "epoch") return RecordMode::epoch;
  if (name == "batch") return RecordMode::batch;
  throw std::invalid_argument("Unknown record '" + name + "'.");
}

// One row per record; the first five have one column per dense layer.
struct Records {
  std::vector<double> gradient_norm, gradient_norm_max, update_ratio, dead_fraction,
      saturated_fraction, clipped_fraction, global_norm;
};

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
      ratio_[c] += ratio(sum_of_squares(change + segment.begin, segment.size()),
                         sum_of_squares(theta + segment.begin, segment.size()));
    }
    global_squares_ += step.global_squares;
    n_clipped_ += step.was_clipped ? 1 : 0;
    ++n_steps_;
    if (mode_ == RecordMode::batch) close();
  }

  Records finish() {
    if (is_on() && n_steps_ > 0) close();
    return records_;
  }

 private:
  static double ratio(double change_squares, double weight_squares) {
    return change_squares > 0 ? std::sqrt(change_squares / weight_squares) : 0.0;
  }

  void close() {
    const double share = 1.0 / double(n_steps_);
    for (std::size_t c = 0; c < n_columns_; ++c) {
      records_.gradient_norm.push_back(std::sqrt(squares_[c] * share));
      records_.gradient_norm_max.push_back(std::sqrt(most_squares_[c]));
      records_.update_ratio.push_back(ratio_[c] * share);
      close_units(c);
    }
    records_.clipped_fraction.push_back(double(n_clipped_) * share);
    records_.global_norm.push_back(std::sqrt(global_squares_ * share));
    clear();
  }

  void close_units(std::size_t c) {
    std::vector<unsigned char> is_alive;
    double n_seen = 0, n_saturated = 0;
    for (const auto& counts_of_thread : unit_counts_) {
      const UnitCounts& counts = counts_of_thread[c];
      is_alive.resize(std::max(is_alive.size(), counts.is_alive.size()));
      for (std::size_t j = 0; j < counts.is_alive.size(); ++j) {
        is_alive[j] = static_cast<unsigned char>(is_alive[j] | counts.is_alive[j]);
      }
      n_seen += counts.n_seen;
      n_saturated += counts.n_saturated;
    }
    const double nothing = std::numeric_limits<double>::quiet_NaN();
    const auto n_dead = std::count(is_alive.begin(), is_alive.end(), 0);
    records_.dead_fraction.push_back(
        n_seen > 0 ? double(n_dead) / double(is_alive.size()) : nothing);
    records_.saturated_fraction.push_back(n_seen > 0 ? n_saturated / n_seen : nothing);
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
  Records records_;
};

}  // namespace sklearn_backprop
