// Optimizers on flat vectors. Each is one rule: from an element of the gradient, its
// moments and the rates to the step that theta takes. To add one, write its struct and
// append it to `Optimizers`.
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <memory>
#include <stdexcept>
#include <string>
#include <tuple>
#include <vector>

#include "orthogonal.hpp"
#include "parameters.hpp"

namespace sklearn_backprop::optimizers {

struct Settings {
  double momentum = 0.9;
  bool nesterov = true;
  double beta_1 = 0.9;
  double beta_2 = 0.999;
  double epsilon = 1e-8;
  double decay = 0.9;
  double weight_decay = 0.0;
};

// The step of one element; `a` and `b` are its moments, those the rule has.
struct HeavyBall {
  static constexpr const char* name = "sgd";
  static constexpr Index n_moments = 1;
  template <typename T>
  struct Rule {
    T momentum, rate;
    Rule(const Settings& s, double rate_, std::int64_t)
        : momentum(T(s.momentum)), rate(T(rate_)) {}
    SKB_INLINE T step(T g, T& a, T&) const {
      a = momentum * a - rate * g;
      return a;
    }
  };
};

// Nesterov's momentum in the form of Sutskever et al. (2013)
struct Nesterov {
  static constexpr const char* name = "sgd";
  static constexpr Index n_moments = 1;
  template <typename T>
  struct Rule {
    T momentum, rate;
    Rule(const Settings& s, double rate_, std::int64_t)
        : momentum(T(s.momentum)), rate(T(rate_)) {}
    SKB_INLINE T step(T g, T& a, T&) const {
      a = momentum * a - rate * g;
      return momentum * a - rate * g;
    }
  };
};

// Kingma and Ba (2015), the form before their section 2.1's: epsilon beside sqrt(v)
struct Adam {
  static constexpr const char* name = "adam";
  static constexpr Index n_moments = 2;
  template <typename T>
  struct Rule {
    T beta_1, rest_1, beta_2, rest_2, epsilon, rate;
    Rule(const Settings& s, double rate_, std::int64_t t)
        : beta_1(T(s.beta_1)),
          rest_1(T(1 - s.beta_1)),
          beta_2(T(s.beta_2)),
          rest_2(T(1 - s.beta_2)),
          epsilon(T(s.epsilon)),
          rate(T(rate_ * std::sqrt(1 - std::pow(s.beta_2, double(t))) /
                 (1 - std::pow(s.beta_1, double(t))))) {}
    SKB_INLINE T step(T g, T& a, T& b) const {
      a = beta_1 * a + rest_1 * g;
      b = beta_2 * b + rest_2 * (g * g);
      return -rate * a / (std::sqrt(b) + epsilon);
    }
  };
};

// Loshchilov and Hutter (2019); the decay of weights is in `update`.
struct AdamW : Adam {
  static constexpr const char* name = "adamw";
};

// Duchi, Hazan and Singer (2011)
struct Adagrad {
  static constexpr const char* name = "adagrad";
  static constexpr Index n_moments = 1;
  template <typename T>
  struct Rule {
    T epsilon, rate;
    Rule(const Settings& s, double rate_, std::int64_t)
        : epsilon(T(s.epsilon)), rate(T(rate_)) {}
    SKB_INLINE T step(T g, T& a, T&) const {
      a += g * g;
      return -rate * g / (std::sqrt(a) + epsilon);
    }
  };
};

// Tieleman and Hinton (2012)
struct RmsProp {
  static constexpr const char* name = "rmsprop";
  static constexpr Index n_moments = 1;
  template <typename T>
  struct Rule {
    T decay, rest, epsilon, rate;
    Rule(const Settings& s, double rate_, std::int64_t)
        : decay(T(s.decay)),
          rest(T(1 - s.decay)),
          epsilon(T(s.epsilon)),
          rate(T(rate_)) {}
    SKB_INLINE T step(T g, T& a, T&) const {
      a = decay * a + rest * (g * g);
      return -rate * g / (std::sqrt(a) + epsilon);
    }
  };
};

// Jordan et al. (2024): matrices take steps along the orthogonal factor of their
// momentum, as long as is usual of AdamW's (Liu et al., 2025); all else takes AdamW's.
struct Muon : AdamW {
  static constexpr const char* name = "muon";
  // The momentum `a` of an element, and where the step is to go before its matrix is
  // made orthogonal.
  template <typename T>
  struct Momentum {
    T momentum;
    bool nesterov;
    explicit Momentum(const Settings& s)
        : momentum(T(s.momentum)), nesterov(s.nesterov) {}
    SKB_INLINE T ahead(T g, T& a) const {
      a = momentum * a + g;
      return nesterov ? g + momentum * a : a;
    }
  };
  // Takes what was made of the gradient as it is.
  template <typename T>
  struct Straight {
    T rate;
    SKB_INLINE T step(T g, T&, T&) const { return -rate * g; }
  };
};

using Optimizers = std::tuple<HeavyBall, Nesterov, Adam, AdamW, Muon, Adagrad, RmsProp>;

// theta += step - shrink * theta over n elements; the change is left in place of the
// gradient, for those who want to measure it. Lines of theta that other threads have
// read come back while the lines before them are reckoned.
template <typename Rule, typename T>
SKB_CLONES void update(Rule rule, T shrink, Index n, T* g, T* a, T* b, T* theta) {
  constexpr Index chunk = 256, line = 64 / Index(sizeof(T));
  for (Index begin = 0; begin < n; begin += chunk) {
    const Index end = std::min(n, begin + chunk);
    const Index ahead = std::min(n, end + chunk);
    for (Index i = end; i < ahead; i += line) prefetch_to_write(theta + i);
    SKB_INDEPENDENT
    for (Index i = begin; i < end; ++i) {
      const T step = rule.step(g[i], a[i], b[i]);
      const T change = step - shrink * theta[i];
      theta[i] += change;
      g[i] = change;
    }
  }
}

// Moments of every parameter and the number of steps made.
template <typename T>
struct State {
  std::int64_t t = 0;
  std::vector<T> moments;
};

template <typename T>
class Optimizer {
 public:
  virtual ~Optimizer() = default;
  virtual Index n_moments() const = 0;
  // Whether matrices are to be turned as a whole before a step.
  virtual bool turns_matrices() const { return false; }
  // Makes the direction of its step of the gradient of an array's matrix.
  virtual void turn(State<T>&, const Parameter&, Index, T*, Orthogonalizer<T>&) const {}
  // Step t, from 1, on [begin, end) of theta. There the gradient becomes the change of
  // theta.
  virtual void step(State<T>& state, std::int64_t t, double rate,
                    const ParameterTable& table, Index begin, Index end, T* gradient,
                    T* theta) const = 0;
};

// visit(row, rate, decay, begin, end) for every stretch of [begin, end) that is to
// step, and no change for what is frozen.
template <typename T, typename Visit>
void for_each_step(const Settings& settings, double rate, const ParameterTable& table,
                   Index begin, Index end, T* gradient, Visit&& visit) {
  table.for_each_in(begin, end, [&](const Parameter& row, Index from, Index to) {
    if (row.is_frozen()) {
      std::fill(gradient + from, gradient + to, T(0));
    } else {
      visit(row, rate * row.rate, settings.weight_decay * row.penalty, from, to);
    }
  });
}

template <typename Kind, typename T>
class OptimizerOf final : public Optimizer<T> {
 public:
  explicit OptimizerOf(const Settings& settings) : settings_(settings) {}
  Index n_moments() const override { return Kind::n_moments; }
  void step(State<T>& state, std::int64_t t, double rate, const ParameterTable& table,
            Index begin, Index end, T* gradient, T* theta) const override {
    T* a = state.moments.data();
    T* b = a + (Kind::n_moments - 1) * table.n_parameters();
    auto step_on = [&](double own_rate, double decay, Index from, Index to) {
      update<Rule, T>(Rule(settings_, own_rate, t), T(own_rate * decay), to - from,
                      gradient + from, a + from, b + from, theta + from);
    };
    if (settings_.weight_decay == 0 && table.has_one_rate()) {
      return step_on(rate, 0, begin, end);
    }
    for_each_step(settings_, rate, table, begin, end, gradient,
                  [&](const Parameter&, double own_rate, double decay, Index from,
                      Index to) { step_on(own_rate, decay, from, to); });
  }

