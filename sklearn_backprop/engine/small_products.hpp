// Products of small matrices, summed in registers. BLAS copies both factors into the
// order of its kernel before it multiplies, which pays for large ones only. Packs have
// 32 bytes, for AVX2, or 64 for AVX-512.
#pragma once

#include <algorithm>

#include "matrix.hpp"
#include "transpose.hpp"

namespace sklearn_backprop {

// Rows of B and packs of its columns that are summed at once fill the registers: an
// element of A, a row of packs of B, and 24 sums of AVX-512's 32, 12 of AVX2's 16.
template <int n_bytes>
constexpr int kMostPacks = n_bytes > 32 ? 4 : 3;
template <int n_bytes, int n_packs>
constexpr int kMostRows = n_packs == 1 ? 8 : (n_bytes > 32 ? 24 : 12) / n_packs;

// How many of the packs that are left are summed next: as many as can be, but one is
// never left alone, for which the processor fetches as much as it multiplies.
template <int n_bytes>
constexpr Index next_packs(Index left) {
  constexpr Index most = kMostPacks<n_bytes>;
  return left == most + 1 ? most - 1 : std::min(left, most);
}

// Whether the last of the packs for so many columns is half a one: where that takes all
// that are left, for some processors multiply two of 32 bytes in the time of one of 64.
template <typename T, int n_bytes>
constexpr bool ends_in_half(Index n_columns) {
  constexpr Index width = kPackWidth<T, n_bytes>;
  const Index left = n_columns % width;
  return n_bytes > 32 && n_columns > width && left > 0 && left <= width / 2;
}

// Columns that packs for so many take.
template <typename T, int n_bytes>
constexpr Index width_of_packs(Index n_columns) {
  constexpr Index width = kPackWidth<T, n_bytes>;
  const Index unit = ends_in_half<T, n_bytes>(n_columns) ? width / 2 : width;
  return (n_columns + unit - 1) / unit * unit;
}

// Some columns of the second factor as packs side by side, the last of which may
// overlap the one before.
template <typename T>
struct Panel {
  const T* data;
  Index stride;
  Index last;  // column of the last pack
  bool ends_in_half;
};

template <int n_bytes, typename T>
SKB_INLINE Panel<T> panel_of(const T* data, Index stride, Index n_columns) {
  constexpr Index width = kPackWidth<T, n_bytes>;
  const bool has_half = ends_in_half<T, n_bytes>(n_columns);
  return {data, stride, n_columns - (has_half ? width / 2 : width), has_half};
}

// target = sum + beta target
template <int n_bytes, typename T>
SKB_INLINE void put(const Pack<T, n_bytes>& sum, T beta, T* target) {
  auto& pack = *reinterpret_cast<Pack<T, n_bytes>*>(target);
  pack = beta == T(0) ? sum : sum + beta * pack;
}

// C = A B + beta C for n_rows rows of A. The row of B is read before the column of A,
// whose elements adjoin, A being `is_transposed`, or are found by pointers that fit the
// processor's registers.
template <int n_bytes, int n_rows, int n_packs, bool has_half, bool is_transposed,
          typename T>
SKB_INLINE void product_block(Strided<const T> a, Panel<T> b, T beta, T* c, Index ldc) {
  using Whole = Pack<T, n_bytes>;
  using Half = Pack<T, n_bytes / 2>;
  constexpr int n_whole = has_half ? n_packs - 1 : n_packs;
  // An element of A fills the lanes once for both sizes, unless the compiler then runs
  // out of registers.
  constexpr bool shares_lanes = has_half && n_whole > 1 && sizeof(T) < sizeof(double);
  const Index row_stride = is_transposed ? 1 : a.row_stride;
  const auto column = [&](int j) {
    return j + 1 < n_packs ? j * kPackWidth<T, n_bytes> : b.last;
  };
  for (int i = 0; i < n_rows; ++i) {
    for (int j = 0; j < n_packs; ++j) prefetch_to_write(c + i * ldc + column(j));
  }
  Whole sum[n_rows][n_whole] = {};
  [[maybe_unused]] Half half_sum[n_rows] = {};
  for (Index l = 0; l < a.cols; ++l) {
    const T* row = b.data + l * b.stride;
    Whole b_l[n_whole];
    for (int j = 0; j < n_whole; ++j) {
      b_l[j] = *reinterpret_cast<const Whole*>(row + column(j));
    }
    [[maybe_unused]] Half half_b_l = {};
    if constexpr (has_half) half_b_l = *reinterpret_cast<const Half*>(row + b.last);
    for (int i = 0; i < n_rows; ++i) {
      const T a_il = a.data[i * row_stride + l * a.col_stride];
      if constexpr (shares_lanes) {
        Whole lanes;
        fill_lanes<n_bytes>(a_il, lanes);
        for (int j = 0; j < n_whole; ++j) sum[i][j] += lanes * b_l[j];
        half_sum[i] += reinterpret_cast<const Half&>(lanes) * half_b_l;
      } else {
        for (int j = 0; j < n_whole; ++j) sum[i][j] += a_il * b_l[j];
        if constexpr (has_half) half_sum[i] += a_il * half_b_l;
      }
    }
  }
  for (int i = 0; i < n_rows; ++i) {
    for (int j = 0; j < n_whole; ++j)
      put<n_bytes>(sum[i][j], beta, c + i * ldc + column(j));
    if constexpr (has_half) put<n_bytes / 2>(half_sum[i], beta, c + i * ldc + b.last);
  }
}

// C = sum + beta C
template <typename T>
SKB_INLINE void add_block(const T* sum, Index stride, T beta, Strided<T> c) {
  for (Index i = 0; i < c.rows; ++i) {
    for (Index j = 0; j < c.cols; ++j) {
      const T sum_ij = sum[i * stride + j];
      T& target = c.data[i * c.row_stride + j * c.col_stride];
      target = beta == T(0) ? sum_ij : sum_ij + beta * target;
    }
  }
}

// Fetches the n_rows rows of A that come next but one: a processor follows a row no
// further than its page by itself.
template <int n_rows, typename T>
SKB_INLINE void fetch_rows_behind(Index i, Strided<const T> a) {
  constexpr Index line = 64 / Index(sizeof(T));
  const Index first = i + 2 * n_rows, last = std::min(a.rows, first + n_rows);
  for (Index r = first; r < last; ++r) {
    const T* row = a.data + r * a.row_stride;
    for (Index l = 0; l < a.cols; l += line) prefetch_to_read(row + l);
  }
}

// C = A B + beta C for the rows of A from `i` on, by n_rows at once, and the rest by
// fewer. Sums that cannot go into C as packs are made beside it.
template <int n_bytes, int n_rows, int n_packs, bool has_half, bool is_transposed,
          typename T>
SKB_INLINE void product_rows(Index i, Strided<const T> a, Panel<T> b, T beta,
                             Strided<T> c, bool takes_packs) {
  constexpr Index stride = n_packs * kPackWidth<T, n_bytes>;
  for (; i + n_rows <= a.rows; i += n_rows) {
    const Strided<const T> a_i = a.block(i, n_rows);
    const Strided<T> c_i = c.block(i, n_rows);
    if (!is_transposed && a.is_far) fetch_rows_behind<n_rows>(i, a);
    if (takes_packs) {
      product_block<n_bytes, n_rows, n_packs, has_half, is_transposed>(
          a_i, b, beta, c_i.data, c_i.row_stride);
    } else {
      T sum[n_rows * stride];
      product_block<n_bytes, n_rows, n_packs, has_half, is_transposed>(a_i, b, T(0),
                                                                       sum, stride);
      add_block(sum, stride, beta, c_i);
    }
  }
  if constexpr (n_rows > 1) {
    constexpr int fewer = n_rows > 8 ? 6 : n_rows > 4 ? 4 : n_rows / 2;
    product_rows<n_bytes, fewer, n_packs, has_half, is_transposed>(i, a, b, beta, c,
                                                                   takes_packs);
  }
}

// C = A B + beta C for a panel B of n packs
template <int n_bytes, int n_packs, bool has_half, typename T>
SKB_INLINE void product_packs(Index n, Strided<const T> a, Panel<T> b, T beta,
                              Strided<T> c, bool takes_packs) {
  if constexpr (n_packs > (has_half ? 2 : 1)) {
    if (n < n_packs) {
      product_packs<n_bytes, n_packs - 1, has_half>(n, a, b, beta, c, takes_packs);
      return;
    }
  }
  constexpr int n_rows = kMostRows<n_bytes, n_packs>;
  if (a.row_stride == 1) {
    product_rows<n_bytes, n_rows, n_packs, has_half, true>(0, a, b, beta, c,
                                                           takes_packs);
  } else {
    product_rows<n_bytes, n_rows, n_packs, has_half, false>(0, a, b, beta, c,
                                                            takes_packs);
  }
}

template <typename T>
SKB_CLONES void product_short_panel(Index n, Strided<const T> a, Panel<T> b, T beta,
                                    Strided<T> c, bool takes_packs) {
  product_packs<32, kMostPacks<32>, false>(n, a, b, beta, c, takes_packs);
}
template <typename T>
SKB_AVX512 void product_long_panel(Index n, Strided<const T> a, Panel<T> b, T beta,
                                   Strided<T> c, bool takes_packs) {
  if (b.ends_in_half) {
    product_packs<64, kMostPacks<64>, true>(n, a, b, beta, c, takes_packs);
  } else {
    product_packs<64, kMostPacks<64>, false>(n, a, b, beta, c, takes_packs);
  }
}

// The same, compiled once for all who multiply.
template <int n_bytes, typename T>
SKB_INLINE void product_panel(Index n, Strided<const T> a, Panel<T> b, T beta,
                              Strided<T> c, bool takes_packs) {
  if constexpr (n_bytes > 32) {
    product_long_panel(n, a, b, beta, c, takes_packs);
  } else {
    product_short_panel(n, a, b, beta, c, takes_packs);
  }
}

// Copies the columns of B, and zeros behind them, into rows of `width`.
template <typename T>
SKB_INLINE void copy_panel(Strided<const T> b, Index width, T* packs) {
  if (b.row_stride == 1) {
    copy_transposed(b, width, packs);
  } else {
    for (Index l = 0; l < b.rows; ++l) {
      const T* row = b.data + l * b.row_stride;
      for (Index j = 0; j < b.cols; ++j) packs[l * width + j] = row[j * b.col_stride];
    }
  }
  for (Index l = 0; l < b.rows && b.cols < width; ++l) {
    std::fill(packs + l * width + b.cols, packs + (l + 1) * width, T(0));
  }
}

// B in stretches of rows, of which a panel about fits the usual first cache: even ones,
// at most half as long again as kDepth.
template <int n_bytes>
constexpr Index kDepth = 36864 / (n_bytes * kMostPacks<n_bytes>);

template <int n_bytes>
SKB_INLINE Index depth_of_stretches(Index n_rows) {
  const Index n =
      std::max<Index>(1, (2 * n_rows + kDepth<n_bytes>) / (2 * kDepth<n_bytes>));
  return (n_rows + n - 1) / n;
}

// Whether the rows of B lie such powers of two apart that the sets of the first cache
// that they fall on cannot hold them: 8 lines each, every 4096 bytes the same one.
template <typename T>
SKB_INLINE bool fills_few_sets(Strided<const T> b) {
  constexpr Index ways = 8, period = 4096;
  const Index bytes = b.row_stride * Index(sizeof(T));
  const Index step = bytes & -bytes;  // the power of two in it
  return b.rows * std::min(step, period) > ways * period;
}

// Whether it pays to copy rows of B that fill the first cache as they lie, each with
// parts of lines at its ends: for short packs, if enough rows of A read them, and
// sooner if packs lie across two lines. A pack of 64 bytes takes part in enough
// arithmetic for that not to matter. The limits are those of benchmarks.
template <int n_bytes, typename T>
SKB_INLINE bool pays_to_copy(Index n_readers, Strided<const T> b) {
  constexpr Index line = 64, most = 24576;
  const bool fills_cache = b.rows * (b.cols * Index(sizeof(T)) + line) > most;
  const bool crosses_lines = b.row_stride * Index(sizeof(T)) % n_bytes != 0;
  return n_bytes < line && fills_cache && n_readers >= (crosses_lines ? 16 : 256);
}

// C = A B + beta C for a stretch B, panel by panel. Where columns are left over, the
// last pack overlaps the one before and writes the same values once more, which beta
// forbids: then, and where columns are too few or strided, or lie badly in the cache, B
// is copied.
template <int n_bytes, typename T>
SKB_INLINE void product_panels(Strided<const T> a, Strided<const T> b, T beta,
                               Strided<T> c, T* packs) {
  constexpr Index width = kPackWidth<T, n_bytes>;
  const bool may_overlap = beta == T(0) && b.cols >= width;
  for (Index j = 0; j < b.cols;) {
    if (may_overlap) j = std::min(j, b.cols - width);
    const Index n_packs = next_packs<n_bytes>((b.cols - j + width - 1) / width);
    const Index count = std::min(b.cols - j, n_packs * width);
    const Index width_of_panel = width_of_packs<T, n_bytes>(count);
    const bool is_whole = may_overlap || count == width_of_panel;
    const Strided<const T> b_j = b.columns(j, count);
    Panel<T> panel = panel_of<n_bytes>(b_j.data, b_j.row_stride, count);
    if (!is_whole || b.col_stride != 1 || fills_few_sets(b_j) ||
        pays_to_copy<n_bytes>(a.rows, b_j)) {
      copy_panel(b_j, width_of_panel, packs);
      panel = panel_of<n_bytes, T>(packs, width_of_panel,
                                   is_whole ? count : width_of_panel);
    }
    product_panel<n_bytes>(n_packs, a, panel, beta, c.columns(j, count),
                           is_whole && c.col_stride == 1);
    a = a.as_near();
    j += count;
  }
}

// C = A B + beta C
template <int n_bytes, typename T>
SKB_INLINE void product_in_packs(Strided<const T> a, Strided<const T> b, T beta,
                                 Strided<T> c) {
  alignas(64)
      T packs[kDepth<n_bytes> * 3 / 2 * kMostPacks<n_bytes> * kPackWidth<T, n_bytes>];
  const Index depth = depth_of_stretches<n_bytes>(b.rows);
  Index l = 0;
  do {
    const Index count = std::min(b.rows - l, depth);
    product_panels<n_bytes>(a.columns(l, count), b.block(l, count),
                            l == 0 ? beta : T(1), c, packs);
    l += count;
  } while (l < b.rows);
}

template <typename T>
SKB_CLONES void product_in_short_packs(Strided<const T> a, Strided<const T> b, T beta,
                                       Strided<T> c) {
  product_in_packs<32>(a, b, beta, c);
}

template <typename T>
SKB_AVX512 void product_in_long_packs(Strided<const T> a, Strided<const T> b, T beta,
                                      Strided<T> c) {
  product_in_packs<64>(a, b, beta, c);
}

// C = A B + beta C
template <typename T>
void small_product(Strided<const T> a, Strided<const T> b, T beta, Strided<T> c) {
  static const bool may_be_long = has_avx512();
  if (may_be_long && c.cols >= kPackWidth<T, 64>) {
    product_in_long_packs(a, b, beta, c);
  } else {
    product_in_short_packs(a, b, beta, c);
  }
}

// ---- A second factor that serves many products: copied once, into the panels that a
// product reads one after the other.

// Numbers that a factor of k rows and n columns takes then.
constexpr Index packed_size(Index k, Index n) { return k * ((n + 15) / 16 * 16); }

// visit(stretch of rows, its length, column, columns, packs): the panels of k rows and
// n columns, in the order that they are packed in.
template <int n_bytes, typename T, typename Visit>
SKB_INLINE void for_each_panel(Index k, Index n, Visit&& visit) {
  constexpr Index width = kPackWidth<T, n_bytes>;
  const Index depth = depth_of_stretches<n_bytes>(k);
  for (Index l = 0; l < k; l += depth) {
    for (Index j = 0; j < n;) {
      const Index n_packs = next_packs<n_bytes>((n - j + width - 1) / width);
      const Index count = std::min(n - j, n_packs * width);
      visit(l, std::min(k - l, depth), j, count, n_packs);
      j += count;
    }
  }
}

template <int n_bytes, typename T>
SKB_INLINE void copy_panels(Strided<const T> b, T* packs) {
  for_each_panel<n_bytes, T>(
      b.rows, b.cols, [&](Index l, Index depth, Index j, Index count, Index) {
        const Index width = width_of_packs<T, n_bytes>(count);
        copy_panel(b.block(l, depth).columns(j, count), width, packs);
        packs += depth * width;
      });
}

template <int n_bytes, typename T>
SKB_INLINE void product_by_panels(Strided<const T> a, const T* packs, T beta,
                                  Strided<T> c) {
  for_each_panel<n_bytes, T>(
      a.cols, c.cols, [&](Index l, Index depth, Index j, Index count, Index n_packs) {
        const Index width = width_of_packs<T, n_bytes>(count);
        product_panel<n_bytes>(n_packs, a.columns(l, depth),
                               panel_of<n_bytes>(packs, width, width),
                               l == 0 ? beta : T(1), c.columns(j, count),
                               count == width && c.col_stride == 1);
        packs += depth * width;
      });
}

template <typename T>
SKB_CLONES void copy_short_panels(Strided<const T> b, T* packs) {
  copy_panels<32>(b, packs);
}
template <typename T>
SKB_AVX512 void copy_long_panels(Strided<const T> b, T* packs) {
  copy_panels<64>(b, packs);
}
template <typename T>
SKB_CLONES void product_by_short_panels(Strided<const T> a, const T* packs, T beta,
                                        Strided<T> c) {
  product_by_panels<32>(a, packs, beta, c);
}
template <typename T>
SKB_AVX512 void product_by_long_panels(Strided<const T> a, const T* packs, T beta,
                                       Strided<T> c) {
  product_by_panels<64>(a, packs, beta, c);
}

// Whether panels for n columns have packs of 64 bytes.
template <typename T>
bool has_long_panels(Index n) {
  static const bool may_be_long = has_avx512();
  return may_be_long && n >= kPackWidth<T, 64>;
}

template <typename T>
void pack_factor(Strided<const T> b, T* packs) {
  if (has_long_panels<T>(b.cols)) {
    copy_long_panels(b, packs);
  } else {
    copy_short_panels(b, packs);
  }
}

// C = A B + beta C with B as `pack_factor` leaves it. Bits of a row of C depend on that
// row of A and of C alone.
template <typename T>
void packed_product(Strided<const T> a, const T* packs, T beta, Strided<T> c) {
  if (has_long_panels<T>(c.cols)) {
    product_by_long_panels(a, packs, beta, c);
  } else {
    product_by_short_panels(a, packs, beta, c);
  }
}

// y = X w for few, short rows
template <typename T>
SKB_CLONES void small_row_products(const Matrix<const T>& x, const T* w,
                                   const Matrix<T>& y) {
  constexpr Index width = kPackWidth<T>;
  for (Index i = 0; i < x.rows; ++i) {
    const T* row = x.row(i);
    Pack<T> lanes = {};
    Index l = 0;
    for (; l + width <= x.cols; l += width) {
      lanes += *reinterpret_cast<const Pack<T>*>(row + l) *
               *reinterpret_cast<const Pack<T>*>(w + l);
    }
    T sum = T(0);
    for (Index lane = 0; lane < width; ++lane) sum += lanes[lane];
    for (; l < x.cols; ++l) sum += row[l] * w[l];
    *y.row(i) = sum;
  }
}

}  // namespace sklearn_backprop
