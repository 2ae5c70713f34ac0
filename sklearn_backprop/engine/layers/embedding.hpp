// What embeddings of numbers share: which columns they read, and values that are
// missing.
#pragma once

#include <cmath>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "beside.hpp"
#include "builder.hpp"

namespace sklearn_backprop {

// The columns that are embedded, each into `size` numbers. A missing value (NaN) gives
// the vector of its column, or zeros where the column has none.
struct EmbeddedColumns {
  Index n_in = 0, size = 0;
  std::vector<Index> columns;
  Index missing = -1;             // where the vectors begin in theta
  std::vector<Index> missing_at;  // of each column: its vector's number, or -1

  template <typename T>
  static EmbeddedColumns read(const Spec& spec, Builder<T>& builder) {
    EmbeddedColumns read;
    read.n_in = spec.index("n_in");
    read.size = spec.index("size");
    read.columns = spec.indices("columns");
    check_columns(read.columns, read.n_in);
    read.missing_at.assign(read.columns.size(), -1);
    if (!spec.has("missing")) return read;
    const std::vector<Index>& with = spec.indices("missing_columns");
    read.missing = builder.parameter(spec, "missing", Index(with.size()) * read.size);
    for (std::size_t number = 0; number < with.size(); ++number) {
      if (with[number] >= read.n_columns()) {
        throw std::invalid_argument("'missing_columns' are not among 'columns'.");
      }
      read.missing_at[static_cast<std::size_t>(with[number])] = Index(number);
    }
    return read;
  }

  Index n_columns() const { return Index(columns.size()); }
  Index width() const { return n_columns() * size; }
  Index column(Index f) const { return columns[static_cast<std::size_t>(f)]; }
  // Where column f's vector begins in theta, or -1.
  Index vector_of(Index f) const {
    const Index at = missing_at[static_cast<std::size_t>(f)];
    return at < 0 ? at : missing + at * size;
  }

  // The embedding of a missing value.
  template <typename T>
  void put_missing(const T* theta, Index f, T* out) const {
    const Index vector = vector_of(f);
    if (vector < 0) {
      std::fill_n(out, size, T(0));
    } else {
      std::copy_n(theta + vector, size, out);
    }
  }
  // Its gradient.
  template <typename T>
  void add_missing(T* gradient, Index f, const T* delta) const {
    const Index vector = vector_of(f);
    for (Index j = 0; vector >= 0 && j < size; ++j) gradient[vector + j] += delta[j];
  }
  template <typename T>
  void start_sums(const Pass<T>& pass) const {
    for (Index f = 0; f < n_columns(); ++f) {
      if (vector_of(f) >= 0) pass.start_sum(vector_of(f), size);
    }
  }
};

}  // namespace sklearn_backprop
