// Bindings of the networks and their trainers; _engine.pyi says what Python sees. Each
// floating-point type is a source of its own, so that they compile side by side.
#pragma once

#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/pair.h>
#include <nanobind/stl/shared_ptr.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/variant.h>
#include <nanobind/stl/vector.h>

#include <algorithm>
#include <array>
#include <memory>
#include <numeric>
#include <optional>
#include <string>
#include <tuple>
#include <utility>
#include <variant>
#include <vector>

#include "network.hpp"
#include "prediction.hpp"
#include "signals.hpp"
#include "trainer.hpp"

namespace nb = nanobind;
using namespace nb::literals;

namespace sklearn_backprop {
namespace {

template <typename T, int n_dims>
using Array = nb::ndarray<T, nb::ndim<n_dims>, nb::c_contig, nb::device::cpu>;

// A NumPy array that owns the vector.
template <typename T>
nb::ndarray<nb::numpy, T> to_array(std::vector<T> values,
                                   const std::vector<std::size_t>& shape) {
  auto held = std::make_unique<std::vector<T>>(std::move(values));
  T* data = held->data();
  nb::capsule owner(held.get(), [](void* p) noexcept {
    std::unique_ptr<std::vector<T>>(static_cast<std::vector<T>*>(p));
  });
  held.release();  // the capsule's now
  return nb::ndarray<nb::numpy, T>(data, shape.size(), shape.data(), owner);
}

std::vector<std::size_t> shape_of(Index n) { return {static_cast<std::size_t>(n)}; }
std::vector<std::size_t> shape_of(Index n, Index k) {
  return {static_cast<std::size_t>(n), static_cast<std::size_t>(k)};
}

void require(bool is_true, const std::string& message) {
  if (!is_true) throw nb::value_error(message.c_str());
}

void require_size(const char* name, std::size_t got, Index expected) {
  require(Index(got) == expected, std::string(name) + " has " + std::to_string(got) +
                                      " elements, expected " +
                                      std::to_string(expected) + ".");
}

// ---- X: an array, or a SciPy CSR matrix or array -----------------------------------

template <typename T>
class InputMatrix {
 public:
  InputMatrix(const nb::handle& X, Index n_columns) {
    if (nb::hasattr(X, "indptr")) {
      take_csr(X);
    } else {
      take_dense(X);
    }
    require(rows_ > 0, "X has no rows.");
    require(columns_ == n_columns, "X has " + std::to_string(columns_) +
                                       " columns, the network reads " +
                                       std::to_string(n_columns) + ".");
    if (csr_.values != nullptr) check_columns();
  }
  InputMatrix(const InputMatrix&) = delete;
  InputMatrix& operator=(const InputMatrix&) = delete;

  Index rows() const { return rows_; }
  Rows<T> view() const {
    Rows<T> x(Matrix<const T>{dense_, rows_, columns_, columns_});
    if (dense_ == nullptr) x.csr = &csr_;
    return x;
  }

 private:
  template <typename A>
  A take(const nb::handle& object, const char* what) {
    A array;
    if (!nb::try_cast(object, array, false)) {
      throw nb::type_error(
          (std::string(what) + " must be C-contiguous, of the network's dtype.")
              .c_str());
    }
    kept_.push_back(nb::borrow(object));
    return array;
  }

  void take_dense(const nb::handle& X) {
    const auto array = take<Array<const T, 2>>(X, "X");
    dense_ = array.data();
    rows_ = Index(array.shape(0));
    columns_ = Index(array.shape(1));
  }

  void take_csr(const nb::handle& X) {
    require(nb::cast<std::string>(X.attr("format")) == "csr",
            "A sparse X must be in CSR format.");
    const nb::object shape = X.attr("shape");
    rows_ = nb::cast<Index>(shape[0]);
    columns_ = nb::cast<Index>(shape[1]);
    const auto values = take<Array<const T, 1>>(X.attr("data"), "X.data");
    csr_.values = values.size() > 0 ? values.data() : &nothing_;
    const nb::object indices = X.attr("indices"), starts = X.attr("indptr");
    csr_.has_wide_indices = nb::isinstance<Array<const std::int64_t, 1>>(starts);
    Index n_starts = 0;
    if (csr_.has_wide_indices) {
      n_starts = take_indices<std::int64_t>(indices, starts, values.size());
    } else {
      n_starts = take_indices<std::int32_t>(indices, starts, values.size());
    }
    require_size("X.indptr", static_cast<std::size_t>(n_starts), rows_ + 1);
  }

