// Training: a step is a gradient and what the optimizer makes of it; an epoch is a loop
// over both.
#pragma once

#include <algorithm>
#include <cmath>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "clipping.hpp"
#include "denormals.hpp"
#include "gradient.hpp"
#include "network.hpp"
#include "optimizers.hpp"
#include "probes.hpp"
#include "recorder.hpp"
#include "replicas.hpp"

namespace sklearn_backprop {

struct StepSettings {
  double learning_rate = 0;
  clipping::Clip clip;
};

struct EpochSettings {
  Index batch_size = 1;
  Weighing weighing;
  StepSettings step;
  const double* rates = nullptr;  // of each mini-batch, where they differ
  RecordMode record = RecordMode::none;
  std::uint64_t seed = 0;
  int n_threads = 1;
};

// Where finite numbers ended: in the output of a layer, by its number, in the gradient
// of an array, by its row of the table, or in the weights that an epoch leaves.
struct Divergence {
  std::string status = "ok";
  Index layer = -1;
  Index parameter = -1;

  bool is_none() const { return status == "ok"; }
};

struct EpochResult {
  double loss = 0;
  Index n_steps = 0;
  Divergence divergence;
  std::vector<double> records;  // rows of `record_width` measures
  std::size_t record_width = 0;
};

// Threads for a step on so many rows: small steps stay on one thread, for sharing out
// four times costs some microseconds on an idle machine, and more on a busy one.
template <typename T>
int team_size_for(const Network<T>& network, Index n_rows, int n_threads) {
  constexpr double products_per_thread = 2e6;
  const double work = 3.0 * double(n_rows) * network.products_per_row();
  const double wanted = std::min(double(n_threads), work / products_per_thread);
  return std::max(1, static_cast<int>(std::min(wanted, double(n_rows))));
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
    if (optimizer_->turns_matrices()) find_matrices();
  }

  const Network<T>& network() const { return *network_; }
  Index n_moments() const { return optimizer_->n_moments(); }
  optimizers::State<T>& state() { return state_; }
  std::vector<T>& gradient() { return gradient_; }

  // The gradient of the selected rows' objective, for the step that comes next; it is
  // left in `gradient()`. first_row: of the selection in its mini-batch.
  template <typename Between>
  GradientMeasures find_gradient(const T* theta, T* running, const T* constants,
                                 const Data<T>& data, Selection rows,
                                 const EpochSettings& settings, Index first_row,
                                 Between& between) {
    const int size = team_size_for(*network_, rows.count, settings.n_threads);
    TeamGradient<T> gradient(*network_, rows.count, size);
    Pass<T> pass =
        training_pass(theta, running, constants, settings.seed, state_.t + 1);
    pass.first_row = first_row;
    Team team(size);
    return gradient.compute(team, pass, data, rows, settings.weighing, all_alike<T>,
                            between);
  }

  // Takes the step that `gradient()` asks for.
  void take_step(T* theta, const StepSettings& settings) {
    double squares = 0;
    for (const Parameter& row : network_->table().rows()) {
      if (!row.is_frozen()) {
        squares += sum_of_squares<T>(gradient_.data() + row.begin, row.size);
      }
    }
    Team team(1);
    replicas_.start(team, network_->table(), theta);
    steps_.resize(std::max<std::size_t>(steps_.size(), 1));
    step(team, std::sqrt(squares), settings, false);
  }

