// The network: a chain of layers and a loss, over one flat parameter vector; and the
// objective of a mini-batch with its gradient.
#pragma once

#include <algorithm>
#include <memory>
#include <numeric>
#include <stdexcept>
#include <utility>
#include <vector>

#include "layers.hpp"
#include "losses.hpp"

namespace sklearn_backprop {

// The rows of one fit; weight is null where all are 1.
template <typename T>
struct Data {
  Rows<T> x;
  const T* y = nullptr;
  const T* weight = nullptr;
  Index n_outputs = 0;
};

// Some of them: rows order[first], ... of the data (first, ... without an order).
struct Selection {
  const std::int64_t* order = nullptr;
  Index first = 0;
  Index count = 0;

  Index source(Index i) const {
    return order != nullptr ? order[first + i] : first + i;
  }
  Selection part(Index begin, Index n) const { return {order, first + begin, n}; }
};

template <typename T>
class Network {
 public:
  Network(Chain<T> chain, std::unique_ptr<losses::Loss<T>> loss, Index n_running)
      : chain_(std::move(chain)), loss_(std::move(loss)), n_running_(n_running) {
    chain_.reserve(layout_);
    input_ = layout_.reserve(n_inputs());
    for (Slot* slot : {&target_, &output_, &scratch_}) {
      *slot = layout_.reserve(n_outputs());
    }
    chain_.append_segments(segments_);
    check_segments();
  }

  Index n_inputs() const { return chain_.n_inputs(); }
  Index n_outputs() const { return chain_.n_outputs(); }
  Index n_parameters() const { return segments_.back().end; }
  Index n_running() const { return n_running_; }
  Index n_columns() const { return n_columns_; }
  bool couples_rows() const { return chain_.couples_rows(); }
  bool drops_units() const { return chain_.drops_units(); }
  const std::vector<Segment>& segments() const { return segments_; }

  // Rows that pass at once: few enough for the workspace to stay in the cache.
  Index rows_at_once() const {
    constexpr Index elements = Index(1) << 20;
    return std::max<Index>(256, elements / std::max<Index>(1, layout_.per_row()));
  }
  Workspace<T> make_workspace(Index max_rows) const {
    return Workspace<T>(layout_, max_rows);
  }

  // Raw outputs of the selected rows, in the workspace.
  Matrix<T> forward(Pass<T>& pass, const Data<T>& data, Selection rows) const {
    const Matrix<T> f = pass.workspace->matrix(output_, rows.count, n_outputs());
    chain_.forward(pass, inputs(pass, data, rows), f);
    return f;
  }
  void apply_link(Matrix<T> f) const { loss_->apply_link(f); }

  // Sum of share_i * loss_i over the selected rows.
  double value(Pass<T>& pass, const Data<T>& data, Selection rows) const {
    return value_and_delta(pass, data, rows, forward(pass, data, rows));
  }
  // The same, and its gradient.
  double value_and_gradient(Pass<T>& pass, const Data<T>& data, Selection rows) const {
    const Rows<T> x = inputs(pass, data, rows);
    const Matrix<T> f = pass.workspace->matrix(output_, rows.count, n_outputs());
    chain_.forward(pass, x, f);
    const double value = value_and_delta(pass, data, rows, f);
    chain_.backward(pass, x, f, f, Matrix<T>{});
    return value;
  }

 private:
  // Views of the data where they lie in order, copies in the workspace otherwise.
  Rows<T> inputs(Pass<T>& pass, const Data<T>& data, Selection rows) const {
    Rows<T> x = data.x;
    x.dense.rows = rows.count;
    x.first = rows.first;
    x.order = rows.order != nullptr ? rows.order + rows.first : nullptr;
    if (x.is_sparse() && chain_.reads_sparse()) return x;
    const Matrix<T> copy = pass.workspace->matrix(input_, rows.count, n_inputs());
    if (x.is_sparse()) {
      copy_rows(x, copy);
      return Rows<T>(copy);
    }
    if (rows.order == nullptr) {
      x.dense.data += rows.first * x.dense.stride;
      return x;
    }
    for (Index i = 0; i < rows.count; ++i) {
      std::copy_n(data.x.dense.row(rows.source(i)), n_inputs(), copy.row(i));
    }
    return Rows<T>(copy);
  }

  const T* targets(Pass<T>& pass, const Data<T>& data, Selection rows) const {
    const Index k = n_outputs();
    if (rows.order == nullptr) return data.y + rows.first * k;
    T* copy = pass.workspace->at(target_);
    if (k == 1) {
      for (Index i = 0; i < rows.count; ++i) copy[i] = data.y[rows.source(i)];
      return copy;
    }
    for (Index i = 0; i < rows.count; ++i) {
      std::copy_n(data.y + rows.source(i) * k, k, copy + i * k);
    }
    return copy;
  }

