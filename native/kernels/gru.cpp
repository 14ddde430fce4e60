// The gated recurrent unit (Cho et al. 2014, https://arxiv.org/abs/1406.1078) in torch's form, reset after the product:
//
//   reset = σ(W_ir x + b_ir + W_hr h + b_hr)        new = tanh(W_in x + b_in + reset ⊙ (W_hn h + b_hn))
//   update = σ(W_iz x + b_iz + W_hz h + b_hz)       h_t = (1 − update) ⊙ new + update ⊙ h_{t−1}
#include "../common/activations.h"
#include "../common/layers.h"

namespace throughtime::THROUGHTIME_SET_NAME {

struct Gru {
    static constexpr int kGates = 3, kParts = 4, kSaved = 4, kTraced = 4;
    static constexpr bool kSplit = true, kMemory = false, kReadsOutput = false;

    static THROUGHTIME_INLINE Vector forward(const float *sums, Vector h, Vector &, Vector *saved) {
        // With a split the last gate's sum over h stands in its place, and that over x behind it.
        const Vector reset = sigmoid(load(sums)), update = sigmoid(load(sums + kWidth)),
                     from_h = load(sums + 2 * kWidth);
        const Vector candidate = tanh(load(sums + 3 * kWidth) + reset * from_h);
        saved[0] = reset, saved[1] = update, saved[2] = candidate, saved[3] = from_h;
        return (1.0f - update) * candidate + update * h;
    }

    static THROUGHTIME_INLINE void backward(const Vector *saved, Vector before, Vector, Vector &dh, Vector &,
                                            Vector *parts) {
        const Vector reset = saved[0], update = saved[1], candidate = saved[2], from_h = saved[3];
        const Vector d_candidate = dh * (1.0f - update) * (1.0f - candidate * candidate);
        parts[0] = d_candidate * from_h * reset * (1.0f - reset);
        parts[1] = dh * (before - candidate) * update * (1.0f - update);
        parts[2] = d_candidate;
        parts[3] = d_candidate * reset;
        dh = dh * update;
    }

    static THROUGHTIME_INLINE void trace(const Vector *saved, Vector *traced) {
        for (int part = 0; part < kTraced; ++part)
            traced[part] = saved[part];
    }
};

extern const LayerKernels kGru = kernels_of<Gru>();

} // namespace throughtime::THROUGHTIME_SET_NAME
