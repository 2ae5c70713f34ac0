// What a layer is to be, in words and numbers: the list that Python lays out.
#pragma once

#include <algorithm>
#include <map>
#include <stdexcept>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "../simd.hpp"

namespace sklearn_backprop {

struct Spec {
  using Value = std::variant<Index, double, std::string, std::vector<Index>>;

  std::string kind;
  std::map<std::string, Value> values;
  std::vector<Spec> layers;  // of a block

  bool has(const std::string& key) const { return values.count(key) > 0; }
  // A width, a row of the table or an offset.
  Index index(const std::string& key) const {
    const auto* value = std::get_if<Index>(&at(key));
    if (value != nullptr && *value >= 0) return *value;
    throw std::invalid_argument(name_of(key) + " must be an integer, not negative.");
  }
  // Columns, or a size for each of some things.
  const std::vector<Index>& indices(const std::string& key) const {
    const auto* value = std::get_if<std::vector<Index>>(&at(key));
    const bool fits = value != nullptr && std::all_of(value->begin(), value->end(),
                                                      [](Index i) { return i >= 0; });
    if (fits) return *value;
    throw std::invalid_argument(name_of(key) +
                                " must be a list of integers, none negative.");
  }
  double number(const std::string& key) const {
    const Value& value = at(key);
    if (const auto* real = std::get_if<double>(&value)) return *real;
    if (const auto* whole = std::get_if<Index>(&value)) return double(*whole);
    throw std::invalid_argument(name_of(key) + " must be a number.");
  }
  const std::string& text(const std::string& key) const {
    const auto* value = std::get_if<std::string>(&at(key));
    if (value != nullptr) return *value;
    throw std::invalid_argument(name_of(key) + " must be a string.");
  }

 private:
  const Value& at(const std::string& key) const {
    const auto found = values.find(key);
    if (found != values.end()) return found->second;
    throw std::invalid_argument(name_of(key) + " is missing.");
  }
  std::string name_of(const std::string& key) const {
    return "'" + key + "' of a layer of kind '" + kind + "'";
  }
};

// An activation adds the bias of the dense layer right before it while it reads the
// row anyway: the bias moves from the one specification to the other.
inline std::vector<Spec> fuse_biases(std::vector<Spec> layers) {
  for (std::size_t k = 0; k + 1 < layers.size(); ++k) {
    if (layers[k].kind != "dense" || layers[k + 1].kind != "activation") continue;
    const auto bias = layers[k].values.find("b");
    if (bias == layers[k].values.end()) continue;
    layers[k + 1].values.insert(*bias);
    layers[k].values.erase(bias);
  }
  return layers;
}

}  // namespace sklearn_backprop
