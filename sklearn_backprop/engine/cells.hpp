// Recurrent cells: a step and its derivative side by side. To add one, write its struct
// and append it to `Cells`.
//
// A cell reads z (n_columns * h numbers, gate after gate): the first n_of_input gates
// hold x W, and h_before U is added to n_of_state gates from first_of_state on. Biases
// b are as long as z. The step leaves in z what its derivative reads, which in turn
// leaves dJ/dz there.
#pragma once

#include <stdexcept>
#include <string>
#include <tuple>
#include <vector>

#include "elementary.hpp"

namespace sklearn_backprop::cells {

namespace math = elementary;

// One sequence in one step; h numbers each but z and b.
template <typename T>
struct Step {
  T* z;
  const T* b;
  const T* y_before;          // the state of the step before
  const T* kept_before;       // what that step has kept
  T* kept;                    // n_kept * h numbers for the derivative and the next step
  T* y;                       // the state
  const T* delta = nullptr;   // dJ/dy
  T* delta_before = nullptr;  // becomes the part of dJ/dy_before that passes by U
  T* carry = nullptr;         // dJ/d(what was kept), becomes that of the step before
};

// y = tanh(z) (Elman, 1990)
struct Tanh {
  static constexpr const char* name = "tanh";
  static constexpr int n_columns = 1;
  static constexpr int n_of_input = 1;
  static constexpr int first_of_state = 0;
  static constexpr int n_of_state = 1;
  static constexpr int n_kept = 0;
  static constexpr bool passes_by = false;  // leaves something in delta_before

  template <typename T>
  static SKB_INLINE void forward(Index h, const Step<T>& at) {
    SKB_INDEPENDENT
    for (Index j = 0; j < h; ++j) at.y[j] = math::tanh(at.z[j] + at.b[j]);
  }
  template <typename T>
  static SKB_INLINE void backward(Index h, const Step<T>& at) {
    SKB_INDEPENDENT
    for (Index j = 0; j < h; ++j) {
      at.z[j] = at.delta[j] * (T(1) - at.y[j] * at.y[j]);
    }
  }
};

// Hochreiter and Schmidhuber (1997), with the forget gate of Gers et al. (2000):
// c = f c_before + i g, y = o tanh(c), with gates i, f, o = logistic(z) and g =
// tanh(z).
struct Lstm {
  static constexpr const char* name = "lstm";
  static constexpr int n_columns = 4;  // i, f, o, g
  static constexpr int n_of_input = 4;
  static constexpr int first_of_state = 0;
  static constexpr int n_of_state = 4;
  static constexpr int n_kept = 2;  // c, tanh(c)
  static constexpr bool passes_by = false;

  template <typename T>
  static SKB_INLINE void forward(Index h, const Step<T>& at) {
    SKB_INDEPENDENT
    for (Index j = 0; j < 3 * h; ++j) at.z[j] = math::logistic(at.z[j] + at.b[j]);
    SKB_INDEPENDENT
    for (Index j = 0; j < h; ++j) {
      const T i = at.z[j], f = at.z[h + j], o = at.z[2 * h + j];
      const T g = math::tanh(at.z[3 * h + j] + at.b[3 * h + j]);
      const T c = f * at.kept_before[j] + i * g;
      const T tanh_c = math::tanh(c);
      at.z[3 * h + j] = g;
      at.kept[j] = c;
      at.kept[h + j] = tanh_c;
      at.y[j] = o * tanh_c;
    }
  }
  template <typename T>
  static SKB_INLINE void backward(Index h, const Step<T>& at) {
    SKB_INDEPENDENT
    for (Index j = 0; j < h; ++j) {
      const T i = at.z[j], f = at.z[h + j], o = at.z[2 * h + j], g = at.z[3 * h + j];
      const T tanh_c = at.kept[h + j];
      const T d_c = at.carry[j] + at.delta[j] * o * (T(1) - tanh_c * tanh_c);
      at.z[j] = d_c * g * (i * (T(1) - i));
      at.z[h + j] = d_c * at.kept_before[j] * (f * (T(1) - f));
      at.z[2 * h + j] = at.delta[j] * tanh_c * (o * (T(1) - o));
      at.z[3 * h + j] = d_c * i * (T(1) - g * g);
      at.carry[j] = d_c * f;
    }
  }
};

// Cho et al. (2014), with the reset gate behind the product, so that one product of the
// state serves all gates: n = tanh(z_n + r s), y = (1 - u) n + u y_before.
struct Gru {
  static constexpr const char* name = "gru";
  static constexpr int n_columns = 4;  // n, r, u, s; x has no share in s, y none in n
  static constexpr int n_of_input = 3;
  static constexpr int first_of_state = 1;
  static constexpr int n_of_state = 3;
  static constexpr int n_kept = 0;
  static constexpr bool passes_by = true;

  template <typename T>
  static SKB_INLINE void forward(Index h, const Step<T>& at) {
    SKB_INDEPENDENT
    for (Index j = h; j < 3 * h; ++j) at.z[j] = math::logistic(at.z[j] + at.b[j]);
    SKB_INDEPENDENT
    for (Index j = 0; j < h; ++j) {
      const T r = at.z[h + j], u = at.z[2 * h + j];
      const T s = at.z[3 * h + j] + at.b[3 * h + j];
      const T n = math::tanh(at.z[j] + at.b[j] + r * s);
      at.z[j] = n;
      at.z[3 * h + j] = s;
      at.y[j] = n + u * (at.y_before[j] - n);
    }
  }
  template <typename T>
  static SKB_INLINE void backward(Index h, const Step<T>& at) {
    SKB_INDEPENDENT
    for (Index j = 0; j < h; ++j) {
      const T n = at.z[j], r = at.z[h + j], u = at.z[2 * h + j], s = at.z[3 * h + j];
      const T d = at.delta[j];
      const T d_n = d * (T(1) - u) * (T(1) - n * n);
      at.z[j] = d_n;
      at.z[h + j] = d_n * s * (r * (T(1) - r));
      at.z[2 * h + j] = d * (at.y_before[j] - n) * (u * (T(1) - u));
      at.z[3 * h + j] = d_n * r;
      at.delta_before[j] = d * u;
    }
  }
};

using Cells = std::tuple<Tanh, Lstm, Gru>;

inline std::vector<std::string> names() {
  return std::apply(
      [](auto... cell) { return std::vector<std::string>{decltype(cell)::name...}; },
      Cells{});
}

// Calls visitor(Cell{}) with the cell of that name and returns what it returns.
template <typename Visitor>
auto visit(const std::string& name, Visitor&& visitor) {
  decltype(visitor(Tanh{})) result{};
  const bool found = std::apply(
      [&](auto... cell) {
        return (
            (name == decltype(cell)::name ? (result = visitor(cell), true) : false) ||
            ...);
      },
      Cells{});
  if (!found) throw std::invalid_argument("Unknown cell '" + name + "'.");
  return result;
}

}  // namespace sklearn_backprop::cells
