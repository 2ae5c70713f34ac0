// The Gram matrix of A = sqrt(w) * [1, X - shift_x, Y - shift_y], built in row blocks.
// Its first column holds the sums, so that one product yields count, means and
// products.
#pragma once

#include <algorithm>
#include <cmath>
#include <vector>

#include "blas.hpp"
#include "rows.hpp"
#include "team.hpp"

namespace sklearn_backprop::gram {

// Rows of A that fit a core's second-level cache beside the Gram matrix's panels.
inline Index rows_per_block(Index width) {
  constexpr Index kBlockBytes = 256 * 1024;
  const Index rows = kBlockBytes / (width * static_cast<Index>(sizeof(double)));
  return std::clamp<Index>(rows, 256, 4096);
}

// A block of A, stored in the order in which the data lie in memory.
template <typename T>
class BlockWriter {
 public:
  BlockWriter(const StridedRows<T>& x, const StridedRows<double>& y,
              const double* weight, const double* shift)
      : x_(x),
        y_(y),
        weight_(weight),
        shift_x_(shift),
        shift_y_(shift + x.n_cols),
        width_(1 + x.n_cols + y.n_cols),
        root_weight_(static_cast<std::size_t>(rows_per_block(width_))) {}

  Index width() const { return width_; }
  bool is_row_major() const { return x_.is_row_major(); }

  // block <- rows [begin, end) of A
  void write(Index begin, Index end, double* block) {
    for (Index i = begin; i < end; ++i) {
      root_weight_[static_cast<std::size_t>(i - begin)] =
          weight_ == nullptr ? 1.0 : std::sqrt(weight_[i]);
    }
    if (is_row_major()) {
      write_by_rows(begin, end, block);
    } else {
      write_by_columns(begin, end, block);
    }
    if (weight_ != nullptr) scale_rows(end - begin, block);
  }

 private:
  void write_by_rows(Index begin, Index end, double* block) const {
    for (Index i = begin; i < end; ++i, block += width_) {
      block[0] = 1.0;
      copy_row(x_, i, shift_x_, block + 1);
      copy_row(y_, i, shift_y_, block + 1 + x_.n_cols);
    }
  }

  template <typename U>
  static void copy_row(const StridedRows<U>& rows, Index i, const double* shift,
                       double* out) {
    const U* row = rows.row(i);
    if (rows.col_stride == 1) {
      for (Index j = 0; j < rows.n_cols; ++j)
        out[j] = static_cast<double>(row[j]) - shift[j];
    } else {
      for (Index j = 0; j < rows.n_cols; ++j) out[j] = rows(i, j) - shift[j];
    }
  }

  void write_by_columns(Index begin, Index end, double* block) const {
    const Index count = end - begin;
    std::fill(block, block + count, 1.0);
    copy_columns(x_, begin, count, shift_x_, block + count);
    copy_columns(y_, begin, count, shift_y_, block + count * (1 + x_.n_cols));
  }

  template <typename U>
  static void copy_columns(const StridedRows<U>& rows, Index begin, Index count,
                           const double* shift, double* out) {
    for (Index j = 0; j < rows.n_cols; ++j, out += count) {
      for (Index i = 0; i < count; ++i) out[i] = rows(begin + i, j) - shift[j];
    }
  }

  void scale_rows(Index count, double* block) const {
    const Index row_step = is_row_major() ? width_ : 1;
    const Index col_step = is_row_major() ? 1 : count;
    for (Index i = 0; i < count; ++i) {
      const double root = root_weight_[static_cast<std::size_t>(i)];
      for (Index j = 0; j < width_; ++j) block[i * row_step + j * col_step] *= root;
    }
  }

  StridedRows<T> x_;
  StridedRows<double> y_;
  const double* weight_;
  const double* shift_x_;
  const double* shift_y_;
  Index width_;
  std::vector<double> root_weight_;
};

// gram (lower triangle, column-major) += A'A over rows [begin, end). The leader
// calls between() at each block; it may throw.
template <typename T, typename Between>
void accumulate(const Member& member, BlockWriter<T> writer, Index begin, Index end,
                double* gram, Between& between) {
  const Index width = writer.width();
  const Index step = rows_per_block(width);
  std::vector<double> block(static_cast<std::size_t>(step * width));
  for (Index i = begin; i < end; i += step) {
    if (member.must_stop()) return;
    if (member.is_first()) between();
    const Index count = std::min(step, end - i);
    writer.write(i, i + count, block.data());
    const bool by_rows = writer.is_row_major();
    blas::syrk<double>('L', by_rows ? 'N' : 'T', width, count, 1.0, block.data(),
                       by_rows ? width : count, 1.0, gram, width);
  }
}

// gram (width x width, zeroed by the caller) += A'A; rows shared out over `n_threads`.
// The shares and the order of their sum depend on nothing but n_threads.
template <typename T, typename Between>
void accumulate_shared(const StridedRows<T>& x, const StridedRows<double>& y,
                       const double* weight, const double* shift, int n_threads,
                       double* gram, Between& between) {
  const BlockWriter<T> writer(x, y, weight, shift);
  const std::size_t size = static_cast<std::size_t>(writer.width() * writer.width());
  std::vector<double> partial(size * static_cast<std::size_t>(n_threads - 1), 0.0);
  Team(n_threads).share([&](Member& member) {
    const auto others = static_cast<std::size_t>(member.rank());
    double* mine = others == 0 ? gram : partial.data() + size * (others - 1);
    const auto [begin, end] = member.share_of(x.n_rows);
    accumulate(member, writer, begin, end, mine, between);
  });
  for (std::size_t start = 0; start < partial.size(); start += size) {
    for (std::size_t i = 0; i < size; ++i) gram[i] += partial[start + i];
  }
}

}  // namespace sklearn_backprop::gram
