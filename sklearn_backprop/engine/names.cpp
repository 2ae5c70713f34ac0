// What the engine knows, by name.
#include <nanobind/nanobind.h>
#include <nanobind/stl/pair.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <array>
#include <string>
#include <vector>

#include "network.hpp"
#include "trainer.hpp"

namespace nb = nanobind;

namespace sklearn_backprop {
namespace {

template <std::size_t N>
std::vector<std::string> to_strings(const std::array<const char*, N>& names) {
  return {names.begin(), names.end()};
}

}  // namespace

void bind_names(nb::module_& m) {
  m.def("activation_names", &activations::names);
  m.def("cell_names", &cells::names);
  m.def("layer_kinds", [] { return layer_kinds(Layers<double>{}); });
  m.def("loss_links", &losses::loss_links);
  m.def("optimizer_names", &optimizers::names);
  m.def("array_measures", [] { return to_strings(array_measures); });
  m.def("step_measures", [] { return to_strings(step_measures); });
}

}  // namespace sklearn_backprop
