// Reading SciPy's BLAS capsules: the one place that knows their signature strings.
#pragma once

#include <nanobind/nanobind.h>

#include <stdexcept>
#include <string>

#include "blas.hpp"

namespace sklearn_backprop::blas {

namespace nb = nanobind;

// The address in `capsules[name]`; `is_ilp64` tells the width of its integers.
inline void* routine_address(const nb::dict& capsules, const char* name,
                             bool& is_ilp64) {
  if (!capsules.contains(name)) {
    throw std::runtime_error(std::string("scipy.linalg.cython_blas does not export '") +
                             name + "': this SciPy cannot serve sklearn_backprop.");
  }
  nb::object capsule = capsules[name];
  const char* signature = PyCapsule_GetName(capsule.ptr());
  if (signature == nullptr) throw nb::python_error();
  const std::string text(signature);
  // "void (char *, ..., int *, ...)" for 32-bit integers; 64-bit builds spell the
  // integer as long, long long, int64_t or a blas_int typedef of them.
  const bool has_int32 = text.find(" int *") != std::string::npos;
  const bool has_int64 = text.find("long") != std::string::npos ||
                         text.find("int64") != std::string::npos ||
                         text.find("npy_int") != std::string::npos ||
                         text.find("blas_int") != std::string::npos;
  if (text.rfind("void (char *", 0) != 0 || has_int32 == has_int64) {
    throw std::runtime_error(
        std::string("scipy.linalg.cython_blas exports '") + name +
        "' with the signature '" + text +
        "', which sklearn_backprop does not know. Install another release of SciPy.");
  }
  is_ilp64 = has_int64;
  void* address = PyCapsule_GetPointer(capsule.ptr(), signature);
  if (address == nullptr) throw nb::python_error();
  return address;
}

template <typename T>
inline void load_routines(const nb::dict& capsules, char prefix) {
  bool is_ilp64 = false;
  auto address = [&](const char* name) {
    return routine_address(capsules, (prefix + std::string(name)).c_str(), is_ilp64);
  };
  auto fill = [](auto& routines, void* gemm, void* gemv, void* syrk) {
    using R = std::remove_reference_t<decltype(routines)>;
    routines.gemm = reinterpret_cast<typename R::gemm_t>(gemm);
    routines.gemv = reinterpret_cast<typename R::gemv_t>(gemv);
    routines.syrk = reinterpret_cast<typename R::syrk_t>(syrk);
  };
  void* gemm = address("gemm");
  void* gemv = address("gemv");
  void* syrk = address("syrk");
  table<T>.is_ilp64 = is_ilp64;
  if (is_ilp64) {
    fill(table<T>.ilp64, gemm, gemv, syrk);
  } else {
    fill(table<T>.lp64, gemm, gemv, syrk);
  }
}

// Called once at import with scipy.linalg.cython_blas.__pyx_capi__.
inline void load(const nb::dict& capsules) {
  load_routines<float>(capsules, 's');
  load_routines<double>(capsules, 'd');
}

}  // namespace sklearn_backprop::blas
