// Full-batch gradient descent on a quadratic cost: all coefficients move together, then
// the proximal map of the penalty (soft threshold, projection on the positive orthant).
#pragma once

#include <algorithm>
#include <chrono>
#include <cmath>
#include <limits>
#include <vector>

#include "quadratic.hpp"

namespace sklearn_backprop::descent {

enum class Schedule { kConstant, kInvScaling, kAdaptive };
enum class Status { kRunning, kConverged, kDiverged, kStalled };

struct Options {
  double learning_rate;
  Schedule schedule;
  double power_t;
  double momentum;
  bool nesterov;
  double tol;
  // A constant step above it grows the error along the steepest direction.
  double largest_stable_rate;
  bool positive;
  bool track_path;
};

// Penalty of coefficient j < n: l1[j] |theta_j| + l2[j]/2 theta_j^2; an intercept has
// none.
struct Penalty {
  std::vector<double> l1, l2;

  static bool is_any(const std::vector<double>& weights) {
    return std::any_of(weights.begin(), weights.end(),
                       [](double weight) { return weight > 0.0; });
  }
};

class Descent {
 public:
  // gradient_floor (n_targets): norms that rounding alone can leave.
  Descent(quadratic::Cost& cost, const double* theta, Penalty penalty,
          const double* gradient_floor, Options options)
      : cost_(cost),
        penalty_(std::move(penalty)),
        options_(options),
        is_penalized_(Penalty::is_any(penalty_.l1) || Penalty::is_any(penalty_.l2)),
        has_proximal_step_(options.positive || Penalty::is_any(penalty_.l1)),
        rate_(options.learning_rate),
        theta_(theta, theta + cost.size()),
        gradient_(cost.size()),
        velocity_(cost.size(), 0.0),
        previous_(cost.size()),
        mapping_(cost.size()),
        norms_(static_cast<std::size_t>(cost.n_targets())) {
    const std::vector<double> zeros(cost.size(), 0.0);
    evaluate(zeros);
    measure_gradient(zeros);
    threshold_ = norms_;
    for (std::size_t t = 0; t < threshold_.size(); ++t) {
      threshold_[t] = std::max(options.tol * threshold_[t], gradient_floor[t]);
    }
    loss_ = start_loss_ = evaluate(theta_);
    if (options_.track_path) path_ = theta_;
  }

  // At most n_iter steps or `seconds`, whichever ends first.
  void run(Index n_iter, double seconds) {
    using clock = std::chrono::steady_clock;
    const auto end = clock::now() + std::chrono::duration<double>(seconds);
    for (Index i = 0; i < n_iter && status_ == Status::kRunning; ++i) {
      status_ = iterate();
      if (i % 16 == 15 && clock::now() > end) break;
    }
  }

  Status status() const { return status_; }

  const std::vector<double>& theta() const { return theta_; }
  const std::vector<double>& loss_curve() const { return loss_curve_; }
  const std::vector<double>& gradient_norm_curve() const {
    return gradient_norm_curve_;
  }
  const std::vector<double>& path() const { return path_; }
  double learning_rate() const { return rate_; }
  double start_loss() const { return start_loss_; }

 private:
  // A single rise may be rounding or a transient of momentum; five in a row under a
  // step known to be unstable are not.
  static constexpr int kRisesToDiverge = 5;
  static constexpr double kRateShrink = 5.0;  // as in scikit-learn's "adaptive"
  static constexpr double kSmallestRate = 1e-10;
  static constexpr double kRounding = 1e-13;

  Index n_features() const { return static_cast<Index>(penalty_.l1.size()); }

  Status iterate() {
    previous_ = theta_;
    const double previous_loss = loss_;
    step();
    loss_ = evaluate(theta_);
    if (options_.schedule == Schedule::kAdaptive && rises_from(previous_loss)) {
      return reject();
    }
    return record(previous_loss);
  }

  bool rises_from(double previous_loss) const {
    return !(loss_ <= previous_loss + kRounding * std::abs(start_loss_));
  }

  void step() {
    const double rate = current_rate();
    const double momentum = options_.momentum;
    for (std::size_t i = 0; i < theta_.size(); ++i) {
      velocity_[i] = momentum * velocity_[i] - rate * gradient_[i];
      theta_[i] += options_.nesterov ? momentum * velocity_[i] - rate * gradient_[i]
                                     : velocity_[i];
    }
    if (has_proximal_step_) apply_proximal_map(theta_, rate);
  }

  double current_rate() const {
    if (options_.schedule != Schedule::kInvScaling) return rate_;
    return rate_ /
           std::pow(static_cast<double>(loss_curve_.size() + 1), options_.power_t);
  }

