// All that a cell offers, made from its arithmetic.
#pragma once

#include "backward.h"

namespace throughtime::THROUGHTIME_SET_NAME {

template <class Cell, class Number>
bool measure(const throughtime_layer &layer, throughtime_sizes &sizes) {
    sizes.trace_parts = Cell::kTraced;
    const bool forward = measure_forward<Cell, Number>(layer, sizes);
    return measure_backward<Cell, Number>(layer, sizes) && forward;
}

template <class Cell, class Number>
void pack(const throughtime_layer &layer, void *packed) {
    Arena arena(packed);
    PackedWeights<Cell, Number>(arena, layer).pack(layer, 0, panels_of(layer.hidden));
}

// The row of a sequence among all, from the longest to the shortest.
inline int64_t row_of(const throughtime_layer &layer, int64_t sequence) {
    if (layer.lengths == nullptr)
        return sequence;
    int64_t row = 0;
    for (int64_t other = 0; other < layer.batch; ++other) {
        const int64_t longer = layer.lengths[other] - layer.lengths[sequence];
        row += longer > 0 || (longer == 0 && other < sequence);
    }
    return row;
}

template <class Cell>
void run_trace(const throughtime_layer &layer, const void *save, float *trace) {
    const Save from{static_cast<float *>(const_cast<void *>(save)), Cell::kSaved, panels_of(layer.hidden), layer.batch};
    const int64_t part_stride = layer.time * layer.batch * layer.hidden;
    std::memset(trace, 0, Cell::kTraced * part_stride * sizeof(float));
    for (int64_t sequence = 0; sequence < layer.batch; ++sequence) {
        const int64_t row = row_of(layer, sequence),
                      length = layer.lengths == nullptr ? layer.time : layer.lengths[sequence];
        for (int64_t time = 0; time < length; ++time)
            for (int64_t panel = 0; panel < from.panels; ++panel) {
                Vector saved[Cell::kSaved + 1], traced[Cell::kTraced + 1];
                for (int part = 0; part < Cell::kSaved; ++part)
                    saved[part] = load(from.at(layer.reverse ? layer.time - 1 - time : time, part, panel, row));
                Cell::trace(saved, traced);
                float *to = trace + (time * layer.batch + sequence) * layer.hidden + panel * kWidth;
                for (int part = 0; part < Cell::kTraced; ++part)
                    store_first(to + part * part_stride, traced[part], features_in(panel, layer.hidden));
            }
    }
}

template <class Cell, class Number>
constexpr Kernel kernel_in() {
    return {Cell::kSaved > 0,          measure<Cell, Number>,      pack<Cell, Number>,
            run_forward<Cell, Number>, run_backward<Cell, Number>, run_trace<Cell>};
}

template <class Cell>
constexpr LayerKernels kernels_of() {
#if defined(__AVX512BF16__)
    return {{kernel_in<Cell, Float32>(), kernel_in<Cell, Bfloat16>()}};
#else
    return {{kernel_in<Cell, Float32>(), {}}};
#endif
}

} // namespace throughtime::THROUGHTIME_SET_NAME
