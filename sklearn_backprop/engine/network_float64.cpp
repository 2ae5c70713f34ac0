// Networks of double.
#include "bind_network.hpp"

namespace sklearn_backprop {

void bind_network_float64(nb::module_& m) { bind_network<double>(m, "Float64"); }

}  // namespace sklearn_backprop
