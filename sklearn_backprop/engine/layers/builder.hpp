// From specifications to layers, and where each finds its numbers.
#pragma once

#include <algorithm>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "../parameters.hpp"
#include "chain.hpp"
#include "spec.hpp"

namespace sklearn_backprop {

template <typename T>
class Builder {
 public:
  explicit Builder(const ParameterTable& table)
      : table_(&table), is_taken_(table.rows().size()) {}

  // Where the array that `key` names begins in theta. It has that size, or is cut into
  // consecutive rows of the table that have it together.
  Index parameter(const Spec& spec, const std::string& key, Index size) {
    const Index first = spec.index(key), expected = size * n_copies_;
    Index row = first, found = 0;
    do {
      found += take(row++).size;
    } while (found < expected && row < table_->size());
    const Parameter& parameter = table_->at(first);
    if (found != expected) {
      throw std::invalid_argument("'" + parameter.name + "' has " +
                                  std::to_string(found) + " elements, but '" + key +
                                  "' of its layer of kind '" + spec.kind + "' needs " +
                                  std::to_string(expected) + ".");
    }
    return parameter.begin + copy_ * size;
  }
  // The same, or -1 where the specification does not name one.
  Index parameter_or_none(const Spec& spec, const std::string& key, Index size) {
    return spec.has(key) ? parameter(spec, key, size) : Index(-1);
  }
  // Where `size` running statistics begin.
  Index running(const Spec& spec, const std::string& key, Index size) {
    return reserve(spec, key, size * n_copies_, n_running_) + copy_ * size;
  }
  // Says that training reads running statistics, too: some are frozen.
  void read_running_in_training() { reads_running_ = true; }
  bool reads_running_in_training() const { return reads_running_; }
  // Where `size` constants begin.
  Index constants(const Spec& spec, const std::string& key, Index size) {
    return reserve(spec, key, size, n_constants_);
  }
  // Tells layers apart that draw random numbers.
  Index next_random_stream() { return n_random_streams_++; }

  LayerPointer<T> layer(const Spec& spec);  // in registry.hpp

  Chain<T> chain(const std::vector<Spec>& specs) {
    if (specs.empty()) throw std::invalid_argument("A list of layers is empty.");
    std::vector<LayerPointer<T>> made;
    for (const Spec& spec : specs) {
      made.push_back(numbered_layer(spec));
      check_width(made);
    }
    return Chain<T>(std::move(made));
  }
  // A layer with its place among all.
  LayerPointer<T> numbered_layer(const Spec& spec) {
    const auto number = static_cast<std::size_t>(n_numbered_++);
    columns_.resize(std::max(columns_.size(), number + 1), -1);
    const Index n_trained = n_trained_;
    LayerPointer<T> made = layer(spec);
    made->is_trained = n_trained_ > n_trained;
    made->number = static_cast<Index>(number);
    made->copy = copy_;
    columns_[number] = last_column_;
    recurrences_.resize(columns_.size(), -1);
    if (made->is_recurrent()) recurrences_[number] = n_recurrent_++;
    return made;
  }
  // The same layers n times: their arrays lie one copy's after the other's, constants
  // are common to all.
  std::vector<Chain<T>> copies(Index n, const std::vector<Spec>& specs) {
    if (n_copies_ > 1) throw std::invalid_argument("Members hold no members.");
    std::vector<Chain<T>> made;
    const Index first = n_numbered_, column = last_column_;
    n_copies_ = n;
    for (copy_ = 0; copy_ < n; ++copy_) {
      n_numbered_ = first;
      last_column_ = column;
      made.push_back(chain(specs));
    }
    copy_ = 0;
    n_copies_ = 1;
    return made;
  }
  // The layers that a block holds, of those widths.
  Chain<T> block(const Spec& spec, Index n_in, Index n_out) {
    Chain<T> made = chain(spec.layers);
    if (made.n_inputs() == n_in && made.n_outputs() == n_out) return made;
    throw std::invalid_argument("A block's n_in or n_out is not that of its layers.");
  }

  Index n_running() const { return n_running_; }
  Index n_constants() const { return n_constants_; }
  // Of each layer, by its number: the column of the last recorded array up to it.
  const std::vector<Index>& columns() const { return columns_; }
  // Of each layer, by its number: its place among the recurrent ones, or -1.
  const std::vector<Index>& recurrences() const { return recurrences_; }
  Index n_recurrent() const { return n_recurrent_; }
  void check_that_all_is_taken() const {
    const auto left = std::find(is_taken_.begin(), is_taken_.end(), false);
    if (left == is_taken_.end()) return;
    throw std::invalid_argument("No layer reads '" +
                                table_->at(left - is_taken_.begin()).name + "'.");
  }

 private:
  // Marks a row as some layer's.
  const Parameter& take(Index row) {
    const Parameter& parameter = table_->at(row);
    if (is_taken_[static_cast<std::size_t>(row)] && copy_ == 0) {
      throw std::invalid_argument("'" + parameter.name + "' belongs to two layers.");
    }
    is_taken_[static_cast<std::size_t>(row)] = true;
    last_column_ = std::max(last_column_, parameter.column);
    if (!parameter.is_frozen()) ++n_trained_;
    return parameter;
  }

  static Index reserve(const Spec& spec, const std::string& key, Index size,
                       Index& total) {
    const Index begin = spec.index(key);
    total = std::max(total, begin + size);
    return begin;
  }

  static void check_width(const std::vector<LayerPointer<T>>& made) {
    if (made.size() < 2) return;
    const Index width = made[made.size() - 2]->n_outputs();
    if (made.back()->n_inputs() == width) return;
    throw std::invalid_argument(
        "A layer reads " + std::to_string(made.back()->n_inputs()) +
        " columns, but the one before gives " + std::to_string(width) + ".");
  }

  const ParameterTable* table_;
  std::vector<bool> is_taken_;
  std::vector<Index> columns_, recurrences_;
  Index n_numbered_ = 0, n_recurrent_ = 0;
  Index copy_ = 0, n_copies_ = 1;
  Index last_column_ = -1;
  Index n_trained_ = 0;  // arrays so far
  Index n_running_ = 0;
  bool reads_running_ = false;
  Index n_constants_ = 0;
  Index n_random_streams_ = 0;
};

}  // namespace sklearn_backprop
