// The two products of a recurrence, each on a tile of sums that stays in registers.
//
// Whatever the tile's shape, each sum is taken over its terms in their order: a row's numbers do not depend on the rows
// beside it, nor on the number of threads.
#pragma once

#include "numbers.h"

namespace throughtime::THROUGHTIME_SET_NAME {

// One operand of rows × weights: each row's `length` words, and the weights that they meet.
struct Segment {
    const float *rows; // the first row in its first panel
    int64_t panel_stride, row_stride;
    int64_t length;
    const float *weights; // for each panel of results, weight_stride apart, [length][Gates][kWidth]
    int64_t weight_stride;
};

// sum[r][p][g] += Σ_k row_r[k] · weights[p][k][g]
template <class Number, int Rows, int Panels, int Gates>
THROUGHTIME_INLINE void accumulate(Vector (&sum)[Rows][Panels][Gates], const Segment &segment) {
    const float *rows = segment.rows, *weights = segment.weights;
    const int64_t row_stride = segment.row_stride, weight_stride = segment.weight_stride;
    const auto step = [&](int k) THROUGHTIME_INLINE_LAMBDA {
#pragma GCC unroll 12
        for (int r = 0; r < Rows; ++r) {
            const typename Number::Word word = Number::spread(rows + r * row_stride + k);
#pragma GCC unroll 8
            for (int p = 0; p < Panels; ++p)
#pragma GCC unroll 4
                for (int g = 0; g < Gates; ++g)
                    sum[r][p][g] = Number::multiply_add(sum[r][p][g], word, weights + p * weight_stride + g * kWidth);
        }
        weights += Gates * kWidth;
    };
    int64_t left = segment.length;
    for (; left >= kWidth; left -= kWidth, rows += segment.panel_stride) {
#pragma GCC unroll 4
        for (int k = 0; k < kWidth; ++k)
            step(k);
    }
    for (int k = 0; k < left; ++k)
        step(k);
}

// A tile of rows × panels of results, each result having Gates sums. They begin at the bias, [panel][Gates +
// Split][kWidth]. With Split the last gate's sums over the first segment are kept apart from those over the others (a
// GRU multiplies the latter by its reset gate before it adds them). Results go to [panel][row][Gates + Split][kWidth].
template <class Number, int Rows, int Panels, int Gates, bool Split>
void multiply(const Segment *segments, int count, const float *bias, float *results) {
    constexpr int kParts = Gates + Split;
    Vector sum[Rows][Panels][Gates];
#pragma GCC unroll 12
    for (int r = 0; r < Rows; ++r)
#pragma GCC unroll 8
        for (int p = 0; p < Panels; ++p)
#pragma GCC unroll 4
            for (int g = 0; g < Gates; ++g)
                sum[r][p][g] = bias == nullptr ? Vector{} : load(bias + (p * kParts + g) * kWidth);
    for (int index = 0; index < count; ++index) {
        if (Split && index == 1) {
#pragma GCC unroll 12
            for (int r = 0; r < Rows; ++r)
#pragma GCC unroll 8
                for (int p = 0; p < Panels; ++p) {
                    store(results + ((p * Rows + r) * kParts + Gates) * kWidth, sum[r][p][Gates - 1]);
                    sum[r][p][Gates - 1] = load(bias + (p * kParts + Gates) * kWidth);
                }
        }
        accumulate<Number, Rows, Panels, Gates>(sum, segments[index]);
    }
#pragma GCC unroll 12
    for (int r = 0; r < Rows; ++r)
#pragma GCC unroll 8
        for (int p = 0; p < Panels; ++p)
#pragma GCC unroll 4
            for (int g = 0; g < Gates; ++g)
                store(results + ((p * Rows + r) * kParts + g) * kWidth, sum[r][p][g]);
}

// Panel `panel` of a weight [Gates · features, length], as `multiply` reads it.
template <class Number, int Gates>
void pack_panel(float *to, const float *weight, int64_t length, int64_t features, int64_t panel) {
    const int count = features_in(panel, features);
    const int64_t words = words_of<Number>(length);
    to += panel * words * Gates * kWidth;
    for (int gate = 0; gate < Gates; ++gate)
        for (int64_t k = 0; k < length; k += kWidth) {
            const float *from = weight + (gate * features + panel * kWidth) * length + k;
            const int elements = features_in(0, length - k);
            Vector square[kWidth] = {};
            for (int lane = 0; lane < count; ++lane)
                square[lane] = load_first(from + lane * length, elements);
            transpose(square);
            for (int element = 0; element < elements; element += Number::kPerWord)
                store(to + ((k + element) / Number::kPerWord * Gates + gate) * kWidth, Number::words(square + element));
        }
}

using Multiply = void (*)(const Segment *, int, const float *, float *);

constexpr int kMostPanels = 8;

// Which tiles there are for a number of gates: a full one fills the registers; one of few rows takes more panels, so
// that enough sums are under way at once.
template <class Number, int Gates, bool Split>
struct Tiles {
    static constexpr int kFewestPanels = Gates == 1 ? 2 : 1;
    static constexpr int kRows = kSums / (Gates * kFewestPanels);
    static constexpr int kResults = kRows * kMostPanels * (Gates + Split) * kWidth; // floats; more than any tile's

