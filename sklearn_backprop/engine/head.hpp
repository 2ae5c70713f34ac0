// What stands behind the last layer: raw outputs of one member or of several, their
// loss against the targets, and the predictions that they mean.
#pragma once

#include <algorithm>
#include <memory>
#include <stdexcept>
#include <string>
#include <utility>

#include "losses.hpp"
#include "workspace.hpp"

namespace sklearn_backprop {

// Raw outputs (rows, n_members * width) hold one member's after the other's. The loss
// of a row is the mean of its members' losses, its prediction the mean of theirs.
template <typename T>
class Head {
 public:
  Head(std::unique_ptr<losses::Loss<T>> loss, Index n_raw, Index n_members)
      : loss_(std::move(loss)), n_raw_(n_raw), n_members_(n_members) {
    if (n_members < 1 || n_raw % n_members != 0) {
      throw std::invalid_argument(std::to_string(n_raw) +
                                  " raw outputs cannot be shared out among " +
                                  std::to_string(n_members) + " members.");
    }
  }

  Index n_members() const { return n_members_; }
  Index n_raw() const { return n_raw_; }
  Index n_targets() const { return n_raw_ / n_members_; }
  Index n_predictions() const { return n_targets(); }

  void reserve(Layout& layout) {
    scratch_ = layout.reserve(n_raw_, 2 * losses::kRowsAtOnce * n_targets());
    if (n_members_ == 1) return;
    targets_ = layout.reserve(n_raw_);
    shares_ = layout.reserve(n_members_);
  }

  // Predictions (rows, n_predictions) of raw outputs, which are overwritten.
  void predict(const Matrix<T>& raw, T* predictions) const {
    const Index n = n_predictions();
    loss_->apply_link(by_member(raw));
    if (n_members_ == 1) {
      std::copy_n(raw.data, raw.rows * n, predictions);
      return;
    }
    for (Index i = 0; i < raw.rows; ++i) {
      for (Index k = 0; k < n; ++k) {
        T sum = T(0);
        for (Index m = 0; m < n_members_; ++m) sum += raw.row(i)[m * n + k];
        predictions[i * n + k] = sum / T(n_members_);
      }
    }
  }

  // Raw outputs become the derivative of each row's prediction k.
  void differentiate(const Matrix<T>& raw, Index k) const {
    loss_->differentiate_link(by_member(raw), k);
    const T share = T(1) / T(n_members_);
    for (Index e = 0; n_members_ > 1 && e < raw.rows * raw.cols; ++e) {
      raw.data[e] *= share;
    }
  }

  // Sum of share_i * loss_i; raw outputs become their derivative. Of each row there is
  // one target and share, or one for every member.
  double value_and_delta(Workspace<T>& workspace, const Matrix<T>& raw, const T* y,
                         const T* share, Index targets_per_row) const {
    T* scratch = workspace.at(scratch_);
    if (n_members_ == targets_per_row) {
      return loss_->value_and_delta(by_member(raw), y, share, scratch);
    }
    T* targets = workspace.at(targets_);
    T* shares = workspace.at(shares_);
    for (Index i = 0; i < raw.rows; ++i) {
      for (Index m = 0; m < n_members_; ++m) {
        const Index at = i * n_members_ + m;
        std::copy_n(y + i * n_targets(), n_targets(), targets + at * n_targets());
        shares[at] = share[i] / T(n_members_);
      }
    }
    return loss_->value_and_delta(by_member(raw), targets, shares, scratch);
  }

 private:
  // The same numbers with a row for every member.
  Matrix<T> by_member(const Matrix<T>& raw) const {
    return {raw.data, raw.rows * n_members_, n_targets(), n_targets()};
  }

  std::unique_ptr<losses::Loss<T>> loss_;
  Index n_raw_, n_members_;
  Slot scratch_, targets_, shares_;
};

}  // namespace sklearn_backprop
