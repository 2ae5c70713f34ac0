// Bindings of what linear regression needs: Gram matrices, exact residuals, descent.
#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/pair.h>
#include <nanobind/stl/string.h>

#include <algorithm>
#include <initializer_list>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "descent.hpp"
#include "gram.hpp"
#include "residual.hpp"
#include "signals.hpp"

namespace nb = nanobind;
using namespace nb::literals;

namespace sklearn_backprop {
namespace {

using Data = nb::ndarray<nb::ro, nb::ndim<2>, nb::device::cpu>;
using Vector = nb::ndarray<const double, nb::ndim<1>, nb::c_contig, nb::device::cpu>;
using Matrix = nb::ndarray<const double, nb::ndim<2>, nb::c_contig, nb::device::cpu>;
using Indices =
    nb::ndarray<const std::int32_t, nb::ndim<1>, nb::c_contig, nb::device::cpu>;
using MutableMatrix = nb::ndarray<double, nb::ndim<2>, nb::c_contig, nb::device::cpu>;
using OptionalVector = std::optional<Vector>;

Index extent(std::size_t size) { return static_cast<Index>(size); }

void require(bool condition, const char* message) {
  if (!condition) throw std::invalid_argument(message);
}

template <typename T, typename Array>
StridedRows<T> rows_of(const Array& array) {
  return {static_cast<const T*>(array.data()), extent(array.shape(0)),
          extent(array.shape(1)), array.stride(0), array.stride(1)};
}

// Calls `use` with the data as StridedRows<double> or StridedRows<float>.
template <typename Use>
void with_rows(const Data& data, Use&& use) {
  if (data.dtype() == nb::dtype<double>()) {
    use(rows_of<double>(data));
  } else if (data.dtype() == nb::dtype<float>()) {
    use(rows_of<float>(data));
  } else {
    throw std::invalid_argument("X must hold float32 or float64 numbers.");
  }
}

const double* pointer(const OptionalVector& vector) {
  return vector.has_value() ? vector->data() : nullptr;
}

// A new NumPy array that owns a copy of `values`.
nb::object to_numpy(const std::vector<double>& values,
                    std::initializer_list<std::size_t> shape) {
  auto owned = std::make_unique<std::vector<double>>(values);
  double* data = owned->data();
  nb::capsule owner(owned.release(), [](void* p) noexcept {
    std::unique_ptr<std::vector<double>>(static_cast<std::vector<double>*>(p));
  });
  return nb::cast(nb::ndarray<nb::numpy, double>(data, shape, owner));
}

void accumulate_gram(const Data& x, const Matrix& y, const OptionalVector& weight,
                     const Vector& shift, MutableMatrix gram, int n_threads) {
  const std::size_t width = 1 + x.shape(1) + y.shape(1);
  require(y.shape(0) == x.shape(0), "X and Y must have the same number of rows.");
  require(!weight || weight->shape(0) == x.shape(0),
          "weight must have one entry a row.");
  require(shift.shape(0) + 1 == width,
          "shift must have one entry a column of X and Y.");
  require(gram.shape(0) == width && gram.shape(1) == width,
          "gram has the wrong shape.");
  with_rows(x, [&](const auto& rows) {
    nb::gil_scoped_release release;
    SignalPoll poll;
    gram::accumulate_shared(rows, rows_of<double>(y), pointer(weight), shift.data(),
                            n_threads, gram.data(), poll);
  });
}

// Sums of residuals for several targets, kept in double-double from block to block.
class ResidualSums {
 public:
  ResidualSums(std::size_t n_features, std::size_t n_targets)
      : n_features_(n_features), sums_(n_targets, residual::Sums(extent(n_features))) {}