    static constexpr int panels(int rows) {
        int panels = kFewestPanels;
        while (rows * panels * Gates < 8)
            panels *= 2;
        return panels;
    }

    // The tile of so many rows and panels, a power of two.
    static Multiply find(int rows, int panels) { return find_rows<kRows>(rows, panels); }

  private:
    template <int Rows>
    static Multiply find_rows(int rows, int panels) {
        if constexpr (Rows == 0)
            return nullptr;
        else
            return rows == Rows ? find_panels<Rows, Tiles::panels(Rows)>(panels) : find_rows<Rows - 1>(rows, panels);
    }

    template <int Rows, int Panels>
    static Multiply find_panels(int panels) {
        if constexpr (Panels == 0)
            return nullptr;
        else
            return panels == Panels ? multiply<Number, Rows, Panels, Gates, Split>
                                    : find_panels<Rows, Panels / 2>(panels);
    }
};

constexpr int kMostSegments = 4;

// rows × weights for panels panel_begin … panel_end, tile by tile, as few tiles as can be and of heights as even as can
// be. `take(results, row, height, panel, width)` is given each tile's results, [width][height][Gates + Split][kWidth].
template <class Number, int Gates, bool Split, class Take>
THROUGHTIME_INLINE void multiply_rows(const Segment *segments, int count, const float *bias, int64_t rows,
                                      int64_t panel_begin, int64_t panel_end, const Take &take) {
    if (rows <= 0)
        return;
    using Shapes = Tiles<Number, Gates, Split>;
    alignas(64) float results[Shapes::kResults];
    const int64_t tiles = (rows + Shapes::kRows - 1) / Shapes::kRows;
    const int most = Shapes::panels(static_cast<int>((rows + tiles - 1) / tiles)); // what the highest tile can take
    for (int64_t panel = panel_begin; panel < panel_end;) {
        int width = most;
        while (panel + width > panel_end)
            width /= 2;
        for (int64_t tile = 0; tile < tiles; ++tile) {
            const int64_t row = rows * tile / tiles;
            const int height = static_cast<int>(rows * (tile + 1) / tiles - row);
            Segment here[kMostSegments];
            for (int index = 0; index < count; ++index) {
                here[index] = segments[index];
                here[index].rows += row * segments[index].row_stride;
                here[index].weights += panel * segments[index].weight_stride;
            }
            Shapes::find(height, width)(here, count,
                                        bias == nullptr ? nullptr : bias + panel * (Gates + Split) * kWidth, results);
            take(results, row, height, panel, width);
        }
        panel += width;
    }
}

// results[j][n] = Σ_rows left[row][j] · right[n][row], a block of an outer product, over ranges of rows that lie side
// by side. A row of words stands for as many rows as a word has numbers. Sums are taken over some rows at a time, then
// over these sums: rounding errors grow with the rows of one sum.
struct RowRange {
    int64_t begin, end;
};

constexpr int64_t kRowsOfSum = 128;

template <class Number, int Columns, int Count>
void multiply_outer(const float *left, const float *right, int64_t right_stride, const RowRange *ranges,
                    int64_t range_count, float *results) {
    Vector sum[Columns][Count] = {};
    int64_t room = kRowsOfSum;
    bool first = true;
    const auto flush = [&]() THROUGHTIME_INLINE_LAMBDA {
#pragma GCC unroll 16
        for (int j = 0; j < Columns; ++j)
#pragma GCC unroll 4
            for (int n = 0; n < Count; ++n) {
                float *const to = results + (j * Count + n) * kWidth;
                store(to, first ? sum[j][n] : load(to) + sum[j][n]);
                sum[j][n] = Vector{};
            }
        first = false;
        room = kRowsOfSum;
    };
    for (int64_t index = 0; index < range_count; ++index) {
        const float *l = left + ranges[index].begin * kWidth, *r = right + ranges[index].begin * kWidth;
        for (int64_t rows = ranges[index].end - ranges[index].begin; rows > 0;) {
            const int64_t now = rows < room ? rows : room;
            for (int64_t row = 0; row < now; ++row, l += kWidth, r += kWidth) {
#pragma GCC unroll 16
                for (int j = 0; j < Columns; ++j) {
                    const typename Number::Word word = Number::spread(l + j);
#pragma GCC unroll 4
                    for (int n = 0; n < Count; ++n)
                        sum[j][n] = Number::multiply_add(sum[j][n], word, r + n * right_stride);
                }
            }
            rows -= now, room -= now;
            if (room == 0)
                flush();
        }
    }
    if (first || room < kRowsOfSum)
        flush();
}

} // namespace throughtime::THROUGHTIME_SET_NAME
