// The table of parameters: one row for every array that theta holds.
#pragma once

#include <algorithm>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "simd.hpp"

namespace sklearn_backprop {

struct Parameter {
  std::string name;
  Index begin = 0;  // in theta
  Index size = 0;
  double penalty = 0;  // factor of alpha, and whether weights decay; 0: neither
  double rate = 1;     // factor of the learning rate; 0: frozen
  bool is_recorded = false;
  Index column = -1;  // of the records
  // The shape of the matrices that the array is made of, where an optimizer may treat
  // them as such; 0: it is none.
  Index matrix_rows = 0;
  Index matrix_cols = 0;

  Index end() const { return begin + size; }
  bool is_frozen() const { return rate == 0; }
  Index matrix_size() const { return matrix_rows * matrix_cols; }
  Index n_matrices() const { return matrix_size() == 0 ? 0 : size / matrix_size(); }
};

class ParameterTable {
 public:
  explicit ParameterTable(std::vector<Parameter> rows) : rows_(std::move(rows)) {
    Index end = 0;
    for (Parameter& row : rows_) {
      if (row.begin != end || row.size < 0) {
        throw std::invalid_argument(
            "The rows of the table must cover theta without gaps or overlaps: '" +
            row.name + "' begins at " + std::to_string(row.begin) +
            ", the row before ends at " + std::to_string(end) + ".");
      }
      if (row.n_matrices() * row.matrix_size() != row.size && row.matrix_size() != 0) {
        throw std::invalid_argument("The array '" + row.name + "' of " +
                                    std::to_string(row.size) +
                                    " elements is not made of matrices of " +
                                    std::to_string(row.matrix_size()) + ".");
      }
      end = row.end();
      if (row.is_recorded) row.column = n_columns_++;
      has_one_rate_ = has_one_rate_ && row.rate == 1;
    }
    n_parameters_ = end;
  }

  const std::vector<Parameter>& rows() const { return rows_; }
  Index size() const { return static_cast<Index>(rows_.size()); }
  const Parameter& at(Index row) const {
    if (row >= 0 && row < size()) return rows_[static_cast<std::size_t>(row)];
    throw std::invalid_argument("The table of parameters has no row " +
                                std::to_string(row) + ".");
  }
  Index n_parameters() const { return n_parameters_; }
  Index n_columns() const { return n_columns_; }
  // Whether all arrays take the same step: no rates of their own.
  bool has_one_rate() const { return has_one_rate_; }

  // visit(row, begin, end) for the part of every row that lies in [begin, end) of theta
  template <typename Visit>
  void for_each_in(Index begin, Index end, Visit&& visit) const {
    auto behind = [](Index at, const Parameter& row) { return at < row.end(); };
    auto row = std::upper_bound(rows_.begin(), rows_.end(), begin, behind);
    for (; row != rows_.end() && row->begin < end; ++row) {
      visit(*row, std::max(begin, row->begin), std::min(end, row->end()));
    }
  }

 private:
  std::vector<Parameter> rows_;
  Index n_parameters_ = 0;
  Index n_columns_ = 0;
  bool has_one_rate_ = true;
};

}  // namespace sklearn_backprop
