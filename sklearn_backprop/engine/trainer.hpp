// Training: every mini-batch of an epoch, from the forward pass to the optimizer's
// step.
#pragma once

#include <chrono>
#include <cmath>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "clipping.hpp"
#include "network.hpp"
#include "norms.hpp"
#include "optimizers.hpp"
#include "recorder.hpp"

namespace sklearn_backprop {

struct EpochSettings {
  Index batch_size = 1;
  double learning_rate = 0;
  double alpha = 0;
  double total_weight = 0;
  clipping::Clip clip;
  RecordMode record = RecordMode::none;
  std::uint64_t seed = 0;
  int n_threads = 1;
};

struct EpochResult {
  double loss = 0;
  Index n_steps = 0;
  std::string status = "ok";
  Index layer = -1;
  std::vector<double> records;  // rows of `record_width` measures
  std::size_t record_width = 0;
};

// Looks for signals, at most every tenth of a second.
class SignalPoll {
 public:
  using Clock = std::chrono::steady_clock;

  template <typename Look>
  void operator()(const Look& look) {
    if (Clock::now() - last_ < std::chrono::milliseconds(100)) return;
    look();
    last_ = Clock::now();
  }

 private:
  Clock::time_point last_ = Clock::now();
};

// g += factor * w on the penalised segments; returns the sum of squares of those w.
template <typename T>
double add_penalty(const std::vector<Segment>& segments, double factor, const T* theta,
                   T* gradient) {
  if (factor == 0) return 0;
  double squares = 0;
  for (const Segment& segment : segments) {
    if (!segment.is_penalised()) continue;
    const Index n = segment.size();
    const T* w = theta + segment.begin;
    squares += sum_of_squares(w, n);
    add_scaled(Matrix<T>{gradient + segment.begin, 1, n, n}, T(factor),
               Matrix<const T>{w, 1, n, n});
  }
  return squares;
}

template <typename T>
class Trainer {
 public:
  Trainer(std::shared_ptr<const Network<T>> network, const std::string& optimizer,
          const optimizers::Settings& settings)
      : network_(std::move(network)),
        optimizer_(optimizers::make_optimizer<T>(optimizer, settings)) {
    const auto n = static_cast<std::size_t>(network_->n_parameters());
    state_.moments.assign(n * static_cast<std::size_t>(optimizer_->n_moments()), T(0));
    gradient_.resize(n);
    measures_.gradient_squares.resize(static_cast<std::size_t>(network_->n_columns()));
  }

  const Network<T>& network() const { return *network_; }
  Index n_moments() const { return optimizer_->n_moments(); }
  optimizers::State<T>& state() { return state_; }

  // Calls look_for_signals() about ten times a second; it may throw, and
  // then leaves theta, running and the state as after the last step.
  template <typename Look>
  EpochResult train_epoch(T* theta, T* running, const Data<T>& data, Selection rows,
                          const EpochSettings& settings, const Look& look_for_signals) {
    Walker<T>& walker = walker_for(settings);
    Recorder recorder(settings.record, network_->n_columns(), walker.n_threads());
    EpochResult result;
    SignalPoll poll;
    for (Index begin = 0; begin < rows.count; begin += settings.batch_size) {
      poll(look_for_signals);
      const Index n = std::min(settings.batch_size, rows.count - begin);
      const Selection batch = rows.part(begin, n);
      const double weight = row_shares(data, batch, share_);
      if (!(weight > 0)) continue;
      const Pass<T> pass = training_pass(theta, running, settings);
      const double objective = evaluate(walker, pass, data, batch, settings, recorder,
                                        [&] { poll(look_for_signals); });
      if (!std::isfinite(objective + measures_.global_squares)) {
        diagnose(walker, pass, data, batch, objective, result);
        break;
      }
      step(settings, theta);
      recorder.add_step(measures_, network_->segments(), gradient_.data(), theta);
      result.loss += objective * weight / settings.total_weight;
      ++result.n_steps;
    }
    result.records = recorder.finish();
    result.record_width = recorder.width();
    return result;
  }

 private:
  Walker<T>& walker_for(const EpochSettings& settings) {
    const std::pair<Index, int> key(settings.batch_size, settings.n_threads);
    if (!walker_.has_value() || key != walker_key_) {
      walker_.emplace(*network_, settings.batch_size, true, settings.n_threads);
      walker_key_ = key;
    }
    return *walker_;
  }

  Pass<T> training_pass(const T* theta, T* running, const EpochSettings& settings) {
    Pass<T> pass;
    pass.theta = theta;
    pass.new_running = running;
    pass.gradient = gradient_.data();
    pass.row_share = share_.data();
    pass.is_training = pass.drops_units = true;
    pass.seed = settings.seed;
    pass.step = static_cast<std::uint64_t>(state_.t) + 1;
    return pass;
  }

  // The objective of the mini-batch; leaves its gradient and their measures.
  template <typename Between>
  double evaluate(Walker<T>& walker, const Pass<T>& pass, const Data<T>& data,
                  Selection batch, const EpochSettings& settings, Recorder& recorder,
                  const Between& between) {
    const double loss =
        walker.value_and_gradient(pass, data, batch, recorder.unit_counts(), between);
    const double factor = settings.alpha / settings.total_weight;
    const double squares =
        add_penalty(network_->segments(), factor, pass.theta, gradient_.data());
    measure(gradient_.data());
    return loss + 0.5 * factor * squares;
  }

  void step(const EpochSettings& settings, T* theta) {
    T* gradient = gradient_.data();
    measures_.was_clipped =
        clipping::apply(settings.clip, std::sqrt(measures_.global_squares), gradient,
                        network_->n_parameters());
    ++state_.t;
    optimizer_->step(state_, settings.learning_rate, network_->segments(), gradient,
                     theta);
  }

  void measure(const T* gradient) {
    measures_.global_squares = 0;
    for (const Segment& segment : network_->segments()) {
      const double squares = sum_of_squares(gradient + segment.begin, segment.size());
      measures_.global_squares += squares;
      if (segment.kind == Segment::Kind::weight) {
        measures_.gradient_squares[static_cast<std::size_t>(segment.column)] = squares;
      }
    }
  }

  // Looks again, layer by layer: forward at the outputs; then, from the output layer
  // down, at the gradient that the step left.
  void diagnose(Walker<T>& walker, Pass<T> pass, const Data<T>& data, Selection batch,
                double objective, EpochResult& result) {
    pass.new_running = nullptr;
    result.layer = walker.divergent_column(pass, data, batch);
    if (result.layer >= 0) {
      result.status = "activation";
    } else if (!std::isfinite(objective)) {
      result.status = "loss";
      result.layer = network_->n_columns() - 1;
    } else {
      result.status = "gradient";
      result.layer = divergent_gradient();
    }
  }

  Index divergent_gradient() const {
    Index column = -1;
    for (const Segment& segment : network_->segments()) {
      const T* gradient = gradient_.data() + segment.begin;
      const bool is_finite = std::isfinite(sum_of_squares(gradient, segment.size()));
      if (!is_finite) column = std::max(column, segment.column);
    }
    return column;
  }

  std::shared_ptr<const Network<T>> network_;
  std::unique_ptr<optimizers::Optimizer<T>> optimizer_;
  optimizers::State<T> state_;
  std::vector<T> gradient_, share_;
  StepMeasures measures_;
  std::optional<Walker<T>> walker_;
  std::pair<Index, int> walker_key_{0, 0};
};

}  // namespace sklearn_backprop
