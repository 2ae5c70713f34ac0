// Bindings of what linear regression needs: Gram matrices, exact residuals, descent.
#include <nanobind/nanobind.h>

namespace nb = nanobind;

namespace sklearn_backprop {

void bind_linear_model(nb::module_&) {}

}  // namespace sklearn_backprop