  void add(const Data& x, const Matrix& y, const OptionalVector& weight,
           const Matrix& coef, const Vector& intercept, int n_threads) {
    require(x.shape(1) == n_features_ && coef.shape(1) == n_features_,
            "X and coef must have one column a feature.");
    require(y.shape(0) == x.shape(0), "X and Y must have the same number of rows.");
    require(y.shape(1) == sums_.size() && coef.shape(0) == sums_.size() &&
                intercept.shape(0) == sums_.size(),
            "Y, coef and intercept must agree on the number of targets.");
    require(!weight || weight->shape(0) == x.shape(0),
            "weight must have one entry a row.");
    with_rows(x, [&](const auto& rows) {
      nb::gil_scoped_release release;
      SignalPoll poll;
      for (std::size_t t = 0; t < sums_.size(); ++t) {
        const auto values = rows_of<double>(y);
        using T = std::remove_const_t<std::remove_pointer_t<decltype(rows.data)>>;
        const residual::Problem<T> problem{rows,
                                           values,
                                           extent(t),
                                           pointer(weight),
                                           coef.data() + t * n_features_,
                                           intercept.data()[t]};
        residual::add_rows(problem, n_threads, sums_[t], poll);
      }
    });
  }

  nb::object gradient(const Vector& center, const Vector& offset) const {
    require(center.shape(0) == n_features_ && offset.shape(0) == n_features_,
            "center and offset must have one entry a feature.");
    std::vector<double> out(n_features_ * sums_.size());
    for (std::size_t t = 0; t < sums_.size(); ++t) {
      residual::round_centered(sums_[t], center.data(), offset.data(), n_features_,
                               out.data() + t * n_features_);
    }
    return to_numpy(out, {sums_.size(), n_features_});
  }

  std::pair<std::size_t, std::size_t> shape() const {
    return {n_features_, sums_.size()};
  }

  void merge(const ResidualSums& other) {
    require(other.n_features_ == n_features_ && other.sums_.size() == sums_.size(),
            "Sums must have the same features and targets.");
    for (std::size_t t = 0; t < sums_.size(); ++t) sums_[t].add(other.sums_[t]);
  }

  // A row for each target: hi and lo of its products, then of residual and squares.
  nb::object state() const {
    std::vector<double> out;
    for (const residual::Sums& sums : sums_) {
      out.insert(out.end(), sums.hi.begin(), sums.hi.end());
      out.insert(out.end(), sums.lo.begin(), sums.lo.end());
      for (const DoubleDouble& sum : {sums.residual, sums.squares}) {
        out.insert(out.end(), {sum.hi, sum.lo});
      }
    }
    const std::size_t width = sums_.empty() ? 0 : out.size() / sums_.size();
    return nb::make_tuple(n_features_, to_numpy(out, {sums_.size(), width}));
  }

  static void construct_from_state(ResidualSums* self, const nb::tuple& state) {
    const auto n_features = nb::cast<std::size_t>(state[0]);
    const auto rows = nb::cast<Matrix>(state[1]);
    new (self) ResidualSums(n_features, rows.shape(0));
    const double* next = rows.data();
    auto take = [&next](double* begin, std::size_t n) {
      std::copy(next, next + n, begin);
      next += n;
    };
    for (residual::Sums& sums : self->sums_) {
      require(rows.shape(1) == 2 * sums.hi.size() + 4, "The state has another width.");
      take(sums.hi.data(), sums.hi.size());
      take(sums.lo.data(), sums.lo.size());
      for (DoubleDouble* sum : {&sums.residual, &sums.squares}) {
        take(&sum->hi, 1);
        take(&sum->lo, 1);
      }
    }
  }

  nb::object residual() const {
    return collect([](const residual::Sums& sums) { return sums.residual.value(); });
  }
  nb::object squares() const {
    return collect([](const residual::Sums& sums) { return sums.squares.value(); });
  }

 private:
  template <typename Get>
  nb::object collect(Get&& get) const {
    std::vector<double> out;
    for (const residual::Sums& sums : sums_) out.push_back(get(sums));
    return to_numpy(out, {out.size()});
  }

