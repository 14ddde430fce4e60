#include <cfloat>

#include "layers.h"
#include "scalar.h"
#include "suite.h"

namespace throughtime_tests {
namespace {

// Gradients: finite where they should be, and close; where they should not, whether NaN or an infinity is left open.
bool alike_gradients(const std::vector<float> &values, std::vector<float> truth, double tolerance, std::string &where) {
    std::vector<float> own = values;
    for (size_t i = 0; i < std::min(own.size(), truth.size()); ++i)
        if (!std::isfinite(truth[i]) && !std::isfinite(own[i]))
            own[i] = truth[i] = 0;
    return alike(own, truth, tolerance, where);
}

void check_value(const LayerCase &of, int set, float value, Random &random) {
    Inputs inputs(of);
    const int64_t t = random.below(of.time), b = random.below(of.batch), i = random.below(of.input);
    inputs.x.values[t * inputs.x.time + b * inputs.x.batch + i * inputs.x.feature] = value;
    Manner manner;
    manner.set = set;
    manner.threads = 2;
    const Results plain = run_scalar<float>(inputs, of.precision), results = run_library(inputs, manner);
    const double tolerance = of.precision == THROUGHTIME_BFLOAT16 ? 0.1 : 1e-4;
    // The gradient of relu jumps at its kink, which one of many numbers may meet: there only its finiteness is
    // compared.
    const double of_gradients = of.kind == THROUGHTIME_RNN_RELU ? 1e30 : tolerance;
    for (const auto &[name, values] : plain.tensors) {
        const std::vector<float> *own = results.find(name);
        std::string where = " was not written";
        const bool holds = own && (name[0] == 'd' ? alike_gradients(*own, values, of_gradients, where)
                                                  : alike(*own, values, tolerance, where));
        check(holds, of.describe() + ", " + describe(manner) + ", x[" + std::to_string(t) + ", " + std::to_string(b) +
                         ", " + std::to_string(i) + "] = " + std::to_string(value) + ": " + name + where);
    }
}

} // namespace

// Each of these values in one element of one sequence: it shows where plain code shows it, and nowhere else.
void test_not_finite(const Effort &effort) {
    Random random(effort.seed ^ 0x1f1f);
    for (int set : sets_here())
        for (int kind = THROUGHTIME_RNN_TANH; kind <= THROUGHTIME_LSTM; ++kind)
            for (float value : {NAN, INFINITY, -INFINITY, 1e30f, -1e30f}) {
                if (kind == THROUGHTIME_RNN_RELU && std::isfinite(value))
                    continue; // nothing saturates: what is large drowns the rest
                LayerCase of;
                of.kind = kind;
                of.time = 9;
                of.batch = 1 + random.below(20);
                of.input = 1 + random.below(20);
                of.hidden = 1 + random.below(40);
                of.reverse = random.chance(0.5);
                of.resets = random.chance(0.5);
                of.layout = int(random.below(3));
                of.seed = random.bits();
                check_value(of, set, value, random);
                of.precision = THROUGHTIME_BFLOAT16;
                if (set == THROUGHTIME_AVX512_BF16)
                    check_value(of, set, value, random);
            }
}

// The smallest numbers pass through a product as they are.
void test_subnormal(const Effort &) {
    for (int set : sets_here())
        for (float value : {1e-40f, -1e-40f, 1.4e-45f, FLT_MIN}) {
            LayerCase of;
            of.kind = THROUGHTIME_RNN_RELU;
            of.biases = of.initial = false;
            Inputs inputs(of);
            inputs.x.values[0] = value;
            inputs.weight_ih[0] = inputs.weight_hh[0] = 1;
            Manner manner;
            manner.set = set;
            const Results results = run_library(inputs, manner);
            const float expected = value > 0 ? value : 0, output = results.find("output")->at(0);
            check(output == expected, std::string(name_of_set(set)) + ": relu(1 × " + std::to_string(value * 1e40) +
                                          "e-40) is " + std::to_string(output * 1e40) + "e-40");
        }
}

} // namespace throughtime_tests