  template <typename Int>
  Index take_indices(const nb::object& indices, const nb::object& starts,
                     std::size_t n_values) {
    const auto column = take<Array<const Int, 1>>(indices, "X.indices");
    const auto start = take<Array<const Int, 1>>(starts, "X.indptr");
    csr_.columns = column.data();
    csr_.starts = start.data();
    bool is_sorted = start.size() > 0 && start(0) == 0;
    for (std::size_t i = 1; i < start.size(); ++i) {
      is_sorted = is_sorted && start(i - 1) <= start(i);
    }
    require(is_sorted, "X.indptr is not that of a CSR matrix.");
    const auto end = static_cast<std::size_t>(start(start.size() - 1));
    require(end <= n_values && end <= column.size(), "X has lost stored elements.");
    return Index(start.size());
  }

  void check_columns() const {
    for (Index i = 0; i < rows_; ++i) {
      csr_.for_row(i, [&](Index column, T) {
        require(column >= 0 && column < columns_, "X.indices has one out of range.");
      });
    }
  }

  std::vector<nb::object> kept_;
  Csr<T> csr_;
  const T* dense_ = nullptr;
  T nothing_ = T(0);
  Index rows_ = 0, columns_ = 0;
};

// ---- Layers and parameters, as Python lays them out --------------------------------

Spec::Value value_of(const nb::handle& object) {
  if (PyUnicode_Check(object.ptr())) return nb::cast<std::string>(object);
  if (PyLong_Check(object.ptr())) return nb::cast<Index>(object);
  if (PySequence_Check(object.ptr())) return nb::cast<std::vector<Index>>(object);
  return nb::cast<double>(object);
}

std::vector<Spec> specs_of(const nb::sequence& layers, bool fuses) {
  std::vector<Spec> specs;
  for (nb::handle item : layers) {
    Spec spec;
    for (const auto& [key, value] : nb::cast<nb::dict>(item)) {
      const auto name = nb::cast<std::string>(key);
      if (name == "kind") {
        spec.kind = nb::cast<std::string>(value);
      } else if (name == "layers") {
        spec.layers = specs_of(nb::cast<nb::sequence>(value), fuses);
      } else {
        spec.values.emplace(name, value_of(value));
      }
    }
    specs.push_back(std::move(spec));
  }
  return fuses ? fuse_biases(std::move(specs)) : specs;
}

ParameterTable table_of(const nb::sequence& parameters) {
  std::vector<Parameter> rows;
  for (nb::handle item : parameters) {
    const auto row = nb::cast<nb::dict>(item);
    Parameter parameter;
    parameter.name = nb::cast<std::string>(row["name"]);
    parameter.begin = nb::cast<Index>(row["start"]);
    parameter.size = nb::cast<Index>(row["size"]);
    parameter.penalty = nb::cast<double>(row["penalty"]);
    parameter.rate = nb::cast<double>(row["rate"]);
    parameter.is_recorded = nb::cast<bool>(row["recorded"]);
    if (row.contains("matrix")) {
      std::tie(parameter.matrix_rows, parameter.matrix_cols) =
          nb::cast<std::pair<Index, Index>>(row["matrix"]);
    }
    rows.push_back(std::move(parameter));
  }
  return ParameterTable(std::move(rows));
}

// ---- Rows of the data, in the order in which they are taken ------------------------

// (n,), or (n, n_members) where members have rows of their own
using Order =
    std::optional<nb::ndarray<const std::int64_t, nb::c_contig, nb::device::cpu>>;

Selection selection_of(const Order& order, Index n_rows, Index n_members) {
  if (!order.has_value()) return {nullptr, 0, n_rows};
  const std::int64_t* first = order->data();
  const bool fits = std::all_of(first, first + order->size(), [=](std::int64_t row) {
    return row >= 0 && row < n_rows;
  });
  require(fits, "order has a row that X has not.");
  if (order->ndim() == 1) return {first, 0, Index(order->size())};
  require(order->ndim() == 2 && Index(order->shape(1)) == n_members,
          "order needs a column for each of the " + std::to_string(n_members) +
              " members.");
  return {first, 0, Index(order->shape(0)), n_members};
}

// ---- Networks ----------------------------------------------------------------------

template <typename T>
using Weights = std::optional<Array<const T, 1>>;
template <typename T>
using Constants = std::optional<Array<const T, 1>>;
template <typename T>
using Running = std::optional<Array<const T, 1>>;

template <typename T>
Data<T> data_of(const Network<T>& network, const InputMatrix<T>& X,
                const Array<const T, 2>& Y, const Weights<T>& weight) {
  const Index n_targets = network.head().n_targets();
  require(Index(Y.shape(0)) == X.rows() && Index(Y.shape(1)) == n_targets,
          "Y must have one row per row of X and " + std::to_string(n_targets) +
              " columns.");
  Data<T> data;
  data.x = X.view();
  data.y = Y.data();
  if (weight.has_value()) {
    require_size("sample_weight", weight->size(), X.rows());
    data.weight = weight->data();
  }
  return data;
}

template <typename T>
const T* constants_of(const Network<T>& network, const Constants<T>& constants) {
  require_size("constants", constants.has_value() ? constants->size() : 0,
               network.n_constants());
  return constants.has_value() ? constants->data() : nullptr;
}

// Statistics that frozen layers read; null where there are none.
template <typename T>
const T* running_of(const Network<T>& network, const Running<T>& running) {
  if (!network.reads_running_in_training()) return nullptr;
  require_size("running", running.has_value() ? running->size() : 0,
               network.n_running());
  return running->data();
}

template <typename T>
void check_parameters(const Network<T>& network, std::size_t n_theta,
                      std::size_t n_running) {
  require_size("theta", n_theta, network.n_parameters());
  require_size("running", n_running, network.n_running());
}

template <typename T>
std::shared_ptr<Network<T>> make_network(const nb::sequence& parameters,
                                         const nb::sequence& layers,
                                         const std::string& loss,
                                         const std::string& link, double loss_parameter,
                                         Index n_members, bool fuse) {
  return std::make_shared<Network<T>>(
      table_of(parameters), specs_of(layers, fuse),
      losses::make_loss<T>({loss, link}, T(loss_parameter)), n_members);
}

template <typename T>
Pass<T> prediction_pass(const T* theta, const T* running, const T* constants) {
  Pass<T> pass;
  pass.theta = theta;
  pass.running = running;
  pass.constants = constants;
  return pass;
}

template <typename T, bool is_raw>
nb::ndarray<nb::numpy, T> outputs(const Network<T>& network,
                                  const Array<const T, 1>& theta,
                                  const Array<const T, 1>& running, nb::handle X,
                                  const Order& order, const Constants<T>& constants,
                                  int n_threads) {
  check_parameters(network, theta.size(), running.size());
  const T* fixed = constants_of(network, constants);
  const InputMatrix<T> input(X, network.n_inputs());
  const Head<T>& head = network.head();
  const Selection all = selection_of(order, input.rows(), 1);
  const Index k = is_raw ? head.n_raw() : head.n_predictions();
  std::vector<T> result(static_cast<std::size_t>(all.count * k));
  {
    const nb::gil_scoped_release release;
    Data<T> data;
    data.x = input.view();
    SignalPoll poll;
    for_each_stretch(
        network, prediction_pass(theta.data(), running.data(), fixed), all, n_threads,
        [&](Pass<T>& pass, Index, Selection rows) {
          const Matrix<T> raw = network.forward(pass, data, rows);
          T* out = result.data() + rows.first * k;
          if constexpr (is_raw) {
            std::copy_n(raw.data, raw.rows * k, out);
          } else {
            head.predict(raw, out);
          }
        },
        poll);
  }
  return to_array(std::move(result), shape_of(all.count, k));
}

// Derivatives (n, K, p) of each row's predictions in its inputs, in prediction mode.
template <typename T>
nb::ndarray<nb::numpy, T> prediction_gradients(const Network<T>& network,
                                               const Array<const T, 1>& theta,
                                               const Array<const T, 1>& running,
                                               nb::handle X,
                                               const Constants<T>& constants) {
  check_parameters(network, theta.size(), running.size());
  const T* fixed = constants_of(network, constants);
  const InputMatrix<T> input(X, network.n_inputs());
  const Index n = input.rows(), p = input.view().cols();
  const Index k_all = network.head().n_predictions();
  std::vector<T> result(static_cast<std::size_t>(n * k_all * p));
  {
    const nb::gil_scoped_release release;
    Data<T> data;
    data.x = input.view();
    std::vector<T> of_theta(theta.size()), of_inputs, no_share;
    Pass<T> all = prediction_pass(theta.data(), running.data(), fixed);
    all.gradient = of_theta.data();
    SignalPoll poll;
    for_each_stretch(
        network, all, Selection{nullptr, 0, n}, 1,
        [&](Pass<T>& pass, Index, Selection rows) {
          of_inputs.resize(static_cast<std::size_t>(rows.count * p));
          // The statistics that rows are normalised by do not depend on them.
          no_share.resize(static_cast<std::size_t>(rows.count));
          pass.input_gradient = of_inputs.data();
          pass.row_share = no_share.data();
          for (Index k = 0; k < k_all; ++k) {
            network.differentiate_prediction(pass, data, rows, k);
            for (Index i = 0; i < rows.count; ++i) {
              std::copy_n(of_inputs.data() + i * p, p,
                          result.data() + ((rows.first + i) * k_all + k) * p);
            }
          }
        },
        poll);
  }
  return to_array(std::move(result),
                  {static_cast<std::size_t>(n), static_cast<std::size_t>(k_all),
                   static_cast<std::size_t>(p)});
}

// Raw outputs (n, n_members K), which somebody kept.
template <typename T>
Matrix<T> raw_of(const Network<T>& network, const Array<const T, 2>& raw,
                 std::vector<T>& copy) {
  const Index n = Index(raw.shape(0)), k = network.head().n_raw();
  require(Index(raw.shape(1)) == k, "raw must have " + std::to_string(k) + " columns.");
  copy.assign(raw.data(), raw.data() + raw.size());
  return {copy.data(), n, k, k};
}

template <typename T>
nb::ndarray<nb::numpy, T> predictions_of(const Network<T>& network,
                                         const Array<const T, 2>& raw) {
  std::vector<T> copy;
  const Matrix<T> f = raw_of(network, raw, copy);
  const Index k = network.head().n_predictions();
  std::vector<T> result(static_cast<std::size_t>(f.rows * k));
  network.head().predict(f, result.data());
  return to_array(std::move(result), shape_of(f.rows, k));
}

// The loss (n,) of each row.
template <typename T>
nb::ndarray<nb::numpy, T> row_losses(const Network<T>& network,
                                     const Array<const T, 2>& raw,
                                     const Array<const T, 2>& Y) {
  std::vector<T> copy;
  const Matrix<T> f = raw_of(network, raw, copy);
  const Index k = network.head().n_targets();
  require(Y.shape(0) == raw.shape(0) && Index(Y.shape(1)) == k,
          "Y must have one row per row of raw and " + std::to_string(k) + " columns.");
  Workspace<T> workspace = network.make_workspace(1);
  std::vector<T> losses(static_cast<std::size_t>(f.rows));
  const T whole = T(1);
  for (Index i = 0; i < f.rows; ++i) {
    losses[static_cast<std::size_t>(i)] = T(network.head().value_and_delta(
        workspace, f.block(i, 1), Y.data() + i * k, &whole, 1));
  }
  return to_array(std::move(losses), shape_of(f.rows));
}

template <typename T>
double evaluate(const Network<T>& network, const Array<const T, 1>& theta,
                const Array<const T, 1>& running, nb::handle X,
                const Array<const T, 2>& Y, const Weights<T>& weight,
                const Order& order, const Constants<T>& constants, int n_threads) {
  check_parameters(network, theta.size(), running.size());
  const T* fixed = constants_of(network, constants);
  const InputMatrix<T> input(X, network.n_inputs());
  const Data<T> data = data_of(network, input, Y, weight);
  const Selection all = selection_of(order, input.rows(), 1);
  const nb::gil_scoped_release release;
  const Index n = all.count;
  const double total = weight_of(data, all);
  std::vector<T> share(static_cast<std::size_t>(n), T(1 / total));
  for (Index i = 0; data.weight != nullptr && i < n; ++i) {
    share[static_cast<std::size_t>(i)] = T(double(data.weight[all.source(i)]) / total);
  }
  Pass<T> pass = prediction_pass(theta.data(), running.data(), fixed);
  pass.loss_share = share.data();
  // By stretches, so that the sum does not depend on the threads.
  std::vector<double> values(static_cast<std::size_t>(n_stretches(network, n)));
  SignalPoll poll;
  for_each_stretch(
      network, pass, all, n_threads,
      [&](Pass<T>& mine, Index number, Selection rows) {
        values[static_cast<std::size_t>(number)] = network.value(mine, data, rows);
      },
      poll);
  return std::accumulate(values.begin(), values.end(), 0.0);
}

// What the objective needs besides the rows.
struct ObjectiveSettings {
  double alpha;
  std::optional<double> total_weight;
  std::optional<std::uint64_t> seed;
  std::uint64_t step;
};

template <typename T>
Pass<T> objective_pass(const T* theta, const T* running, const T* constants,
                       const ObjectiveSettings& settings, T* gradient) {
  Pass<T> pass = prediction_pass(theta, running, constants);
  pass.gradient = gradient;
  pass.is_training = true;
  pass.drops_units = settings.seed.has_value();
  pass.seed = settings.seed.value_or(0);
  pass.step = settings.step;
  return pass;
}

Weighing weighing_of(const ObjectiveSettings& settings, double weight, Index n_rows) {
  return {weight / double(n_rows),
          settings.alpha / settings.total_weight.value_or(weight)};
}

template <typename T>
std::pair<double, nb::ndarray<nb::numpy, T>> value_and_gradient(
    const Network<T>& network, const Array<const T, 1>& theta, nb::handle X,
    const Array<const T, 2>& Y, const Weights<T>& weight, const Running<T>& running,
    const Constants<T>& constants, double alpha, std::optional<double> total_weight,
    std::optional<std::uint64_t> seed, std::uint64_t step, int n_threads) {
  require_size("theta", theta.size(), network.n_parameters());
  const T* statistics = running_of(network, running);
  const T* fixed = constants_of(network, constants);
  const InputMatrix<T> input(X, network.n_inputs());
  const Data<T> data = data_of(network, input, Y, weight);
  const ObjectiveSettings settings{alpha, total_weight, seed, step};
  std::vector<T> gradient(theta.size());
  double value = 0;
  {
    const nb::gil_scoped_release release;
    const Selection rows{nullptr, 0, input.rows()};
    const Pass<T> pass =
        objective_pass(theta.data(), statistics, fixed, settings, gradient.data());
    const Weighing weighing = weighing_of(settings, weight_of(data, rows), rows.count);
    const int n_busy = team_size_for(network, rows.count, n_threads);
    Team team(n_shares_for(network, rows.count, n_busy), n_busy);
    TeamGradient<T> team_gradient(network, rows.count, team.size());
    SignalPoll poll;
    value = team_gradient.compute(team, pass, data, rows, weighing, all_alike<T>, poll)
                .objective;
  }
  return {value, to_array(std::move(gradient), shape_of(network.n_parameters()))};
}

template <typename T>
nb::object to_array(const typename TraceProbe<T>::Copy& copy) {
  if (copy.values.empty()) return nb::none();
  return nb::cast(
      to_array(std::vector<T>(copy.values), shape_of(copy.rows, copy.cols)));
}

// Value and gradient of one mini-batch, with all that passed between layers.
template <typename T>
nb::dict trace(const Network<T>& network, const Array<const T, 1>& theta, nb::handle X,
               const Array<const T, 2>& Y, const Weights<T>& weight,
               const Running<T>& running, const Constants<T>& constants, double alpha,
               std::optional<double> total_weight, std::optional<std::uint64_t> seed,
               std::uint64_t step) {
  require_size("theta", theta.size(), network.n_parameters());
  const T* statistics = running_of(network, running);
  const T* fixed = constants_of(network, constants);
  const InputMatrix<T> input(X, network.n_inputs());
  const Data<T> data = data_of(network, input, Y, weight);
  const Selection rows{nullptr, 0, input.rows()};
  const ObjectiveSettings settings{alpha, total_weight, seed, step};
  std::vector<T> gradient(theta.size());
  std::vector<T> of_inputs(static_cast<std::size_t>(rows.count * network.n_inputs()));
  Pass<T> pass =
      objective_pass(theta.data(), statistics, fixed, settings, gradient.data());
  pass.input_gradient = of_inputs.data();
  TraceProbe<T> probe;
  pass.probe = &probe;
  auto nothing = [] {};
  TeamGradient<T> alone(network, rows.count, 1, rows.count);
  Team team(1);
  const double value =
      alone
          .compute(team, pass, data, rows,
                   weighing_of(settings, weight_of(data, rows), rows.count),
                   all_alike<T>, nothing)
          .objective;
  nb::list layers;
  for (const auto& [number, record] : probe.records()) {
    nb::dict layer;
    layer["number"] = number;
    layer["output"] = to_array<T>(record.output);
    layer["output_gradient"] = to_array<T>(record.output_gradient);
    layer["input_gradient"] = to_array<T>(record.input_gradient);
    layers.append(layer);
  }
  nb::dict result;
  result["value"] = value;
  result["gradient"] = to_array(std::move(gradient), shape_of(network.n_parameters()));
  result["input_gradient"] =
      to_array(std::move(of_inputs), shape_of(rows.count, network.n_inputs()));
  result["layers"] = layers;
  return result;
}

// ---- Trainers ----------------------------------------------------------------------

// One for all mini-batches of an epoch, or (n_batches,).
using Rates = std::variant<double, Array<const double, 1>>;

clipping::Clip clip_of(std::optional<double> threshold, const std::string& mode) {
  if (!threshold.has_value()) return {};
  return {clipping::mode_of(mode), *threshold};
}

template <typename T>
nb::dict train_epoch(Trainer<T>& trainer, const Array<T, 1>& theta,
                     const Array<T, 1>& running, nb::handle X,
                     const Array<const T, 2>& Y, const Weights<T>& weight,
                     const Order& order, const Constants<T>& constants,
                     Index batch_size, const Rates& learning_rate, double alpha,
                     std::optional<double> total_weight, std::optional<double> clip,
                     const std::string& clip_mode,
                     const std::optional<std::string>& record, std::uint64_t seed,
                     int n_threads) {
  const Network<T>& network = trainer.network();
  check_parameters(network, theta.size(), running.size());
  require(batch_size > 0, "batch_size must be positive.");
  const T* fixed = constants_of(network, constants);
  const InputMatrix<T> input(X, network.n_inputs());
  const Data<T> data = data_of(network, input, Y, weight);
  const Selection rows = selection_of(order, input.rows(), network.head().n_members());
  EpochSettings settings;
  settings.batch_size = std::min(batch_size, std::max<Index>(1, rows.count));
  settings.step.clip = clip_of(clip, clip_mode);
  if (const auto* rates = std::get_if<Array<const double, 1>>(&learning_rate)) {
    require_size("learning_rate", rates->size(),
                 (rows.count + settings.batch_size - 1) / settings.batch_size);
    settings.rates = rates->data();
  } else {
    settings.step.learning_rate = std::get<double>(learning_rate);
  }
  settings.seed = seed;
  settings.n_threads = n_threads;
  if (record.has_value()) settings.record = record_mode_of(*record);
  EpochResult result;
  {
    const nb::gil_scoped_release release;
    const double total =
        total_weight.value_or(weight_of(data, rows) / double(rows.width));
    settings.weighing = {total / double(std::max<Index>(1, rows.count)), alpha / total};
    SignalPoll poll;
    result = trainer.train_epoch(theta.data(), running.data(), fixed, data, rows,
                                 settings, poll);
  }
  nb::dict epoch;
  epoch["loss"] = result.loss;
  epoch["n_steps"] = result.n_steps;
  epoch["status"] = result.divergence.status;
  epoch["layer"] = result.divergence.layer;
  epoch["parameter"] = result.divergence.parameter;
  // One array, cut by name where it is read: making several takes as long as training
  // a small network for several steps.
  epoch["records"] = nb::none();
  if (settings.record != RecordMode::none) {
    const std::size_t n_records = result.records.size() / result.record_width;
    epoch["records"] =
        to_array(std::move(result.records), {n_records, result.record_width});
  }
  return epoch;
}

template <typename T>
std::pair<double, nb::ndarray<nb::numpy, T>> find_gradient(
    Trainer<T>& trainer, const Array<const T, 1>& theta, const Array<T, 1>& running,
    nb::handle X, const Array<const T, 2>& Y, const Weights<T>& weight,
    const Order& order, const Constants<T>& constants, double alpha,
    std::optional<double> total_weight, Index first_row, std::uint64_t seed,
    int n_threads) {
  const Network<T>& network = trainer.network();
  check_parameters(network, theta.size(), running.size());
  const T* fixed = constants_of(network, constants);
  const InputMatrix<T> input(X, network.n_inputs());
  const Data<T> data = data_of(network, input, Y, weight);
  const Selection rows = selection_of(order, input.rows(), network.head().n_members());
  require(rows.count > 0, "order has no rows.");
  EpochSettings settings;
  settings.seed = seed;
  settings.n_threads = n_threads;
  double objective = 0;
  {
    const nb::gil_scoped_release release;
    const double own = weight_of(data, rows) / double(rows.width);
    settings.weighing = {own / double(rows.count), alpha / total_weight.value_or(own)};
    SignalPoll poll;
    objective = trainer
                    .find_gradient(theta.data(), running.data(), fixed, data, rows,
                                   settings, first_row, poll)
                    .objective;
  }
  return {objective, to_array(std::vector<T>(trainer.gradient()),
                              shape_of(network.n_parameters()))};
}

template <typename T>
void take_step(Trainer<T>& trainer, const Array<T, 1>& theta,
               const Array<const T, 1>& gradient, double learning_rate,
               std::optional<double> clip, const std::string& clip_mode) {
  const Index n = trainer.network().n_parameters();
  require_size("theta", theta.size(), n);
  require_size("gradient", gradient.size(), n);
  const nb::gil_scoped_release release;
  trainer.gradient().assign(gradient.data(), gradient.data() + n);
  trainer.take_step(theta.data(), {learning_rate, clip_of(clip, clip_mode)});
}

template <typename T>
nb::dict get_state(Trainer<T>& trainer) {
  nb::dict state;
  state["t"] = trainer.state().t;
  state["moments"] =
      to_array(std::vector<T>(trainer.state().moments),
               shape_of(trainer.n_moments(), trainer.network().n_parameters()));
  return state;
}

template <typename T>
void set_state(Trainer<T>& trainer, const nb::dict& state) {
  const auto moments = nb::cast<Array<const T, 2>>(state["moments"], false);
  require(Index(moments.shape(0)) == trainer.n_moments() &&
              Index(moments.shape(1)) == trainer.network().n_parameters(),
          "The state is that of another optimizer or network.");
  trainer.state().t = nb::cast<std::int64_t>(state["t"]);
  trainer.state().moments.assign(moments.data(), moments.data() + moments.size());
}

// ---- Classes -----------------------------------------------------------------------

template <typename T>
void bind_trainer(nb::module_& m, const std::string& dtype) {
  nb::class_<Trainer<T>>(m, ("Trainer" + dtype).c_str())
      .def("train_epoch", &train_epoch<T>, "theta"_a.noconvert(),
           "running"_a.noconvert(), "X"_a, "Y"_a.noconvert(),
           "sample_weight"_a.noconvert() = nb::none(),
           "order"_a.noconvert() = nb::none(), nb::kw_only(),
           "constants"_a.noconvert() = nb::none(), "batch_size"_a, "learning_rate"_a,
           "alpha"_a = 0.0, "total_weight"_a = nb::none(), "clip"_a = nb::none(),
           "clip_mode"_a = "norm", "record"_a = nb::none(), "seed"_a = 0,
           "n_threads"_a = 1)
      .def("gradient", &find_gradient<T>, "theta"_a.noconvert(),
           "running"_a.noconvert(), "X"_a, "Y"_a.noconvert(),
           "sample_weight"_a.noconvert() = nb::none(),
           "order"_a.noconvert() = nb::none(), nb::kw_only(),
           "constants"_a.noconvert() = nb::none(), "alpha"_a = 0.0,
           "total_weight"_a = nb::none(), "first_row"_a = 0, "seed"_a = 0,
           "n_threads"_a = 1)
      .def("step", &take_step<T>, "theta"_a.noconvert(), "gradient"_a.noconvert(),
           nb::kw_only(), "learning_rate"_a, "clip"_a = nb::none(),
           "clip_mode"_a = "norm")
      .def("get_state", &get_state<T>)
      .def("set_state", &set_state<T>, "state"_a);
}

template <typename T>
std::shared_ptr<Trainer<T>> make_trainer(std::shared_ptr<Network<T>> network,
                                         const std::string& optimizer, double momentum,
                                         bool nesterov, double beta_1, double beta_2,
                                         double epsilon, double decay,
                                         double weight_decay) {
  const optimizers::Settings settings{momentum, nesterov, beta_1,      beta_2,
                                      epsilon,  decay,    weight_decay};
  return std::make_shared<Trainer<T>>(std::move(network), optimizer, settings);
}

template <typename T>
void bind_network_of(nb::module_& m, const std::string& dtype) {
  const optimizers::Settings usual;
  nb::class_<Network<T>>(m, ("Network" + dtype).c_str())
      .def(nb::new_(&make_network<T>), "parameters"_a, "layers"_a, nb::kw_only(),
           "loss"_a, "link"_a, "loss_parameter"_a = 0.0, "n_members"_a = 1,
           "fuse"_a = true)
      .def_prop_ro("n_inputs", &Network<T>::n_inputs)
      .def_prop_ro("n_outputs",
                   [](const Network<T>& network) { return network.head().n_targets(); })
      .def_prop_ro("n_parameters", &Network<T>::n_parameters)
      .def_prop_ro("n_running", &Network<T>::n_running)
      .def_prop_ro("n_constants", &Network<T>::n_constants)
      .def_prop_ro("n_recorded", &Network<T>::n_columns)
      .def("predict", &outputs<T, false>, "theta"_a.noconvert(),
           "running"_a.noconvert(), "X"_a, "order"_a.noconvert() = nb::none(),
           nb::kw_only(), "constants"_a.noconvert() = nb::none(), "n_threads"_a = 1)
      .def("raw_outputs", &outputs<T, true>, "theta"_a.noconvert(),
           "running"_a.noconvert(), "X"_a, "order"_a.noconvert() = nb::none(),
           nb::kw_only(), "constants"_a.noconvert() = nb::none(), "n_threads"_a = 1)
      .def("prediction_gradients", &prediction_gradients<T>, "theta"_a.noconvert(),
           "running"_a.noconvert(), "X"_a, nb::kw_only(),
           "constants"_a.noconvert() = nb::none())
      .def("predictions", &predictions_of<T>, "raw"_a.noconvert())
      .def("row_losses", &row_losses<T>, "raw"_a.noconvert(), "Y"_a.noconvert())
      .def("loss", &evaluate<T>, "theta"_a.noconvert(), "running"_a.noconvert(), "X"_a,
           "Y"_a.noconvert(), "sample_weight"_a.noconvert() = nb::none(),
           "order"_a.noconvert() = nb::none(), nb::kw_only(),
           "constants"_a.noconvert() = nb::none(), "n_threads"_a = 1)
      .def("value_and_gradient", &value_and_gradient<T>, "theta"_a.noconvert(), "X"_a,
           "Y"_a.noconvert(), "sample_weight"_a.noconvert() = nb::none(), nb::kw_only(),
           "running"_a.noconvert() = nb::none(), "constants"_a.noconvert() = nb::none(),
           "alpha"_a = 0.0, "total_weight"_a = nb::none(), "seed"_a = nb::none(),
           "step"_a = 0, "n_threads"_a = 1)
      .def("trace", &trace<T>, "theta"_a.noconvert(), "X"_a, "Y"_a.noconvert(),
           "sample_weight"_a.noconvert() = nb::none(), nb::kw_only(),
           "running"_a.noconvert() = nb::none(), "constants"_a.noconvert() = nb::none(),
           "alpha"_a = 0.0, "total_weight"_a = nb::none(), "seed"_a = nb::none(),
           "step"_a = 0)
      .def("trainer", &make_trainer<T>, "optimizer"_a, nb::kw_only(),
           "momentum"_a = usual.momentum, "nesterov"_a = usual.nesterov,
           "beta_1"_a = usual.beta_1, "beta_2"_a = usual.beta_2,
           "epsilon"_a = usual.epsilon, "decay"_a = usual.decay,
           "weight_decay"_a = usual.weight_decay);
}

// Networks and trainers of one floating-point type, in classes that end with its name.
template <typename T>
void bind_network(nb::module_& m, const std::string& dtype) {
  bind_trainer<T>(m, dtype);
  bind_network_of<T>(m, dtype);
}

}  // namespace
}  // namespace sklearn_backprop
