// How theta divides into parameter arrays.
#pragma once

#include "simd.hpp"

namespace sklearn_backprop {

// A stretch of theta that belongs to one parameter array.
struct Segment {
  enum class Kind { weight, projection, offset };  // W; P; b, gamma or beta

  Index begin;
  Index end;
  Kind kind;
  Index column;  // of the dense layer that it belongs to, or that comes before it

  Index size() const { return end - begin; }
  bool is_penalised() const { return kind != Kind::offset; }
};

}  // namespace sklearn_backprop
