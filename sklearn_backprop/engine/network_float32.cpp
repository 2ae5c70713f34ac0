// Networks of float.
#include "bind_network.hpp"

namespace sklearn_backprop {

void bind_network_float32(nb::module_& m) { bind_network<float>(m, "Float32"); }

}  // namespace sklearn_backprop
