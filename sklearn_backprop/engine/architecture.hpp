// From Python's list of layers (see _engine.pyi) to layers.
#pragma once

#include <nanobind/nanobind.h>
#include <nanobind/stl/string.h>

#include <memory>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "layers.hpp"

namespace sklearn_backprop {

namespace nb = nanobind;

inline std::string kind_of(const nb::dict& layer) {
  return nb::cast<std::string>(layer["kind"]);
}

inline Index index_at(const nb::dict& layer, const char* key) {
  const auto value = nb::cast<Index>(layer[key]);
  if (value >= 0) return value;
  throw std::invalid_argument("A layer has a negative '" + std::string(key) + "'.");
}

inline Index index_or_none(const nb::dict& layer, const char* key) {
  return layer.contains(key) ? index_at(layer, key) : Index(-1);
}

template <typename T>
class Architecture {
 public:
  Chain<T> chain(const nb::sequence& layers) {
    std::vector<LayerPointer<T>> made;
    const std::vector<nb::dict> items = dicts(layers);
    for (std::size_t k = 0; k < items.size(); ++k) {
      const bool fuses = kind_of(items[k]) == "dense" && k + 1 < items.size() &&
                         kind_of(items[k + 1]) == "activation";
      made.push_back(layer(items[k], fuses));
      check_width(made);
    }
    if (made.empty()) throw std::invalid_argument("A list of layers is empty.");
    return Chain<T>(std::move(made));
  }
  Index n_running() const { return n_running_; }

 private:
  static std::vector<nb::dict> dicts(const nb::sequence& layers) {
    std::vector<nb::dict> items;
    for (nb::handle item : layers) items.push_back(nb::cast<nb::dict>(item));
    return items;
  }

  static void check_width(const std::vector<LayerPointer<T>>& made) {
    if (made.size() < 2) return;
    const Index width = made[made.size() - 2]->n_outputs();
    if (made.back()->n_inputs() == width) return;
    throw std::invalid_argument(
        "A layer reads " + std::to_string(made.back()->n_inputs()) +
        " columns, but the one before gives " + std::to_string(width) + ".");
  }

  // With `fuses` the activation that comes next adds the bias of this dense layer.
  LayerPointer<T> layer(const nb::dict& d, bool fuses) {
    const std::string kind = kind_of(d);
    if (kind == "dense") return dense(d, fuses);
    if (kind == "activation") return activation(d);
    if (kind == "batch_norm") return batch_norm(d);
    if (kind == "layer_norm") {
      return std::make_unique<LayerNorm<T>>(index_at(d, "width"), index_at(d, "gamma"),
                                            index_at(d, "beta"), column_);
    }
    if (kind == "dropout") return dropout(d);
    if (kind == "add") return add(d);
    if (kind == "concat") {
      auto block = std::make_unique<ResidualConcat<T>>(chain(d["layers"]));
      check_block(*block, d);
      return block;
    }
    throw std::invalid_argument("Unknown kind of layer '" + kind + "'.");
  }

  LayerPointer<T> dense(const nb::dict& d, bool fuses) {
    const Index b = index_or_none(d, "b");
    pending_bias_ = fuses ? b : -1;
    return std::make_unique<Dense<T>>(index_at(d, "n_in"), index_at(d, "n_out"),
                                      index_at(d, "W"), fuses ? -1 : b, ++column_);
  }

  LayerPointer<T> activation(const nb::dict& d) {
    const Index bias = std::exchange(pending_bias_, -1);
    const Index width = index_at(d, "width");
    return activations::visit(
        nb::cast<std::string>(d["name"]), [&](auto f) -> LayerPointer<T> {
          return std::make_unique<Activation<decltype(f), T>>(width, bias, column_);
        });
  }

  LayerPointer<T> batch_norm(const nb::dict& d) {
    const Index width = index_at(d, "width"), running = index_at(d, "running");
    n_running_ = std::max(n_running_, running + 2 * width);
    return std::make_unique<BatchNorm<T>>(width, index_at(d, "gamma"),
                                          index_at(d, "beta"), running, column_);
  }

  LayerPointer<T> dropout(const nb::dict& d) {
    const auto rate = nb::cast<double>(d["rate"]);
    if (!(rate >= 0 && rate < 1)) {
      throw std::invalid_argument("Dropout's rate must be in [0, 1), got " +
                                  std::to_string(rate) + ".");
    }
    return std::make_unique<Dropout<T>>(index_at(d, "width"), rate, n_dropouts_++);
  }

  LayerPointer<T> add(const nb::dict& d) {
    Chain<T> block = chain(d["layers"]);
    const Index P = index_or_none(d, "P");
    if (P < 0 && block.n_inputs() != block.n_outputs()) {
      throw std::invalid_argument("An 'add' block whose widths differ needs 'P'.");
    }
    auto made = std::make_unique<ResidualAdd<T>>(
        std::move(block), T(nb::cast<double>(d["scale"])), P, column_);
    check_block(*made, d);
    return made;
  }

  static void check_block(const Layer<T>& block, const nb::dict& d) {
    if (block.n_inputs() == index_at(d, "n_in") &&
        block.n_outputs() == index_at(d, "n_out")) {
      return;
    }
    throw std::invalid_argument("A block's n_in or n_out is not that of its layers.");
  }

  Index column_ = -1;
  Index pending_bias_ = -1;
  Index n_running_ = 0;
  Index n_dropouts_ = 0;
};

}  // namespace sklearn_backprop
