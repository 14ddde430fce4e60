// One layer over one batch of sequences: its inputs, and what the library and the scalar loops make of them.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "check.h"
#include "throughtime.h"

namespace throughtime_tests {

// Everything that numbers depend on.
struct LayerCase {
    int kind = THROUGHTIME_GRU, precision = THROUGHTIME_FLOAT32;
    int64_t time = 1, batch = 1, input = 1, hidden = 1;
    bool reverse = false, lengths = false, resets = false, biases = true, initial = true, final_gradients = true;
    // 0: as torch lays tensors out, contiguous; 1: batch first; 2: every second feature of x, gaps between rows,
    // pointers 4 bytes off; 3: x and the gradient of the output the same at each step, as expanded tensors are.
    int layout = 0;
    uint64_t seed = 0;

    int64_t work() const; // multiplications of the forward
    std::string describe() const;
    static LayerCase random(uint64_t seed, int64_t most_work);
};

// A tensor [time, batch, feature] with strides, in which only some elements are meant to be read or written.
struct Strided {
    int64_t time, batch, feature;
    Array<float> values;
};

struct Inputs {
    LayerCase of;
    Strided x, d_output;
    int64_t output_time, output_batch, output_count, state_batch;
    Array<float> h0, c0, weight_ih, weight_hh, bias_ih, bias_hh, d_h_n, d_c_n;
    Array<int64_t> lengths;
    Array<uint8_t> resets;

    explicit Inputs(const LayerCase &of);
    throughtime_layer layer(int set, int threads) const;
    int64_t length(int64_t b) const { return of.lengths ? lengths[b] : of.time; }
    bool real(int64_t t, int64_t b) const { return t < length(b); }
};

// How the library is called.
struct Manner {
    int set = THROUGHTIME_BEST, threads = 1;
    bool packed = false, inference = false;
    unsigned left_out = 0; // one bit for each gradient whose pointer is NULL
};

// Named tensors, each contiguous.
struct Results {
    int status = THROUGHTIME_OK;
    std::string fault; // of memory: what was written where it must not be
    std::vector<std::pair<std::string, std::vector<float>>> tensors;

    const std::vector<float> *find(const std::string &name) const;
};

Results run_library(const Inputs &inputs, const Manner &manner);

template <class Number>
Results run_scalar(const Inputs &inputs, int precision);

// The rule of accuracy: no further from the truth than twice what plain code of the same precision is, and 4 eps.
// One number of many may be lucky in one of them, so a failure counts only if other random numbers repeat it.
void check_accuracy(const LayerCase &of, const std::vector<Manner> &manners);

// Whether two runs gave the same bits in every tensor that both have.
void check_same(const Results &one, const Results &other, const std::string &what);

const char *name_of_kind(int kind);
const char *name_of_set(int set);
std::vector<int> sets_here();
std::string describe(const Manner &manner);

} // namespace throughtime_tests
