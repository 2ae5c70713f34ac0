// What looks at a pass without changing it.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <limits>
#include <map>
#include <utility>
#include <vector>

#include "layers/layer.hpp"
#include "norms.hpp"

namespace sklearn_backprop {

// What the units did that report to one column of the records.
struct UnitCounts {
  std::vector<unsigned char> is_alive;  // per unit, of all copies of the layer
  std::vector<Index> n_alive;           // per copy
  double n_saturated = 0;               // (row, unit) pairs
  double n_seen = 0;

  // How many of the `width` units of a copy are alive; makes room for them.
  Index& of_copy(Index copy, Index width) {
    const auto n = static_cast<std::size_t>(copy + 1);
    is_alive.resize(std::max(is_alive.size(), n * static_cast<std::size_t>(width)));
    n_alive.resize(std::max(n_alive.size(), n));
    return n_alive[n - 1];
  }
  void clear() {
    std::fill(is_alive.begin(), is_alive.end(), static_cast<unsigned char>(0));
    std::fill(n_alive.begin(), n_alive.end(), Index(0));
    n_saturated = n_seen = 0;
  }
};

// Counts dead and saturated units, by the column in which their layer reports.
template <typename T>
class UnitProbe final : public Probe<T> {
 public:
  // columns: of each layer by its number, or -1
  UnitProbe(const std::vector<Index>& columns, Index n_columns)
      : columns_(&columns), counts_(static_cast<std::size_t>(n_columns)) {}

  void after_forward(Pass<T>& pass, const Layer<T>& layer, const Rows<T>& x,
                     const Matrix<T>& y) override {
    const Units<T>* units = layer.units();
    if (units == nullptr) return;
    const Index column = (*columns_)[static_cast<std::size_t>(layer.number)];
    if (column < 0) return;
    UnitCounts& counts = counts_[static_cast<std::size_t>(column)];
    Index& n_alive = counts.of_copy(layer.copy, y.cols);
    if (n_alive < y.cols) {
      unsigned char* is_alive = counts.is_alive.data() + layer.copy * y.cols;
      n_alive = units->mark_alive(pass, x, y, is_alive);
    }
    counts.n_seen += double(y.rows * y.cols);
    counts.n_saturated += units->count_saturated(y);
  }

  const std::vector<UnitCounts>& counts() const { return counts_; }
  void clear() {
    for (UnitCounts& counts : counts_) counts.clear();
  }

 private:
  const std::vector<Index>* columns_;
  std::vector<UnitCounts> counts_;
};

// Sums the squares of dJ/d(state) over rows, for each recurrent layer and step; NaN
// where no row had one, or where it was not asked for.
template <typename T>
class TimeProbe final : public Probe<T> {
 public:
  // recurrences: of each layer by its number, its place among recurrent ones
  TimeProbe(const std::vector<Index>& recurrences, Index n_recurrent, Index n_steps)
      : recurrences_(&recurrences),
        n_steps_(n_steps),
        squares_(static_cast<std::size_t>(n_recurrent * n_steps)) {
    clear();
  }

  void at_step(Pass<T>&, const Layer<T>& layer, Index step,
               const Matrix<T>& delta) override {
    const Index place = (*recurrences_)[static_cast<std::size_t>(layer.number)];
    double& sum = squares_[static_cast<std::size_t>(place * n_steps_ + step)];
    if (std::isnan(sum)) sum = 0;
    for (Index i = 0; i < delta.rows; ++i) {
      sum += sum_of_squares<T>(delta.row(i), delta.cols);
    }
  }

  // (n_recurrent, n_steps)
  const std::vector<double>& squares() const { return squares_; }
  void clear() {
    std::fill(squares_.begin(), squares_.end(),
              std::numeric_limits<double>::quiet_NaN());
  }

 private:
  const std::vector<Index>* recurrences_;
  Index n_steps_;
  std::vector<double> squares_;
};

// What training records of one member's rows.
template <typename T>
struct RecordProbe final : public Probe<T> {
  RecordProbe(UnitProbe<T> of_units, TimeProbe<T> of_time)
      : units(std::move(of_units)), time(std::move(of_time)) {}

  void after_forward(Pass<T>& pass, const Layer<T>& layer, const Rows<T>& x,
                     const Matrix<T>& y) override {
    units.after_forward(pass, layer, x, y);
  }
  void at_step(Pass<T>& pass, const Layer<T>& layer, Index step,
               const Matrix<T>& delta) override {
    time.at_step(pass, layer, step, delta);
  }
  void clear() {
    units.clear();
    time.clear();
  }

  UnitProbe<T> units;
  TimeProbe<T> time;
};

// Finds the first layer whose output is not finite.
template <typename T>
class DivergenceProbe final : public Probe<T> {
 public:
  void after_forward(Pass<T>&, const Layer<T>& layer, const Rows<T>&,
                     const Matrix<T>& y) override {
    if (number_ < 0 && !is_finite(y)) number_ = layer.number;
  }
  // Its number, or -1.
  Index number() const { return number_; }

 private:
  static bool is_finite(const Matrix<T>& m) {
    for (Index i = 0; i < m.rows; ++i) {
      if (!std::isfinite(sum_of_squares(m.row(i), m.cols))) return false;
    }
    return true;
  }

  Index number_ = -1;
};

// Keeps a copy of all that passes between layers, by their numbers.
template <typename T>
class TraceProbe final : public Probe<T> {
 public:
  struct Copy {
    std::vector<T> values;
    Index rows = 0;
    Index cols = 0;
  };
  struct Record {
    Copy output;           // y
    Copy output_gradient;  // dJ/dy
    Copy input_gradient;   // dJ/dx; empty where it was not wanted
  };

  bool reads_deltas() const override { return true; }
  void after_forward(Pass<T>&, const Layer<T>& layer, const Rows<T>&,
                     const Matrix<T>& y) override {
    records_[layer.number].output = copy_of(y);
  }
  void before_backward(Pass<T>&, const Layer<T>& layer,
                       const Matrix<T>& delta_y) override {
    records_[layer.number].output_gradient = copy_of(delta_y);
  }
  void after_backward(Pass<T>&, const Layer<T>& layer, const Rows<T>&,
                      const Matrix<T>& delta_x) override {
    if (!delta_x.empty()) records_[layer.number].input_gradient = copy_of(delta_x);
  }
  const std::map<Index, Record>& records() const { return records_; }

 private:
  static Copy copy_of(const Matrix<T>& m) {
    Copy copy{std::vector<T>(static_cast<std::size_t>(m.rows * m.cols)), m.rows,
              m.cols};
    for (Index i = 0; i < m.rows; ++i) {
      std::copy_n(m.row(i), m.cols, copy.values.data() + i * m.cols);
    }
    return copy;
  }

  std::map<Index, Record> records_;
};

}  // namespace sklearn_backprop