  double value_and_delta(Pass<T>& pass, const Data<T>& data, Selection rows,
                         Matrix<T> f) const {
    return loss_->value_and_delta(f, targets(pass, data, rows), pass.row_share,
                                  pass.workspace->at(scratch_));
  }

  void check_segments() {
    if (segments_.empty())
      throw std::invalid_argument("A network needs a dense layer.");
    std::sort(segments_.begin(), segments_.end(),
              [](const Segment& a, const Segment& b) { return a.begin < b.begin; });
    Index end = 0;
    for (const Segment& segment : segments_) {
      if (segment.begin != end) {
        throw std::invalid_argument(
            "The layers' parameters must cover theta without gaps or overlaps: an "
            "array "
            "begins at " +
            std::to_string(segment.begin) + ", the one before ends at " +
            std::to_string(end) + ".");
      }
      end = segment.end;
      n_columns_ = std::max(n_columns_, segment.column + 1);
    }
  }

  Chain<T> chain_;
  std::unique_ptr<losses::Loss<T>> loss_;
  Index n_running_;
  Index n_columns_ = 0;
  std::vector<Segment> segments_;
  Layout layout_;
  Slot input_, target_, output_, scratch_;
};

// ---- The objective of a mini-batch --------------------------------------------------

template <typename T>
double weight_of(const Data<T>& data, Selection rows) {
  if (data.weight == nullptr) return double(rows.count);
  double total = 0;
  for (Index i = 0; i < rows.count; ++i) total += double(data.weight[rows.source(i)]);
  return total;
}

// w_i / sum of w for the selected rows; returns the sum.
template <typename T>
double row_shares(const Data<T>& data, Selection rows, std::vector<T>& share) {
  const double total = weight_of(data, rows);
  const double inverse = total > 0 ? 1 / total : 0;
  share.assign(static_cast<std::size_t>(rows.count), T(inverse));
  if (data.weight == nullptr) return total;
  for (Index i = 0; i < rows.count; ++i) {
    const double w = double(data.weight[rows.source(i)]);
    share[static_cast<std::size_t>(i)] = T(w * inverse);
  }
  return total;
}

// Walks over mini-batches: owns the workspaces and what threads sum by themselves.
template <typename T>
class Walker {
 public:
  // max_rows: the largest selection that will be walked over at a time.
  Walker(const Network<T>& network, Index max_rows, bool is_training, int n_threads)
      : network_(&network) {
    const bool couples = is_training && network.couples_rows();
    rows_at_once_ = couples ? max_rows : std::min(max_rows, network.rows_at_once());
    n_threads_ = couples ? 1 : std::max(1, n_threads);
    for (int thread = 0; thread < n_threads_; ++thread) {
      workspaces_.push_back(network.make_workspace(rows_at_once_));
    }
    partial_.resize(static_cast<std::size_t>(n_threads_ - 1));
    values_.resize(static_cast<std::size_t>(n_threads_));
  }

  int n_threads() const { return n_threads_; }

  // Mean loss over the selected rows and its gradient, without the penalty.
  // `pass` says all but where the rows and caches are. unit_counts: one per thread.
  // Calls between() now and then; it may throw.
  template <typename Between>
  double value_and_gradient(const Pass<T>& pass, const Data<T>& data, Selection rows,
                            std::vector<std::vector<UnitCounts>>* unit_counts,
                            const Between& between) {
    int team = team_size(rows.count);
    const Index most = std::min((rows.count + team - 1) / team, rows_at_once_);
    team = static_cast<int>(std::min<Index>(team, (rows.count + most - 1) / most));
    std::fill(values_.begin(), values_.end(), 0.0);
    for (Index begin = 0; begin < rows.count; begin += team * most) {
      if (begin > 0) between();
      run(team, [&](int thread) {
        const auto slot = static_cast<std::size_t>(thread);
        const Index first = begin + thread * most;
        if (first >= rows.count) return;
        Pass<T> mine = part_of(pass, slot, first);
        if (begin > 0) mine.beta = T(1);
        if (unit_counts != nullptr) mine.unit_counts = &(*unit_counts)[slot];
        const Index n = std::min(most, rows.count - first);
        values_[slot] += network_->value_and_gradient(mine, data, rows.part(first, n));
      });
    }
    add_partial_gradients(team, pass.gradient);
    return std::accumulate(values_.begin(), values_.end(), 0.0);
  }

