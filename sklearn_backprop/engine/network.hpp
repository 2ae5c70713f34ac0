// The network: a chain of layers and a head, over one flat parameter vector.
#pragma once

#include <algorithm>
#include <memory>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "head.hpp"
#include "layers/registry.hpp"
#include "parameters.hpp"
#include "products.hpp"

namespace sklearn_backprop {

// The rows of one fit; weight is null where all are 1.
template <typename T>
struct Data {
  Rows<T> x;
  const T* y = nullptr;
  const T* weight = nullptr;
};

// Some of them: rows order[first], ... of the data (first, ... without an order). Where
// members have rows of their own, `width` rows of the data stand at each place.
struct Selection {
  const std::int64_t* order = nullptr;
  Index first = 0;
  Index count = 0;
  Index width = 1;

  Index n_sources() const { return count * width; }
  Index source(Index i) const {
    return order != nullptr ? order[first * width + i] : first + i;
  }
  Selection part(Index begin, Index n) const {
    return {order, first + begin, n, width};
  }
};

template <typename T>
double weight_of(const Data<T>& data, Selection rows) {
  if (data.weight == nullptr) return double(rows.n_sources());
  double total = 0;
  for (Index i = 0; i < rows.n_sources(); ++i)
    total += double(data.weight[rows.source(i)]);
  return total;
}

template <typename T>
class Network {
 public:
  Network(ParameterTable table, const std::vector<Spec>& layers,
          std::unique_ptr<losses::Loss<T>> loss, Index n_members)
      : table_(std::move(table)),
        builder_(table_),
        chain_(builder_.chain(layers)),
        head_(std::move(loss), chain_.n_outputs(), n_members) {
    builder_.check_that_all_is_taken();
    chain_.reserve(layout_);
    head_.reserve(layout_);
    input_ = layout_.reserve(n_members * n_inputs());
    target_ = layout_.reserve(n_members * head_.n_targets());
    output_ = layout_.reserve(head_.n_raw());
  }
  Network(const Network&) = delete;
  Network& operator=(const Network&) = delete;

  const ParameterTable& table() const { return table_; }
  const Head<T>& head() const { return head_; }
  Index n_inputs() const { return chain_.n_inputs(); }
  Index n_parameters() const { return table_.n_parameters(); }
  Index n_columns() const { return table_.n_columns(); }
  Index n_running() const { return builder_.n_running(); }
  Index n_constants() const { return builder_.n_constants(); }
  bool reads_running_in_training() const {
    return builder_.reads_running_in_training();
  }
  bool couples_rows() const { return chain_.couples_rows(); }
  // About how many multiply-adds a row takes forward.
  double products_per_row() const {
    return double(n_parameters()) * double(chain_.rows_per_row());
  }
  // Of each layer, by its number: the column of the records that it belongs to.
  const std::vector<Index>& columns_of_layers() const { return builder_.columns(); }

  // The same among recurrent layers, and how many of them there are, with so many
  // steps.
  const std::vector<Index>& recurrences() const { return builder_.recurrences(); }
  Index n_recurrent() const { return builder_.n_recurrent(); }
  Index n_steps() const { return chain_.rows_per_row(); }

  // Rows that pass at once: few enough for the workspace to stay in the cache.
  Index rows_at_once() const {
    constexpr Index elements = Index(1) << 17;
    const Index least = std::max<Index>(16, 256 / chain_.rows_per_row());
    return std::max(least, elements / std::max<Index>(1, layout_.per_row()));
  }
  Workspace<T> make_workspace(Index max_rows) const {
    return Workspace<T>(layout_, max_rows);
  }

