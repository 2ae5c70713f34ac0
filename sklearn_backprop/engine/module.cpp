// The extension module: what Python sees of the engine.
#include <nanobind/nanobind.h>

#include "bind_blas.hpp"
#include "team.hpp"

namespace nb = nanobind;

namespace sklearn_backprop {
void bind_linear_model(nb::module_& m);
void bind_names(nb::module_& m);
void bind_network_float32(nb::module_& m);
void bind_network_float64(nb::module_& m);
}  // namespace sklearn_backprop

NB_MODULE(_engine, m) {
  // An estimator that a cache holds until the interpreter ends has leaked nothing.
  nb::set_leak_warnings(false);
  sklearn_backprop::make_room_for_exceptions();
  m.doc() = "Compiled engine of sklearn_backprop.";
  m.def("load_blas", &sklearn_backprop::blas::load, nb::arg("capsules"),
        "Take the addresses of the BLAS routines out of SciPy's capsules.");
  sklearn_backprop::bind_linear_model(m);
  sklearn_backprop::bind_names(m);
  sklearn_backprop::bind_network_float32(m);
  sklearn_backprop::bind_network_float64(m);
}
