// Panels: a matrix [rows, features] kept as [panel][row][kWidth], features padded with zeros to whole panels.
//
// One layout serves both products of a recurrence. In W h each element of a row is broadcast against a vector of
// weights; in the gradient of W the same row is one vector, or broadcast, while the sum runs over rows. The rows of a
// panel lie side by side, and panels an odd number of rows apart, so that they do not compete for the same cache lines.
#pragma once

#include "arena.h"
#include "vector.h"

namespace throughtime::THROUGHTIME_SET_NAME {

constexpr int64_t panels_of(int64_t features) { return features / kWidth + (features % kWidth != 0); }

struct Panels {
    float *data = nullptr;
    int64_t stride = 0; // floats between panels

    static Panels take(Arena &arena, int64_t features, int64_t rows) {
        return {arena.take<float>(panels_of(features), rows | 1, kWidth), (rows | 1) * kWidth};
    }

    float *row(int64_t panel, int64_t row) const { return data + panel * stride + row * kWidth; }
};

// How many features of a panel are real.
THROUGHTIME_INLINE int features_in(int64_t panel, int64_t features) {
    const int64_t left = features - panel * kWidth;
    return left < kWidth ? static_cast<int>(left) : kWidth;
}

// One panel of a row, from features `stride` apart; zeros beyond them.
THROUGHTIME_INLINE Vector load_panel(const float *from, int64_t stride, int64_t features, int64_t panel) {
    const int count = features_in(panel, features);
    if (stride == 1)
        return load_first(from + panel * kWidth, count);
    alignas(64) float values[kWidth] = {};
    for (int index = 0; index < count; ++index)
        values[index] = from[(panel * kWidth + index) * stride];
    return load(values);
}

// The same into memory: an element that is read again at once, by itself, is found where it was stored by itself.
THROUGHTIME_INLINE void copy_panel(float *to, const float *from, int64_t stride, int64_t features, int64_t panel) {
    const int count = features_in(panel, features);
    if (count == kWidth && stride == 1)
        return store(to, load(from + panel * kWidth));
    store(to, Vector{});
    for (int index = 0; index < count; ++index)
        to[index] = from[(panel * kWidth + index) * stride];
}

// Zeros beyond the real features: in a product of pairs, 0 times a NaN there would spoil the last real one.
THROUGHTIME_INLINE Vector only_first(Vector value, int count) {
    if (count >= kWidth)
        return value;
    alignas(64) float values[kWidth];
    store(values, value);
    return load_first(values, count);
}

inline void clear_row(const Panels &panels, int64_t row, int64_t begin, int64_t end) {
    for (int64_t panel = begin; panel < end; ++panel)
        store(panels.row(panel, row), Vector{});
}

} // namespace throughtime::THROUGHTIME_SET_NAME
