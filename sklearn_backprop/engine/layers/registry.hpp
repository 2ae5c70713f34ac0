// All layers there are. To add one, write its header and append it to `Layers`.
#pragma once

#include <stdexcept>
#include <string>
#include <tuple>
#include <type_traits>
#include <vector>

#include "activation.hpp"
#include "batch_norm.hpp"
#include "beside.hpp"
#include "blocks.hpp"
#include "builder.hpp"
#include "dense.hpp"
#include "dropout.hpp"
#include "layer_norm.hpp"
#include "member_dense.hpp"
#include "members.hpp"
#include "periodic.hpp"
#include "piecewise_linear.hpp"
#include "recurrent.hpp"
#include "scaled_dense.hpp"
#include "sequence.hpp"

namespace sklearn_backprop {

// Only as a list of types: layers are made by `make`.
template <typename... Kind>
struct TypeList {};

template <typename T>
using Layers = TypeList<Dense<T>, Activation<T>, BatchNorm<T>, LayerNorm<T>, Dropout<T>,
                        ResidualAdd<T>, ResidualConcat<T>, Beside<T>, Select<T>,
                        OneHot<T>, PiecewiseLinear<T>, Periodic<T>, SharedMembers<T>,
                        IndependentMembers<T>, MemberScale<T>, MemberAffine<T>,
                        MemberDense<T>, ScaledDense<T>, Recurrent<T>, Sequence<T>>;

template <typename... Kind>
std::vector<std::string> layer_kinds(TypeList<Kind...>) {
  return {Kind::kind...};
}

template <typename T, typename... Kind>
LayerPointer<T> make_layer(TypeList<Kind...>, const Spec& spec, Builder<T>& builder) {
  LayerPointer<T> made;
  const auto try_kind = [&](auto make, const char* kind) {
    if (spec.kind == kind) made = make(spec, builder);
  };
  (try_kind(&Kind::make, Kind::kind), ...);
  if (made == nullptr) {
    throw std::invalid_argument("Unknown kind of layer '" + spec.kind + "'.");
  }
  return made;
}

template <typename T>
LayerPointer<T> Builder<T>::layer(const Spec& spec) {
  return make_layer<T>(Layers<T>{}, spec, *this);
}

}  // namespace sklearn_backprop