  // Raw outputs of the selected rows, in the workspace.
  Matrix<T> forward(Pass<T>& pass, const Data<T>& data, Selection rows) const {
    const Matrix<T> f = raw_outputs(pass, rows);
    chain_.forward(pass, inputs(pass, data, rows), f);
    return f;
  }
  // Sum of loss_share_i * loss_i over the selected rows.
  double value(Pass<T>& pass, const Data<T>& data, Selection rows) const {
    return value_and_delta(pass, data, rows, forward(pass, data, rows));
  }
  // The same, and its gradient; also that of the inputs where the pass wants it.
  double value_and_gradient(Pass<T>& pass, const Data<T>& data, Selection rows) const {
    return forward_and_backward(pass, data, rows, [&](const Matrix<T>& f) {
      return value_and_delta(pass, data, rows, f);
    });
  }
  // pass.input_gradient becomes the derivative of each row's prediction k.
  void differentiate_prediction(Pass<T>& pass, const Data<T>& data, Selection rows,
                                Index k) const {
    forward_and_backward(pass, data, rows, [&](const Matrix<T>& f) {
      head_.differentiate(f, k);
      return 0.0;
    });
  }

 private:
  // differentiate(f): the value of raw outputs, which become its derivative.
  template <typename Differentiate>
  double forward_and_backward(Pass<T>& pass, const Data<T>& data, Selection rows,
                              Differentiate&& differentiate) const {
    const Rows<T> x = inputs(pass, data, rows);
    const Matrix<T> f = raw_outputs(pass, rows);
    chain_.forward(pass, x, f);
    const double value = differentiate(f);
    Matrix<T> delta_x;
    if (pass.input_gradient != nullptr) {
      delta_x = {pass.input_gradient, rows.count, n_inputs(), n_inputs()};
    }
    chain_.backward(pass, x, f, f, delta_x);
    return value;
  }

  Matrix<T> raw_outputs(Pass<T>& pass, Selection rows) const {
    return pass.workspace->matrix(output_, rows.count, head_.n_raw());
  }

  // Views of the data where they lie in order, copies in the workspace otherwise.
  Rows<T> inputs(Pass<T>& pass, const Data<T>& data, Selection rows) const {
    Rows<T> x = data.x;
    x.dense.rows = rows.n_sources();
    x.first = rows.first;
    x.order = rows.order != nullptr ? rows.order + rows.first * rows.width : nullptr;
    if (x.is_sparse() && chain_.reads_sparse()) return x;
    const Matrix<T> copy = pass.workspace->matrix(input_, x.dense.rows, n_inputs());
    if (x.is_sparse()) {
      copy_rows(x, copy);
    } else if (rows.order == nullptr) {
      x.dense.data += rows.first * x.dense.stride;
      x.is_far = true;
      return x;
    } else {
      for (Index i = 0; i < copy.rows; ++i) {
        std::copy_n(data.x.dense.row(rows.source(i)), n_inputs(), copy.row(i));
      }
    }
    const Index cols = rows.width * n_inputs();
    return Rows<T>(Matrix<T>{copy.data, rows.count, cols, cols});
  }

  const T* targets(Pass<T>& pass, const Data<T>& data, Selection rows) const {
    const Index k = head_.n_targets();
    if (rows.order == nullptr) return data.y + rows.first * k;
    T* copy = pass.workspace->at(target_);
    if (k == 1) {
      for (Index i = 0; i < rows.n_sources(); ++i) copy[i] = data.y[rows.source(i)];
      return copy;
    }
    for (Index i = 0; i < rows.n_sources(); ++i) {
      std::copy_n(data.y + rows.source(i) * k, k, copy + i * k);
    }
    return copy;
  }

  double value_and_delta(Pass<T>& pass, const Data<T>& data, Selection rows,
                         const Matrix<T>& f) const {
    return head_.value_and_delta(*pass.workspace, f, targets(pass, data, rows),
                                 pass.loss_share, rows.width);
  }

  ParameterTable table_;
  Builder<T> builder_;
  Chain<T> chain_;
  Head<T> head_;
  Layout layout_;
  Slot input_, target_, output_;
};

}  // namespace sklearn_backprop
