// Random bits as a function of where they are used: no state, so that they depend
// neither on threads nor on the order of evaluation.
#pragma once

#include <cstdint>
#include <initializer_list>

#include "simd.hpp"

namespace sklearn_backprop {

// The finaliser of splitmix64 (Steele, Lea and Flood, 2014)
inline std::uint64_t mix64(std::uint64_t x) {
  x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9U;
  x = (x ^ (x >> 27)) * 0x94D049BB133111EBU;
  return x ^ (x >> 31);
}

// The finaliser of MurmurHash3 (Appleby): 32 bits, because vector units multiply those.
SKB_INLINE std::uint32_t mix32(std::uint32_t x) {
  x = (x ^ (x >> 16)) * 0x85EBCA6BU;
  x = (x ^ (x >> 13)) * 0xC2B2AE35U;
  return x ^ (x >> 16);
}

// Two keys for one row of one layer in one step; `bits` draws its units from them.
struct RowKey {
  std::uint32_t low;
  std::uint32_t high;

  RowKey(std::uint64_t seed, std::uint64_t step, std::uint64_t layer,
         std::uint64_t row) {
    constexpr std::uint64_t golden = 0x9E3779B97F4A7C15U;
    std::uint64_t key = mix64(seed + golden);
    for (const std::uint64_t part : {step, layer, row})
      key = mix64(key + golden + part);
    low = static_cast<std::uint32_t>(key);
    high = static_cast<std::uint32_t>(key >> 32);
  }

  SKB_INLINE std::uint32_t bits(std::uint32_t unit) const {
    return mix32(mix32(unit * 0x9E3779B9U + low) ^ high);
  }
};

}  // namespace sklearn_backprop