 private:
  using Rule = typename Kind::template Rule<T>;

  Settings settings_;
};

template <typename T>
class OptimizerOf<Muon, T> final : public Optimizer<T> {
 public:
  explicit OptimizerOf(const Settings& settings) : settings_(settings) {}
  Index n_moments() const override { return Muon::n_moments; }
  bool turns_matrices() const override { return true; }

  void turn(State<T>& state, const Parameter& row, Index matrix, T* gradient,
            Orthogonalizer<T>& orthogonalizer) const override {
    constexpr double usual_step = 0.2;  // AdamW's, root mean square, in rates
    const Index n = row.matrix_size(), begin = row.begin + matrix * n;
    T* g = gradient + begin;
    T* a = state.moments.data() + begin;
    const Muon::Momentum<T> momentum(settings_);
    for (Index i = 0; i < n; ++i) g[i] = momentum.ahead(g[i], a[i]);
    orthogonalizer.apply(
        g, row.matrix_rows, row.matrix_cols,
        usual_step * std::sqrt(double(std::max(row.matrix_rows, row.matrix_cols))));
  }

  void step(State<T>& state, std::int64_t t, double rate, const ParameterTable& table,
            Index begin, Index end, T* gradient, T* theta) const override {
    T* a = state.moments.data();
    T* b = a + table.n_parameters();
    for_each_step(
        settings_, rate, table, begin, end, gradient,
        [&](const Parameter& row, double own_rate, double decay, Index from, Index to) {
          auto step_by = [&](auto rule) {
            update(rule, T(own_rate * decay), to - from, gradient + from, a + from,
                   b + from, theta + from);
          };
          if (row.n_matrices() > 0) {
            step_by(Muon::Straight<T>{T(own_rate)});
          } else {
            step_by(AdamW::Rule<T>(settings_, own_rate, t));
          }
        });
  }

 private:
  Settings settings_;
};

inline std::vector<std::string> names() {
  std::vector<std::string> all;
  std::apply([&](auto... kind) { (all.emplace_back(decltype(kind)::name), ...); },
             Optimizers{});
  all.erase(std::unique(all.begin(), all.end()), all.end());
  return all;
}

template <typename T>
std::unique_ptr<Optimizer<T>> make_optimizer(const std::string& name,
                                             Settings settings) {
  if (name != AdamW::name && name != Muon::name) settings.weight_decay = 0;
  std::unique_ptr<Optimizer<T>> made;
  auto make = [&](auto kind) {
    using Kind = decltype(kind);
    // Two rules answer to "sgd"; the setting chooses.
    const bool is_chosen = !std::is_same_v<Kind, HeavyBall> || !settings.nesterov;
    if (made == nullptr && name == Kind::name && is_chosen) {
      made = std::make_unique<OptimizerOf<Kind, T>>(settings);
    }
  };
  std::apply([&](auto... kind) { (make(kind), ...); }, Optimizers{});
  if (made == nullptr) throw std::invalid_argument("Unknown optimizer '" + name + "'.");
  return made;
}

}  // namespace sklearn_backprop::optimizers