  // The calling thread calls between() before every step and amid long ones; it may
  // throw, and then leaves theta, running and the state as after the last step.
  template <typename Between>
  EpochResult train_epoch(T* theta, T* running, const T* constants, const Data<T>& data,
                          Selection rows, const EpochSettings& settings,
                          Between& between) {
    TeamGradient<T>& gradient = gradient_for(settings);
    steps_.resize(static_cast<std::size_t>(gradient.team_size()));
    Recorder<T> recorder(settings.record, *network_, gradient.team_size());
    EpochResult result;
    Team team(gradient.team_size());
    replicas_.start(team, network_->table(), theta);
    auto equip = [&](int rank, Pass<T>& own) {
      own.theta = replicas_.of(rank);
      own.probe = recorder.probe(rank);
    };
    for (Index begin = 0; begin < rows.count; begin += settings.batch_size) {
      const Selection batch =
          rows.part(begin, std::min(settings.batch_size, rows.count - begin));
      if (data.weight != nullptr && !(weight_of(data, batch) > 0)) continue;
      const Pass<T> pass =
          training_pass(theta, running, constants, settings.seed, state_.t + 1);
      const GradientMeasures& measures =
          gradient.compute(team, pass, data, batch, settings.weighing, equip, between);
      if (!measures.is_finite()) {
        result.divergence = find_divergence(pass, data, batch, measures.objective);
        break;
      }
      StepSettings of_step = settings.step;
      if (settings.rates != nullptr) {
        of_step.learning_rate = settings.rates[begin / settings.batch_size];
      }
      step(team, std::sqrt(measures.squares), of_step, recorder.is_on());
      if (recorder.is_on()) record(measures, recorder);
      result.loss += measures.objective * double(batch.count) / double(rows.count);
      ++result.n_steps;
    }
    if (result.divergence.is_none() && !(are_finite(theta, network_->n_parameters()) &&
                                         are_finite(running, network_->n_running()))) {
      result.divergence.status = "weights";
    }
    result.records = recorder.finish();
    result.record_width = recorder.width();
    return result;
  }

 private:
  // What one member measures of a step on its slice.
  struct alignas(64) OwnStep {
    bool was_clipped = false;
    std::vector<TwoSums> columns;  // squares of change and array
    Orthogonalizer<T> orthogonalizer;
  };

  // One of the matrices that an array is made of.
  struct ArrayMatrix {
    const Parameter* array;
    Index number;
  };

  void find_matrices() {
    for (const Parameter& row : network_->table().rows()) {
      if (row.is_frozen()) continue;
      for (Index k = 0; k < row.n_matrices(); ++k) matrices_.push_back({&row, k});
    }
  }

  TeamGradient<T>& gradient_for(const EpochSettings& settings) {
    const int size = team_size_for(*network_, settings.batch_size, settings.n_threads);
    const std::pair<Index, int> key(settings.batch_size, size);
    if (!team_gradient_.has_value() || key != team_gradient_key_) {
      team_gradient_.reset();
      team_gradient_.emplace(*network_, settings.batch_size, size);
      team_gradient_key_ = key;
    }
    return *team_gradient_;
  }

  Pass<T> training_pass(const T* theta, T* running, const T* constants,
                        std::uint64_t seed, std::int64_t t) {
    Pass<T> pass;
    pass.theta = theta;
    pass.constants = constants;
    pass.running = pass.new_running = running;
    pass.gradient = gradient_.data();
    pass.is_training = pass.drops_units = true;
    pass.seed = seed;
    pass.step = static_cast<std::uint64_t>(t);
    return pass;
  }

  // Every member clips and steps on its slice of theta. Where matrices are turned as a
  // whole, all is clipped before, and each is turned by one member.
  void step(Team& team, double gradient_norm, const StepSettings& settings,
            bool measures_it) {
    const std::int64_t t = state_.t + 1;
    const Index n = network_->n_parameters();
    const bool turns = !matrices_.empty();
    auto clip = [&](OwnStep& own, Index begin, Index end) {
      own.was_clipped = clipping::apply(settings.clip, gradient_norm,
                                        gradient_.data() + begin, end - begin);
    };
    if (turns) {
      team.share([&](const Member& member) {
        const FlushDenormals flushing;
        const auto [begin, end] = member.slice_of(n);
        clip(own_step(member), begin, end);
      });
      team.share([&](const Member& member) { turn_matrices(member); });
    }
    team.share([&](const Member& member) {
      const FlushDenormals flushing;
      OwnStep& own = own_step(member);
      const auto [begin, end] = member.slice_of(n);
      T* theta = replicas_.of(member.rank());
      if (!turns) clip(own, begin, end);
      optimizer_->step(state_, t, settings.learning_rate, network_->table(), begin, end,
                       gradient_.data(), theta);
      if (measures_it) measure_step(begin, end, theta, own);
    });
    replicas_.exchange(team, gradient_.data());
    state_.t = t;
  }

