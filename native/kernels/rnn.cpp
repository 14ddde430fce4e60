// The simple recurrence (Elman 1990): h_t = f(W_ih x_t + b_ih + W_hh h_{t−1} + b_hh), f the hyperbolic tangent or relu.
#include "../common/activations.h"
#include "../common/layers.h"

namespace throughtime::THROUGHTIME_SET_NAME {

template <bool Relu>
struct Rnn {
    static constexpr int kGates = 1, kParts = 1, kSaved = 0, kTraced = 0;
    static constexpr bool kSplit = false, kMemory = false, kReadsOutput = true;

    static THROUGHTIME_INLINE Vector forward(const float *sums, Vector, Vector &, Vector *) {
        return Relu ? relu(load(sums)) : tanh(load(sums));
    }

    static THROUGHTIME_INLINE void backward(const Vector *, Vector, Vector after, Vector &dh, Vector &, Vector *parts) {
        parts[0] = Relu ? (after <= 0.0f ? Vector{} : dh) : dh * (1.0f - after * after);
        dh = Vector{};
    }

    static THROUGHTIME_INLINE void trace(const Vector *, Vector *) {}
};

extern const LayerKernels kRnnTanh = kernels_of<Rnn<false>>();
extern const LayerKernels kRnnRelu = kernels_of<Rnn<true>>();

} // namespace throughtime::THROUGHTIME_SET_NAME
