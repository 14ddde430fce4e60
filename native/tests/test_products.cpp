#include <cfloat>

#include "layers.h"
#include "scalar.h"
#include "suite.h"

namespace throughtime_tests {
namespace {

// A product, its inputs, and room for its results.
struct ProductCase {
    int64_t rows, input, output, gap, offset;
    bool bias;
    int precision;
    Array<float> x, weight, bias_values, d_y;

    ProductCase(uint64_t seed, int64_t most_work, int precision) : precision(precision) {
        Random random(seed);
        do {
            rows = random.chance(0.05) ? 0 : random.log_uniform(600);
            input = random.log_uniform(400);
            output = random.log_uniform(400);
        } while (rows * input * output > most_work);
        gap = random.chance(0.3) ? random.below(7) : 0;
        offset = random.chance(0.3);
        bias = random.chance(0.7);
        x = Array<float>(rows * (input + gap), offset);
        weight = Array<float>(output * input, offset);
        bias_values = Array<float>(output, offset);
        d_y = Array<float>(rows * (output + gap), offset);
        for (auto [values, columns, stride] :
             {std::tuple(&x, input, input + gap), std::tuple(&weight, input, input),
              std::tuple(&bias_values, output, output), std::tuple(&d_y, output, output + gap)})
            for (int64_t i = 0; i < values->count(); ++i)
                if (i % stride < columns)
                    (*values)[i] = random.uniform(-1.7f, 1.7f);
    }

    std::string describe() const {
        return "product " + std::to_string(rows) + " x " + std::to_string(input) + " to " + std::to_string(output) +
               " gap " + std::to_string(gap) + " offset " + std::to_string(offset) + (bias ? "" : " no-bias") +
               (precision == THROUGHTIME_BFLOAT16 ? " bfloat16" : "");
    }
};

// Runs forward and backward; `call` is given the product and says how.
template <class Forward, class Backward>
Results run(const ProductCase &of, throughtime_product product, Forward forward, Backward backward) {
    Results results;
    Array<float> y(of.rows * (of.output + of.gap), of.offset), d_x(of.rows * of.input, of.offset);
    Array<float> d_weight(of.output * of.input, of.offset), d_bias(of.output, of.offset);
    product.version = THROUGHTIME_VERSION;
    product.rows = of.rows;
    product.input = of.input;
    product.output = of.output;
    product.x = of.x.data();
    product.x_row = of.input + of.gap;
    product.weight = of.weight.data();
    product.bias = of.bias_values.data_or_null(of.bias);
    product.y = y.data();
    product.y_row = product.d_y_row = of.output + of.gap;
    product.d_y = of.d_y.data();
    product.d_x = d_x.data();
    product.d_weight = d_weight.data();
    product.d_bias = d_bias.data_or_null(of.bias);
    results.status = forward(product);
    if (results.status == THROUGHTIME_OK)
        results.status = backward(product);
    std::vector<float> gathered;
    for (int64_t i = 0; i < y.count(); ++i) {
        const bool meant = i % product.y_row < of.output;
        if (meant)
            gathered.push_back(y[i]);
        else if (!untouched(y[i]))
            results.fault = "y was written between its rows";
    }
    results.tensors.emplace_back("y", gathered);
    for (auto [name, values] : {std::pair("d_x", &d_x), std::pair("d_weight", &d_weight), std::pair("d_bias", &d_bias)})
        if (of.bias || values != &d_bias)
            results.tensors.emplace_back(name, values->copied());
    for (const Array<float> *values : {&y, &d_x, &d_weight, &d_bias})
        if (!values->intact())
            results.fault = "an output was written outside";
    return results;
}

Results run_library(const ProductCase &of, int set, int threads) {
    throughtime_product product = {};
    product.precision = of.precision;
    product.set = set;
    product.threads = threads;
    auto with_scratch = [](throughtime_product call, bool backward) {
        throughtime_sizes sizes = {};
        int status = throughtime_measure_product(&call, &sizes);
        if (status != THROUGHTIME_OK)
            return status;
        Array<uint8_t> scratch(backward ? sizes.backward_scratch : sizes.forward_scratch);
        call.scratch = scratch.data();
        status = backward ? throughtime_product_backward(&call) : throughtime_product_forward(&call);
        check(scratch.intact(), "scratch of a product was written outside");
        return status;
    };
    return run(
        of, product, [&](const auto &call) { return with_scratch(call, false); },
        [&](const auto &call) { return with_scratch(call, true); });
}

template <class Number>
Results run_scalar(const ProductCase &of, int precision) {
    throughtime_product product = {};
    product.precision = precision;
    return run(
        of, product, [](const auto &call) { return throughtime_scalar::product_forward<Number>(call), 0; },
        [](const auto &call) { return throughtime_scalar::product_backward<Number>(call), 0; });
}

void check_product(const ProductCase &of, int set, int threads) {
    const std::string where = of.describe() + ", " + name_of_set(set) + ", " + std::to_string(threads) + " threads";
    const Results truth = run_scalar<double>(of, THROUGHTIME_FLOAT32), plain = run_scalar<float>(of, of.precision);
    const Results results = run_library(of, set, threads);
    check(results.status == THROUGHTIME_OK, where + ": " + throughtime_message(results.status));
    check(results.fault.empty(), where + ": " + results.fault);
    // Sums of n terms of random signs are sqrt(n) times a term: the rule for a single number, which may be lucky.
    const double eps = of.precision == THROUGHTIME_BFLOAT16 ? 0x1p-10 : FLT_EPSILON;
    for (const auto &[name, values] : truth.tensors) {
        const int64_t terms = name == "y" ? of.input : name == "d_x" ? of.output : of.rows;
        const Norms norms = compare(*results.find(name), values), of_plain = compare(*plain.find(name), values);
        const double allowed = 2 * of_plain.difference + 4 * eps * std::max(norms.scale, std::sqrt(double(terms)));
        check(norms.difference <= allowed, where + ": " + name + " is " + std::to_string(norms.difference) +
                                               " from the truth at a scale of " + std::to_string(norms.scale));
    }
    check_same(results, run_library(of, set, 1), where + " and 1 thread");
}

} // namespace

void test_random_products(const Effort &effort) {
    Random random(effort.seed ^ 0x9d0d);
    for (int64_t i = 0; i < effort.count; ++i) {
        const uint64_t seed = random.bits();
        for (int set : sets_here())
            check_product(ProductCase(seed, effort.most_work, THROUGHTIME_FLOAT32), set, 1 + int(i % 5));
        if (throughtime_set_here(THROUGHTIME_AVX512_BF16))
            check_product(ProductCase(seed, effort.most_work, THROUGHTIME_BFLOAT16), THROUGHTIME_AVX512_BF16,
                          1 + int(i % 5));
    }
}

} // namespace throughtime_tests