  OwnStep& own_step(const Member& member) {
    return steps_[static_cast<std::size_t>(member.rank())];
  }

  void turn_matrices(const Member& member) {
    const FlushDenormals flushing;
    for (std::size_t k = std::size_t(member.rank()); k < matrices_.size();
         k += std::size_t(member.size())) {
      const ArrayMatrix& matrix = matrices_[k];
      optimizer_->turn(state_, *matrix.array, matrix.number, gradient_.data(),
                       own_step(member).orthogonalizer);
    }
  }

  // The optimizer has left the change of theta in the gradient's place.
  void measure_step(Index begin, Index end, const T* theta, OwnStep& own) const {
    own.columns.assign(static_cast<std::size_t>(network_->n_columns()), TwoSums{});
    network_->table().for_each_in(
        begin, end, [&](const Parameter& row, Index from, Index to) {
          if (row.column < 0) return;
          add_squares<T>(gradient_.data() + from, theta + from, to - from,
                         &own.columns[static_cast<std::size_t>(row.column)]);
        });
  }

  void record(const GradientMeasures& measures, Recorder<T>& recorder) {
    update_ratio_.resize(static_cast<std::size_t>(network_->n_columns()));
    bool was_clipped = false;
    for (const OwnStep& own : steps_) was_clipped = was_clipped || own.was_clipped;
    for (std::size_t c = 0; c < update_ratio_.size(); ++c) {
      TwoSums total;
      for (const OwnStep& own : steps_) {
        total.a += own.columns[c].a;
        total.b += own.columns[c].b;
      }
      update_ratio_[c] = total.a > 0 ? std::sqrt(total.a / total.b) : 0.0;
    }
    recorder.add_step(measures, was_clipped, update_ratio_);
  }

  // Looks again, layer by layer: forward at the outputs; then, from the last array
  // down, at the gradient that the step left.
  Divergence find_divergence(Pass<T> pass, const Data<T>& data, Selection batch,
                             double objective) {
    Team team(1);
    TeamGradient<T> alone(*network_, batch.count, 1);
    DivergenceProbe<T> probe;
    auto nothing = [] {};
    std::vector<T> gradient(gradient_.size());
    pass.gradient = gradient.data();
    pass.new_running = nullptr;
    pass.probe = &probe;
    alone.compute(team, pass, data, batch, Weighing{}, all_alike<T>, nothing);
    if (probe.number() >= 0) return {"activation", probe.number(), -1};
    if (!std::isfinite(objective)) return {"loss", -1, -1};
    const auto& rows = network_->table().rows();
    for (Index row = Index(rows.size()); row-- > 0;) {
      const Parameter& parameter = rows[static_cast<std::size_t>(row)];
      const T* of_row = gradient_.data() + parameter.begin;
      if (!std::isfinite(sum_of_squares(of_row, parameter.size))) {
        return {"gradient", -1, row};
      }
    }
    return {"gradient", -1, -1};
  }

  std::shared_ptr<const Network<T>> network_;
  std::unique_ptr<optimizers::Optimizer<T>> optimizer_;
  optimizers::State<T> state_;
  std::vector<T> gradient_;
  std::vector<ArrayMatrix> matrices_;  // those that the optimizer turns
  std::vector<OwnStep> steps_;
  Replicas<T> replicas_;
  std::vector<double> update_ratio_;
  std::optional<TeamGradient<T>> team_gradient_;
  std::pair<Index, int> team_gradient_key_{0, 0};
};

}  // namespace sklearn_backprop
