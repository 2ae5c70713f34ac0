// Activations: value and derivative side by side. To add one, write its struct and
// append it to `Activations`.
//
// Each states f(z) and f'(z, a) with a = f(z). One whose derivative reads only a says
// so: it then works in place, and z is not kept.
#pragma once

#include <array>
#include <stdexcept>
#include <string>
#include <tuple>
#include <vector>

#include "elementary.hpp"

namespace sklearn_backprop::activations {

namespace math = elementary;

struct Identity {
  static constexpr const char* name = "identity";
  static constexpr bool derivative_reads_z = false;
  static constexpr double bounded_slope = 0;  // max |f'| of a bounded activation, or 0
  template <typename T>
  static SKB_INLINE T value(T z) {
    return z;
  }
  template <typename T>
  static SKB_INLINE T derivative(T, T) {
    return T(1);
  }
};

struct Logistic {
  static constexpr const char* name = "logistic";
  static constexpr bool derivative_reads_z = false;
  static constexpr double bounded_slope = 0.25;
  template <typename T>
  static SKB_INLINE T value(T z) {
    return math::logistic(z);
  }
  template <typename T>
  static SKB_INLINE T derivative(T, T a) {
    return a * (T(1) - a);
  }
};

struct Tanh {
  static constexpr const char* name = "tanh";
  static constexpr bool derivative_reads_z = false;
  static constexpr double bounded_slope = 1;
  template <typename T>
  static SKB_INLINE T value(T z) {
    return math::tanh(z);
  }
  template <typename T>
  static SKB_INLINE T derivative(T, T a) {
    return T(1) - a * a;
  }
};

struct Relu {
  static constexpr const char* name = "relu";
  static constexpr bool derivative_reads_z = false;
  static constexpr double bounded_slope = 0;
  // z <= 0, not z > 0: a NaN must come out as NaN.
  template <typename T>
  static SKB_INLINE T value(T z) {
    return z <= T(0) ? T(0) : z;
  }
  template <typename T>
  static SKB_INLINE T derivative(T, T a) {
    return a > T(0) ? T(1) : T(0);
  }
};

struct LeakyRelu {
  static constexpr const char* name = "leaky_relu";
  static constexpr bool derivative_reads_z = false;
  static constexpr double bounded_slope = 0;
  static constexpr double slope = 0.01;
  template <typename T>
  static SKB_INLINE T value(T z) {
    return z > T(0) ? z : T(slope) * z;
  }
  template <typename T>
  static SKB_INLINE T derivative(T, T a) {
    return a > T(0) ? T(1) : T(slope);
  }
};

struct Elu {
  static constexpr const char* name = "elu";
  static constexpr bool derivative_reads_z = false;
  static constexpr double bounded_slope = 0;
  template <typename T>
  static SKB_INLINE T value(T z) {
    const T negative = math::expm1(math::at_most(z, T(0)));
    return z > T(0) ? z : negative;
  }
  template <typename T>
  static SKB_INLINE T derivative(T, T a) {
    return a > T(0) ? T(1) : a + T(1);
  }
};

// Klambauer et al. (2017): the scale and alpha that keep mean 0 and variance 1.
struct Selu {
  static constexpr const char* name = "selu";
  static constexpr bool derivative_reads_z = false;
  static constexpr double bounded_slope = 0;
  static constexpr double scale = 1.0507009873554805;
  static constexpr double alpha = 1.6732632423543772;
  template <typename T>
  static SKB_INLINE T value(T z) {
    const T negative = T(scale * alpha) * math::expm1(math::at_most(z, T(0)));
    return z > T(0) ? T(scale) * z : negative;
  }
  template <typename T>
  static SKB_INLINE T derivative(T, T a) {
    return a > T(0) ? T(scale) : a + T(scale * alpha);
  }
};

struct Softplus {
  static constexpr const char* name = "softplus";
  static constexpr bool derivative_reads_z = false;
  static constexpr double bounded_slope = 0;
  template <typename T>
  static SKB_INLINE T value(T z) {
    return math::softplus(z);
  }
  // logistic(z) = 1 - exp(-a)
  template <typename T>
  static SKB_INLINE T derivative(T, T a) {
    return -math::expm1(-a);
  }
};

struct Gelu {
  static constexpr const char* name = "gelu";
  static constexpr bool derivative_reads_z = true;
  static constexpr double bounded_slope = 0;
  template <typename T>
  static SKB_INLINE T value(T z) {
    return z * math::normal_cdf(z);
  }
  template <typename T>
  static SKB_INLINE T derivative(T z, T) {
    return math::normal_cdf(z) + z * math::normal_pdf(z);
  }
};

struct Silu {
  static constexpr const char* name = "silu";
  static constexpr bool derivative_reads_z = true;
  static constexpr double bounded_slope = 0;
  template <typename T>
  static SKB_INLINE T value(T z) {
    return z * math::logistic(z);
  }
  template <typename T>
  static SKB_INLINE T derivative(T z, T) {
    const T s = math::logistic(z);
    return s * (T(1) + z * (T(1) - s));
  }
};

// z tanh(log(1 + e^z)) (Misra, 2020). With e = e^z and n = e^2 + 2e the tanh is
// n / (n + 2); beyond z = 20 it rounds to 1, before e^2 can overflow.
struct Mish {
  static constexpr const char* name = "mish";
  static constexpr bool derivative_reads_z = true;
  static constexpr double bounded_slope = 0;
  template <typename T>
  static SKB_INLINE T value(T z) {
    const T e = math::exp(math::at_most(z, T(20)));
    const T n = e * (e + T(2));
    return z * (n / (n + T(2)));
  }
  // tanh' = 1 - tanh^2 = 4 (1 + e)^2 / (n + 2)^2, times softplus' = e / (1 + e)
  template <typename T>
  static SKB_INLINE T derivative(T z, T) {
    const T e = math::exp(math::at_most(z, T(20)));
    const T n = e * (e + T(2));
    const T d = T(1) / (n + T(2));
    return n * d + (z * d) * (T(4) * e * (T(1) + e) * d);
  }
};

using Activations = std::tuple<Identity, Logistic, Tanh, Relu, LeakyRelu, Elu, Selu,
                               Softplus, Gelu, Silu, Mish>;

inline std::vector<std::string> names() {
  return std::apply(
      [](auto... f) { return std::vector<std::string>{decltype(f)::name...}; },
      Activations{});
}

// Calls visitor(F{}) with the activation of that name and returns what it returns.
template <typename Visitor>
auto visit(const std::string& name, Visitor&& visitor) {
  decltype(visitor(Identity{})) result{};
  const bool found = std::apply(
      [&](auto... f) {
        return ((name == decltype(f)::name ? (result = visitor(f), true) : false) ||
                ...);
      },
      Activations{});
  if (!found) throw std::invalid_argument("Unknown activation '" + name + "'.");
  return result;
}

}  // namespace sklearn_backprop::activations
