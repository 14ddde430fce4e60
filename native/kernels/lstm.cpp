// Long short-term memory (Hochreiter & Schmidhuber 1997) with forget gate (Gers et al. 2000):
//
//   C_t = forget ⊙ C_{t−1} + input ⊙ cell        h_t = output ⊙ tanh(C_t)
#include "../common/activations.h"
#include "../common/layers.h"

namespace throughtime::THROUGHTIME_SET_NAME {

struct Lstm {
    static constexpr int kGates = 4, kParts = 4, kSaved = 5, kTraced = 5;
    static constexpr bool kSplit = false, kMemory = true, kReadsOutput = false;

    static THROUGHTIME_INLINE Vector forward(const float *sums, Vector, Vector &memory, Vector *saved) {
        const Vector input = sigmoid(load(sums)), forget = sigmoid(load(sums + kWidth));
        const Vector cell = tanh(load(sums + 2 * kWidth)), output = sigmoid(load(sums + 3 * kWidth));
        saved[0] = input, saved[1] = forget, saved[2] = cell, saved[3] = output, saved[4] = memory;
        memory = forget * memory + input * cell;
        return output * tanh(memory);
    }

    static THROUGHTIME_INLINE void backward(const Vector *saved, Vector, Vector, Vector &dh, Vector &dmemory,
                                            Vector *parts) {
        const Vector input = saved[0], forget = saved[1], cell = saved[2], output = saved[3], before = saved[4];
        const Vector shown = tanh(forget * before + input * cell);
        dmemory += dh * output * (1.0f - shown * shown);
        parts[0] = dmemory * cell * input * (1.0f - input);
        parts[1] = dmemory * before * forget * (1.0f - forget);
        parts[2] = dmemory * input * (1.0f - cell * cell);
        parts[3] = dh * shown * output * (1.0f - output);
        dmemory = dmemory * forget;
        dh = Vector{};
    }

    static THROUGHTIME_INLINE void trace(const Vector *saved, Vector *traced) {
        for (int part = 0; part < kTraced; ++part)
            traced[part] = saved[part];
        traced[4] = saved[1] * saved[4] + saved[0] * saved[2];
    }
};

extern const LayerKernels kLstm = kernels_of<Lstm>();

} // namespace throughtime::THROUGHTIME_SET_NAME