  std::size_t n_features_;
  std::vector<residual::Sums> sums_;
};

template <typename M>
void check_data_cost(const M& x, const Matrix& y, const Vector& share,
                     const Vector& center, const Vector& scale) {
  const std::size_t n = static_cast<std::size_t>(x.n_rows);
  const std::size_t p = static_cast<std::size_t>(x.n_cols);
  require(y.shape(0) == n && share.shape(0) == n,
          "Y and share must have one entry a row of X.");
  require(center.shape(0) == p && scale.shape(0) == p,
          "center and scale must have one entry a feature.");
}

template <typename M>
using DataCost = quadratic::DataCost<M>;

template <typename M>
void construct_data_cost(DataCost<M>* self, const M& x, const Matrix& y,
                         const Vector& share, const Vector& center, const Vector& scale,
                         bool has_intercept, int n_threads) {
  check_data_cost(x, y, share, center, scale);
  new (self) DataCost<M>(x, y.data(), share.data(), center.data(), scale.data(),
                         extent(y.shape(1)), has_intercept, n_threads);
}

descent::Schedule schedule_of(const std::string& name) {
  if (name == "constant") return descent::Schedule::kConstant;
  if (name == "invscaling") return descent::Schedule::kInvScaling;
  if (name == "adaptive") return descent::Schedule::kAdaptive;
  throw std::invalid_argument("unknown learning-rate schedule '" + name + "'.");
}

void bind_costs(nb::module_& m) {
  nb::class_<quadratic::Cost>(m, "Cost").def(
      "evaluate",
      [](quadratic::Cost& cost, const Matrix& theta) {
        require(theta.size() == cost.size(),
                "theta must have shape (n_targets, n_coefficients).");
        std::vector<double> gradient(cost.size());
        double loss = 0.0;
        {
          nb::gil_scoped_release release;
          loss = cost.evaluate(theta.data(), gradient.data());
        }
        return nb::make_tuple(loss,
                              to_numpy(gradient, {theta.shape(0), theta.shape(1)}));
      },
      "theta"_a);
  nb::class_<quadratic::GramCost, quadratic::Cost>(m, "GramCost")
      .def(
          "__init__",
          [](quadratic::GramCost* self, const Matrix& hessian, const Matrix& linear,
             double constant) {
            require(hessian.shape(0) == hessian.shape(1) &&
                        linear.shape(1) == hessian.shape(0),
                    "hessian must be square, linear of shape (n_targets, n).");
            new (self)
                quadratic::GramCost(hessian.data(), linear.data(), constant,
                                    extent(hessian.shape(0)), extent(linear.shape(0)));
          },
          "hessian"_a, "linear"_a, "constant"_a);
  nb::class_<DataCost<quadratic::DenseRows>, quadratic::Cost>(m, "DenseCost")
      .def(
          "__init__",
          [](DataCost<quadratic::DenseRows>* self, const Matrix& x, const Matrix& y,
             const Vector& share, const Vector& center, const Vector& scale,
             bool has_intercept, int n_threads) {
            const quadratic::DenseRows matrix{x.data(), extent(x.shape(0)),
                                              extent(x.shape(1))};
            construct_data_cost(self, matrix, y, share, center, scale, has_intercept,
                                n_threads);
          },
          "x"_a, "y"_a, "share"_a, "center"_a, "scale"_a, "has_intercept"_a,
          "n_threads"_a, nb::keep_alive<1, 2>());
  nb::class_<DataCost<quadratic::SparseRows>, quadratic::Cost>(m, "SparseCost")
      .def(
          "__init__",
          [](DataCost<quadratic::SparseRows>* self, const Vector& data,
             const Indices& indices, const Indices& indptr, std::size_t n_features,
             const Matrix& y, const Vector& share, const Vector& center,
             const Vector& scale, bool has_intercept, int n_threads) {
            require(indptr.shape(0) >= 1 && indices.shape(0) == data.shape(0),
                    "indices and data must have the same length.");
            const quadratic::SparseRows matrix{
                data.data(), indices.data(), indptr.data(), extent(indptr.shape(0)) - 1,
                extent(n_features)};
            construct_data_cost(self, matrix, y, share, center, scale, has_intercept,
                                n_threads);
          },
          "data"_a, "indices"_a, "indptr"_a, "n_features"_a, "y"_a, "share"_a,
          "center"_a, "scale"_a, "has_intercept"_a, "n_threads"_a,
          nb::keep_alive<1, 2>(), nb::keep_alive<1, 3>(), nb::keep_alive<1, 4>());
}

void construct_descent(descent::Descent* self, quadratic::Cost& cost,
                       const Matrix& theta, const Vector& l1, const Vector& l2,
                       const Vector& gradient_floor, double learning_rate,
                       const std::string& schedule, double power_t, double momentum,
                       bool nesterov, double tol, double largest_stable_rate,
                       bool positive, bool track_path) {
  require(extent(theta.shape(0)) == cost.n_targets() &&
              extent(theta.shape(1)) == cost.n_coefficients(),
          "theta must have shape (n_targets, n_coefficients).");
  require(l1.shape(0) == l2.shape(0) && l1.shape(0) <= theta.shape(1),
          "l1 and l2 must have one entry a penalised coefficient.");
  require(gradient_floor.shape(0) == theta.shape(0),
          "gradient_floor must have one entry a target.");
  descent::Penalty penalty{{l1.data(), l1.data() + l1.shape(0)},
                           {l2.data(), l2.data() + l2.shape(0)}};
  new (self)
      descent::Descent(cost, theta.data(), std::move(penalty), gradient_floor.data(),
                       {learning_rate, schedule_of(schedule), power_t, momentum,
                        nesterov, tol, largest_stable_rate, positive, track_path});
}

void bind_descent(nb::module_& m) {
  using descent::Descent;
  using descent::Status;
  nb::enum_<Status>(m, "Status")
      .value("RUNNING", Status::kRunning)
      .value("CONVERGED", Status::kConverged)
      .value("DIVERGED", Status::kDiverged)
      .value("STALLED", Status::kStalled);
  nb::class_<Descent>(m, "Descent")
      .def("__init__", &construct_descent, "cost"_a, "theta"_a, nb::kw_only(), "l1"_a,
           "l2"_a, "gradient_floor"_a, "learning_rate"_a, "schedule"_a, "power_t"_a,
           "momentum"_a, "nesterov"_a, "tol"_a, "largest_stable_rate"_a, "positive"_a,
           "track_path"_a, nb::keep_alive<1, 2>())
      .def("run", &Descent::run, "n_iter"_a, "seconds"_a,
           nb::call_guard<nb::gil_scoped_release>())
      .def_prop_ro("status", &Descent::status)
      .def_prop_ro("n_iter", [](const Descent& d) { return d.loss_curve().size(); })
      .def_prop_ro("learning_rate", &Descent::learning_rate)
      .def_prop_ro("start_loss", &Descent::start_loss)
      .def_prop_ro(
          "theta",
          [](const Descent& d) { return to_numpy(d.theta(), {d.theta().size()}); })
      .def_prop_ro(
          "path",
          [](const Descent& d) { return to_numpy(d.path(), {d.path().size()}); })
      .def_prop_ro("loss_curve",
                   [](const Descent& d) {
                     return to_numpy(d.loss_curve(), {d.loss_curve().size()});
                   })
      .def_prop_ro("gradient_norm_curve", [](const Descent& d) {
        return to_numpy(d.gradient_norm_curve(), {d.gradient_norm_curve().size()});
      });
}

}  // namespace

void bind_linear_model(nb::module_& m) {
  m.def("accumulate_gram", &accumulate_gram, "x"_a, "y"_a, "weight"_a.none(), "shift"_a,
        "gram"_a, "n_threads"_a);
  nb::class_<ResidualSums>(m, "ResidualSums")
      .def(nb::init<std::size_t, std::size_t>(), "n_features"_a, "n_targets"_a)
      .def("add", &ResidualSums::add, "x"_a, "y"_a, "weight"_a.none(), "coef"_a,
           "intercept"_a, "n_threads"_a)
      .def_prop_ro("shape", &ResidualSums::shape)
      .def("merge", &ResidualSums::merge, "other"_a)
      .def("__getstate__", &ResidualSums::state)
      .def("__setstate__", &ResidualSums::construct_from_state)
      .def("gradient", &ResidualSums::gradient, "center"_a, "offset"_a)
      .def_prop_ro("residual", &ResidualSums::residual)
      .def_prop_ro("squares", &ResidualSums::squares);
  bind_costs(m);
  bind_descent(m);
}

}  // namespace sklearn_backprop