  // Mean loss over the selected rows.
  double value(const Pass<T>& pass, const Data<T>& data, Selection rows) {
    std::vector<double> values(static_cast<std::size_t>(n_chunks(rows)));
    for_each_chunk(pass, rows, [&](Pass<T>& mine, Index chunk, Index, Selection part) {
      values[static_cast<std::size_t>(chunk)] = network_->value(mine, data, part);
    });
    double total = 0;
    for (const double part : values) total += part;
    return total;
  }

  // use(first row, raw outputs) for stretches of the selected rows
  template <typename Use>
  void outputs(const Pass<T>& pass, const Data<T>& data, Selection rows, Use use) {
    for_each_chunk(pass, rows, [&](Pass<T>& mine, Index, Index begin, Selection part) {
      use(begin, network_->forward(mine, data, part));
    });
  }

  // The dense layer whose output is the first that is not finite, or -1.
  Index divergent_column(const Pass<T>& pass, const Data<T>& data, Selection rows) {
    Pass<T> mine = pass;
    mine.workspace = &workspaces_.front();
    mine.finds_divergence = true;
    Index first = -1;
    for (Index begin = 0; begin < rows.count; begin += rows_at_once_) {
      const Index n = std::min(rows_at_once_, rows.count - begin);
      mine.first_row = begin;
      mine.row_share = pass.row_share + begin;
      mine.divergent_column = -1;
      network_->forward(mine, data, rows.part(begin, n));
      const Index column = mine.divergent_column;
      if (column >= 0 && (first < 0 || column < first)) first = column;
    }
    return first;
  }

 private:
  // Small steps stay on one thread: starting a team costs microseconds on an idle
  // machine, and on a busy one waiting for a thread that does not run costs
  // milliseconds.
  int team_size(Index n_rows) const {
    constexpr double products_per_thread = 1e7;
    const double work = 3.0 * double(n_rows) * double(network_->n_parameters());
    const double wanted = std::min(double(n_threads_), work / products_per_thread);
    return std::max(1, static_cast<int>(std::min(wanted, double(n_rows))));
  }

  template <typename Work>
  static void run(int team, const Work& work) {
#ifdef _OPENMP
    if (team > 1) {
#pragma omp parallel for num_threads(team) schedule(static, 1)
      for (int thread = 0; thread < team; ++thread) work(thread);
      return;
    }
#endif
    for (int thread = 0; thread < team; ++thread) work(thread);
  }

  T* partial_gradient(std::size_t thread) {
    auto& partial = partial_[thread - 1];
    partial.resize(static_cast<std::size_t>(network_->n_parameters()));
    return partial.data();
  }

  // For the rows from `first` on, with the caches and the gradient of one thread.
  Pass<T> part_of(const Pass<T>& pass, std::size_t thread, Index first) {
    Pass<T> mine = pass;
    mine.workspace = &workspaces_[thread];
    if (thread > 0) mine.gradient = partial_gradient(thread);
    mine.first_row = first;
    mine.row_share = pass.row_share + first;
    return mine;
  }

  // In the order of the threads, whichever came first.
  void add_partial_gradients(int team, T* gradient) {
    for (int thread = 1; thread < team; ++thread) {
      const Index n = network_->n_parameters();
      T* partial = partial_[static_cast<std::size_t>(thread - 1)].data();
      add_scaled(Matrix<T>{gradient, 1, n, n}, T(1), Matrix<T>{partial, 1, n, n});
    }
  }

  Index n_chunks(Selection rows) const {
    return (rows.count + rows_at_once_ - 1) / rows_at_once_;
  }

  template <typename Visit>
  void for_each_chunk(const Pass<T>& pass, Selection rows, const Visit& visit) {
    const Index chunks = n_chunks(rows);
    const int team = static_cast<int>(
        std::max<Index>(1, std::min<Index>(team_size(rows.count), chunks)));
    run(team, [&](int thread) {
      Pass<T> mine = pass;
      mine.workspace = &workspaces_[static_cast<std::size_t>(thread)];
      for (Index chunk = thread; chunk < chunks; chunk += team) {
        const Index begin = chunk * rows_at_once_;
        const Index n = std::min(rows_at_once_, rows.count - begin);
        mine.first_row = begin;
        if (pass.row_share != nullptr) mine.row_share = pass.row_share + begin;
        visit(mine, chunk, begin, rows.part(begin, n));
      }
    });
  }

  const Network<T>* network_;
  Index rows_at_once_ = 0;
  int n_threads_ = 1;
  std::vector<Workspace<T>> workspaces_;
  std::vector<std::vector<T>> partial_;
  std::vector<double> values_;
};

}  // namespace sklearn_backprop