  void apply_proximal_map(std::vector<double>& theta, double rate) const {
    for (Index t = 0; t < cost_.n_targets(); ++t) {
      double* target = theta.data() + t * cost_.n_coefficients();
      for (Index j = 0; j < n_features(); ++j) {
        const double cut = rate * penalty_.l1[static_cast<std::size_t>(j)];
        const double size = std::max(std::abs(target[j]) - cut, 0.0);
        target[j] =
            options_.positive && target[j] < 0.0 ? 0.0 : std::copysign(size, target[j]);
      }
    }
  }

  // The step was too long: forget it. Momentum may be to blame, so it goes first.
  Status reject() {
    theta_ = previous_;
    const bool had_momentum = options_.momentum > 0.0 && !rejected_last_;
    std::fill(velocity_.begin(), velocity_.end(), 0.0);
    if (!had_momentum) rate_ /= kRateShrink;
    rejected_last_ = true;
    loss_ = evaluate(theta_);
    append();
    return rate_ < kSmallestRate * options_.learning_rate ? Status::kStalled
                                                          : Status::kRunning;
  }

  Status record(double previous_loss) {
    rejected_last_ = false;
    append();
    if (!std::isfinite(loss_) || !std::isfinite(gradient_norm_curve_.back())) {
      return Status::kDiverged;
    }
    if (is_converged()) return Status::kConverged;
    n_rises_ = rises_from(previous_loss) ? n_rises_ + 1 : 0;
    const bool unstable = options_.schedule == Schedule::kConstant &&
                          rate_ > options_.largest_stable_rate;
    return unstable && n_rises_ >= kRisesToDiverge ? Status::kDiverged
                                                   : Status::kRunning;
  }

  void append() {
    measure_gradient(theta_);
    double squares = 0.0;
    for (const double norm : norms_) squares += norm * norm;
    loss_curve_.push_back(loss_);
    gradient_norm_curve_.push_back(std::sqrt(squares));
    if (options_.track_path) path_.insert(path_.end(), theta_.begin(), theta_.end());
  }

  bool is_converged() const {
    for (std::size_t t = 0; t < norms_.size(); ++t) {
      if (!(norms_[t] <= threshold_[t])) return false;
    }
    return true;
  }

  // J with its penalty at theta; gradient_ <- gradient of all but the l1 part.
  double evaluate(const std::vector<double>& theta) {
    double loss = cost_.evaluate(theta.data(), gradient_.data());
    if (!is_penalized_) return loss;
    for (Index t = 0; t < cost_.n_targets(); ++t) {
      const std::size_t start = static_cast<std::size_t>(t * cost_.n_coefficients());
      for (std::size_t j = 0; j < penalty_.l1.size(); ++j) {
        const double value = theta[start + j];
        loss += penalty_.l1[j] * std::abs(value) + 0.5 * penalty_.l2[j] * value * value;
        gradient_[start + j] += penalty_.l2[j] * value;
      }
    }
    return loss;
  }

  // norms_ <- norm of the gradient for each target; with a proximal step, of the
  // gradient mapping, which vanishes at the minimum.
  void measure_gradient(const std::vector<double>& theta) {
    if (has_proximal_step_) map_gradient(theta);
    const Index n = cost_.n_coefficients();
    const double* part = has_proximal_step_ ? mapping_.data() : gradient_.data();
    for (double& norm : norms_) {
      norm = std::sqrt(quadratic::dense::dot(part, part, n));
      part += n;
    }
  }

  // mapping_ <- (theta - prox(theta - rate * gradient)) / rate
  void map_gradient(const std::vector<double>& theta) {
    const double rate = current_rate();
    for (std::size_t i = 0; i < theta.size(); ++i) {
      mapping_[i] = theta[i] - rate * gradient_[i];
    }
    apply_proximal_map(mapping_, rate);
    for (std::size_t i = 0; i < theta.size(); ++i) {
      mapping_[i] = (theta[i] - mapping_[i]) / rate;
    }
  }

  quadratic::Cost& cost_;
  Penalty penalty_;
  Options options_;
  bool is_penalized_, has_proximal_step_;
  double rate_;
  std::vector<double> theta_, gradient_, velocity_, previous_, mapping_;
  std::vector<double> threshold_, norms_;  // of each target
  std::vector<double> loss_curve_, gradient_norm_curve_, path_;
  double loss_ = 0.0;
  double start_loss_ = 0.0;
  Status status_ = Status::kRunning;
  int n_rises_ = 0;
  bool rejected_last_ = false;
};

}  // namespace sklearn_backprop::descent
