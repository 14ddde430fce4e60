// The products by which the gradients of weights, biases and inputs are taken, over many rows at once.
#pragma once

#include "product.h"
#include "threads.h"

namespace throughtime::THROUGHTIME_SET_NAME {

// `gates` weights [length, features], one behind the other, as rows of gradients are multiplied with them: for each
// panel of features, gate and word of the gradients, a vector.
template <class Number>
void pack_columns(float *to, const float *weight, int gates, int64_t length, int64_t features, const Member &member) {
    const int64_t panels = panels_of(features), words = words_of<Number>(length);
    for (int64_t panel = member.begin(panels); panel < member.end(panels); ++panel)
        for (int gate = 0; gate < gates; ++gate)
            for (int64_t word = 0; word < words; ++word) {
                const int64_t begin = word * Number::kPerWord;
                Vector elements[Number::kPerWord] = {};
                for (int64_t k = begin; k < begin + Number::kPerWord && k < length; ++k)
                    elements[k - begin] = load_first(weight + (gate * length + k) * features + panel * kWidth,
                                                     features_in(panel, features));
                store(to + ((panel * gates + gate) * words + word) * kWidth, Number::words(elements));
            }
}

inline void clear(float *gradient, int64_t count) {
    if (gradient != nullptr)
        std::memset(gradient, 0, count * sizeof(float));
}

// d_weight[part · left_features + j][k] += Σ_rows left[part][row][j] · right[row][k], or = where it is the first sum.
struct OuterProduct {
    float *d_weight;
    const Panels *left[4];
    int parts;
    int64_t left_features;
    Panels right;
    int64_t right_features;
};

namespace outer {

constexpr int kColumns = kWidth < 8 ? kWidth : kSums / 3;
constexpr int kVectors = 3;

using Multiply = void (*)(const float *, const float *, int64_t, const RowRange *, int64_t, float *);

template <class Number>
Multiply find(int vectors) {
    return vectors == 1   ? multiply_outer<Number, kColumns, 1>
           : vectors == 2 ? multiply_outer<Number, kColumns, 2>
                          : multiply_outer<Number, kColumns, 3>;
}

// A block of sums [kColumns][vectors × kWidth] into a matrix with rows `stride` apart.
inline void add_block(const float *sums, int vectors, float *to, int64_t stride, int64_t rows, int64_t columns,
                      bool first) {
    for (int64_t row = 0; row < rows; ++row)
        for (int n = 0; n < vectors; ++n) {
            const int count = features_in(n, columns);
            float *at = to + row * stride + n * kWidth;
            Vector sum = load(sums + (row * vectors + n) * kWidth);
            store_first(at, first ? sum : sum + load_first(at, count), count);
        }
}

// The same, the block lying across.
inline void add_block_across(const float *sums, int vectors, float *to, int64_t stride, int64_t columns, int64_t rows,
                             bool first) {
    for (int64_t column = 0; column < columns; ++column)
        for (int64_t row = 0; row < rows; ++row) {
            const float sum = sums[column * vectors * kWidth + row];
            float &at = to[row * stride + column];
            at = first ? sum : at + sum;
        }
}

} // namespace outer

// The blocks of the product are divided among the members; each block's sum is one member's, so that the team does not
// matter. Where the right side has fewer features than a block has columns, the sides change places.
template <class Number>
void add_outer(const OuterProduct &product, const RowRange *ranges, int64_t range_count, bool first,
               const Member &member) {
    if (product.d_weight == nullptr)
        return;
    const bool across = product.right_features <= outer::kColumns;
    const int64_t columns = across ? product.right_features : product.left_features;
    const int64_t vectors = panels_of(across ? product.left_features : product.right_features);
    const int64_t column_blocks = (columns + outer::kColumns - 1) / outer::kColumns;
    const int64_t vector_blocks = (vectors + outer::kVectors - 1) / outer::kVectors;
    const int64_t blocks = vector_blocks * product.parts * column_blocks;
    alignas(64) float sums[outer::kColumns * outer::kVectors * kWidth];
    for (int64_t block = member.begin(blocks); block < member.end(blocks); ++block) {
        const int64_t column = block % column_blocks * outer::kColumns, part = block / column_blocks % product.parts;
        const int64_t group = block / column_blocks / product.parts;
        const int64_t vector = vectors * group / vector_blocks;
        const int count = static_cast<int>(vectors * (group + 1) / vector_blocks - vector);
        const Panels &broadcasts = across ? product.right : *product.left[part],
                     &loads = across ? *product.left[part] : product.right;
        outer::find<Number>(count)(broadcasts.row(column / kWidth, 0) + column % kWidth, loads.row(vector, 0),
                                   loads.stride, ranges, range_count, sums);
        float *to = product.d_weight + part * product.left_features * product.right_features;
        const int64_t height = columns - column < outer::kColumns ? columns - column : outer::kColumns;
        const int64_t loaded = (across ? product.left_features : product.right_features) - vector * kWidth;
        const int64_t width = loaded < count * kWidth ? loaded : count * kWidth;
        if (across)
            outer::add_block_across(sums, count, to + vector * kWidth * product.right_features + column,
                                    product.right_features, height, width, first);
        else
            outer::add_block(sums, count, to + column * product.right_features + vector * kWidth,
                             product.right_features, height, width, first);
    }
}

// Every two rows that hold something become one row of words, side by side from row 0 on, as a product over rows reads
// numbers of which a word has two. Done in place, each panel by one member. Returns the rows of words.
template <class Number>
RowRange pair_rows(const Panels *parts, int count, int64_t features, const RowRange *ranges, int64_t range_count,
                   const Member &member) {
    const int64_t panels = panels_of(features);
    for (int64_t index = member.begin(count * panels); index < member.end(count * panels); ++index) {
        const Panels &part = parts[index / panels];
        int64_t taken = 0;
        Vector first = {};
        for (int64_t range = 0; range < range_count; ++range)
            for (int64_t row = ranges[range].begin; row < ranges[range].end; ++row, ++taken) {
                const Vector value = load(part.row(index % panels, row));
                if (taken % 2 == 1)
                    store(part.row(index % panels, taken / 2), Number::pair(first, value));
                first = value;
            }
        if (taken % 2 == 1)
            store(part.row(index % panels, taken / 2), Number::pair(first, Vector{}));
    }
    int64_t rows = 0;
    for (int64_t range = 0; range < range_count; ++range)
        rows += ranges[range].end - ranges[range].begin;
    return {0, (rows + 1) / 2};
}

// d_bias[part · features + j] += Σ_rows panels[part][row][j], or = where it is the first sum.
inline void add_sums(float *d_bias, const Panels *const *parts, int count, int64_t features, const RowRange *ranges,
                     int64_t range_count, bool first, const Member &member) {
    if (d_bias == nullptr)
        return;
    const int64_t panels = panels_of(features);
    for (int64_t index = member.begin(count * panels); index < member.end(count * panels); ++index) {
        const int64_t part = index / panels, panel = index % panels;
        Vector sum = {}, some = {};
        int64_t room = kRowsOfSum;
        for (int64_t range = 0; range < range_count; ++range)
            for (int64_t row = ranges[range].begin; row < ranges[range].end; ++row) {
                some += load(parts[part]->row(panel, row));
                if (--room == 0)
                    sum += some, some = Vector{}, room = kRowsOfSum;
            }
        sum += some;
        const int left = features_in(panel, features);
        float *at = d_bias + part * features + panel * kWidth;
        store_first(at, first ? sum : sum + load_first(at, left), left);
    }
}

} // namespace throughtime::THROUGHTIME_SET_NAME
