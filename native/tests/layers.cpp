#include "layers.h"

#include <algorithm>
#include <cfloat>

#include "scalar.h"

namespace throughtime_tests {
namespace {

void fill(Array<float> &values, Random &random, float most) {
    for (int64_t i = 0; i < values.count(); ++i)
        values[i] = random.uniform(-most, most);
}

// A tensor [time, batch, features] laid out as the case asks, still empty.
Strided strided(const LayerCase &of, int64_t features, bool spread_features) {
    const int64_t feature = spread_features && of.layout == 2 ? 2 : 1;
    const int64_t row = features * feature + (of.layout == 2 ? 3 : 0);
    int64_t time = of.batch * row, batch = row;
    if (of.layout == 1) {
        time = row;
        batch = of.time * row;
    } else if (of.layout == 3) {
        time = 0;
    }
    return Strided{time, batch, feature, Array<float>(of.time * of.batch * row, of.layout == 2 ? 1 : 0)};
}

// Numbers where they are to be read; padding and gaps stay NaN.
void fill(Strided &tensor, int64_t features, const Inputs &inputs, Random &random) {
    for (int64_t t = 0; t < inputs.of.time; ++t)
        for (int64_t b = 0; b < inputs.of.batch; ++b)
            for (int64_t i = 0; i < features && inputs.real(t, b); ++i)
                tensor.values[t * tensor.time + b * tensor.batch + i * tensor.feature] = random.uniform(-1.7f, 1.7f);
}

} // namespace

const char *name_of_kind(int kind) {
    static const char *const names[] = {"rnn_tanh", "rnn_relu", "gru", "lstm"};
    return names[kind];
}

const char *name_of_set(int set) {
    static const char *const names[] = {"best", "baseline", "avx2", "avx512", "avx512_bf16"};
    return names[set];
}

std::vector<int> sets_here() {
    std::vector<int> sets;
    for (int set = THROUGHTIME_BASELINE; set <= THROUGHTIME_AVX512_BF16; ++set)
        if (throughtime_set_here(set) == set)
            sets.push_back(set);
    return sets;
}

std::string describe(const Manner &manner) {
    return std::string(name_of_set(manner.set)) + ", " + std::to_string(manner.threads) + " threads" +
           (manner.packed ? ", packed" : "") + (manner.inference ? ", inference" : "");
}

int64_t LayerCase::work() const {
    return time * batch * throughtime_scalar::gates_of(kind) * hidden * (input + hidden);
}

std::string LayerCase::describe() const {
    std::string text = name_of_kind(kind);
    text += " T" + std::to_string(time) + " B" + std::to_string(batch) + " I" + std::to_string(input) + " H" +
            std::to_string(hidden);
    text += precision == THROUGHTIME_BFLOAT16 ? " bfloat16" : "";
    text += reverse ? " reverse" : "";
    text += lengths ? " lengths" : "";
    text += resets ? " resets" : "";
    text += biases ? "" : " no-biases";
    text += initial ? "" : " no-initial-state";
    text += final_gradients ? "" : " no-final-gradients";
    return text + " layout " + std::to_string(layout) + " seed " + std::to_string(seed);
}

LayerCase LayerCase::random(uint64_t seed, int64_t most_work) {
    Random random(seed);
    LayerCase of;
    of.seed = seed;
    of.kind = int(random.below(4));
    do {
        const bool far = random.chance(0.1); // some are long, or wide, and then small otherwise
        of.time = random.chance(0.02) ? 0 : random.log_uniform(far ? 20000 : 200);
        of.batch = random.chance(0.02) ? 0 : random.log_uniform(far ? 1000 : 100);
        of.input = random.log_uniform(far ? 1000 : 200);
        of.hidden = random.log_uniform(far ? 1000 : 200);
    } while (of.work() > most_work);
    of.reverse = random.chance(0.3);
    of.lengths = random.chance(0.4);
    of.resets = random.chance(0.3);
    of.biases = random.chance(0.8);
    of.initial = random.chance(0.7);
    of.final_gradients = random.chance(0.7);
    of.layout = int(random.below(4));
    return of;
}

Inputs::Inputs(const LayerCase &of) : of(of), x(strided(of, of.input, true)), d_output(strided(of, of.hidden, false)) {
    Random random(of.seed ^ 0x5851f42d4c957f2du);
    const int64_t rows = throughtime_scalar::gates_of(of.kind) * of.hidden, offset = of.layout == 2 ? 1 : 0;
    const int64_t gap = of.layout == 2 ? 5 : 0;
    state_batch = of.hidden + gap;
    output_batch = of.layout == 1 ? of.time * (of.hidden + gap) : of.hidden + gap;
    output_time = of.layout == 1 ? of.hidden + gap : of.batch * (of.hidden + gap);
    output_count = of.time * of.batch * (of.hidden + gap);
    lengths = Array<int64_t>(of.batch);
    for (int64_t b = 0; b < of.batch; ++b)
        lengths[b] = random.chance(0.1) ? 0 : random.chance(0.2) ? of.time : random.below(of.time + 1);
    resets = Array<uint8_t>(of.time * of.batch);
    const double often = random.chance(0.3) ? 0.5 : 0.05;
    for (int64_t i = 0; i < resets.count(); ++i)
        resets[i] = random.chance(often) ? uint8_t(1 + random.below(255)) : 0;
    fill(x, of.input, *this, random);
    fill(d_output, of.hidden, *this, random);
    const float bound = 1 / std::sqrt(float(of.hidden)); // as torch draws them; larger ones make chaos of some
    for (Array<float> *states : {&h0, &c0}) {
        *states = Array<float>(of.batch * state_batch, offset);
        for (int64_t b = 0; b < of.batch; ++b)
            for (int64_t k = 0; k < of.hidden; ++k)
                (*states)[b * state_batch + k] = random.uniform(-1, 1);
    }
    for (auto [values, count, most] :
         {std::tuple(&weight_ih, rows * of.input, 1 / std::sqrt(float(of.input))),
          std::tuple(&weight_hh, rows * of.hidden, bound), std::tuple(&bias_ih, rows, 0.5f),
          std::tuple(&bias_hh, rows, 0.5f), std::tuple(&d_h_n, of.batch * of.hidden, 1.7f),
          std::tuple(&d_c_n, of.batch * of.hidden, 1.7f)}) {
        *values = Array<float>(count, offset);
        fill(*values, random, most);
    }
}

throughtime_layer Inputs::layer(int set, int threads) const {
    throughtime_layer layer = {};
    layer.version = THROUGHTIME_VERSION;
    layer.kind = of.kind;
    layer.precision = of.precision;
    layer.set = set;
    layer.reverse = of.reverse;
    layer.threads = threads;
    layer.time = of.time;
    layer.batch = of.batch;
    layer.input = of.input;
    layer.hidden = of.hidden;
    layer.weight_ih = weight_ih.data();
    layer.weight_hh = weight_hh.data();
    layer.bias_ih = bias_ih.data_or_null(of.biases);
    layer.bias_hh = bias_hh.data_or_null(of.biases);
    layer.lengths = lengths.data_or_null(of.lengths);
    layer.resets = resets.data_or_null(of.resets);
    // resets are batch first where the rest is
    layer.resets_time = of.layout == 1 ? 1 : of.batch;
    layer.resets_batch = of.layout == 1 ? of.time : 1;
    return layer;
}

const std::vector<float> *Results::find(const std::string &name) const {
    for (const auto &[own, values] : tensors)
        if (own == name)
            return &values;
    return nullptr;
}

} // namespace throughtime_tests
