// Clipping of the gradient: after backward, before the optimizer.
#pragma once

#include <stdexcept>
#include <string>

#include "simd.hpp"

namespace sklearn_backprop::clipping {

enum class Mode { none, norm, value };

struct Clip {
  Mode mode = Mode::none;
  double threshold = 0;
};

inline Mode mode_of(const std::string& name) {
  if (name == "norm") return Mode::norm;
  if (name == "value") return Mode::value;
  throw std::invalid_argument("Unknown clip_mode '" + name + "'.");
}

template <typename T>
SKB_CLONES void scale(T* g, Index n, T factor) {
  SKB_INDEPENDENT
  for (Index i = 0; i < n; ++i) g[i] *= factor;
}

// Returns the number of elements cut to [-limit, limit].
template <typename T>
SKB_CLONES Index cut(T* g, Index n, T limit) {
  Index count = 0;
  for (Index i = 0; i < n; ++i) {
    const T low = g[i] < -limit ? -limit : g[i];
    const T kept = low > limit ? limit : low;
    count += kept != g[i] ? 1 : 0;
    g[i] = kept;
  }
  return count;
}

// Whether the gradient (n), of that global norm, was changed.
template <typename T>
bool apply(const Clip& clip, double norm, T* gradient, Index n) {
  if (clip.mode == Mode::value) return cut(gradient, n, T(clip.threshold)) > 0;
  if (clip.mode == Mode::none || norm <= clip.threshold) return false;
  scale(gradient, n, T(clip.threshold / norm));
  return true;
}

}  // namespace sklearn_backprop::clipping
