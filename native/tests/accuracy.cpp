// The rule of accuracy.
#include <cfloat>
#include <cstdio>

#include "layers.h"

namespace throughtime_tests {
namespace {

constexpr int kRepeats = 20;

// Squares of errors and of scales, summed over repetitions.
struct Measured {
    double error = 0, plain = 0, scale = 0;

    bool accurate(double eps) const { return std::sqrt(error) <= 2 * std::sqrt(plain) + 4 * eps * std::sqrt(scale); }

    std::string describe() const {
        char text[120];
        std::snprintf(text, sizeof text, " is %.3g from the truth, plain code %.3g, at a scale of %.3g",
                      std::sqrt(error), std::sqrt(plain), std::sqrt(scale));
        return text;
    }
};

struct Oracle {
    Inputs inputs;
    Results truth, plain;

    explicit Oracle(const LayerCase &of)
        : inputs(of), truth(run_scalar<double>(inputs, THROUGHTIME_FLOAT32)),
          plain(run_scalar<float>(inputs, of.precision)) {}

    void add(const Results &results, const std::string &name, Measured &measured) const {
        static const std::vector<float> none;
        const std::vector<float> *values = results.find(name), *exact = truth.find(name);
        const Norms norms = compare(values ? *values : none, *exact);
        const Norms of_plain = compare(*plain.find(name), *exact);
        measured.error += norms.difference * norms.difference;
        measured.plain += of_plain.difference * of_plain.difference;
        measured.scale += norms.scale * norms.scale;
    }
};

// What one unit in the last place of a factor is: bfloat16 carries 8 bits.
double eps_of(int precision) { return precision == THROUGHTIME_BFLOAT16 ? 0x1p-10 : FLT_EPSILON; }

// NaN is equal to itself here, and 0 not to −0.
bool same_bits(const std::vector<float> &one, const std::vector<float> &other) {
    return one.size() == other.size() && (one.empty() || !std::memcmp(&one[0], &other[0], one.size() * sizeof(float)));
}

bool expected(const std::string &name, const Manner &manner) {
    return !manner.inference || name == "output" || name == "h_n" || name == "c_n";
}

} // namespace

void check_accuracy(const LayerCase &of, const std::vector<Manner> &manners) {
    const Oracle oracle(of);
    const double eps = eps_of(of.precision);
    for (const Manner &manner : manners) {
        const std::string where = of.describe() + ", " + describe(manner);
        const Results results = run_library(oracle.inputs, manner);
        check(results.status == THROUGHTIME_OK, where + ": " + throughtime_message(results.status));
        check(results.fault.empty(), where + ": " + results.fault);
        for (const auto &[name, values] : oracle.truth.tensors) {
            if (!expected(name, manner))
                continue;
            Measured measured;
            oracle.add(results, name, measured);
            bool accurate = measured.accurate(eps);
            if (!accurate && std::isfinite(measured.error)) {
                measured = {};
                for (uint64_t repeat = 1; repeat <= kRepeats; ++repeat) {
                    LayerCase again = of;
                    again.seed = of.seed + repeat * 0x100000001u;
                    const Oracle other(again);
                    other.add(run_library(other.inputs, manner), name, measured);
                }
                accurate = measured.accurate(eps);
            }
            check(accurate, where + ": " + name + measured.describe());
        }
    }
}

void check_same(const Results &one, const Results &other, const std::string &what) {
    for (const auto &[name, values] : one.tensors) {
        const std::vector<float> *others = other.find(name);
        if (others)
            check(same_bits(values, *others), what + ": " + name + " has other bits");
    }
}

} // namespace throughtime_tests
