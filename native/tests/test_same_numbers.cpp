#include <thread>

#include "layers.h"
#include "scalar.h"
#include "suite.h"

namespace throughtime_tests {
namespace {

// A few cases of each kind on each set, among them those that share one sequence between threads.
template <class Test>
void each_case(const Effort &effort, uint64_t salt, const Test &test) {
    Random random(effort.seed ^ salt);
    for (int set : sets_here())
        for (int64_t i = 0; i < 8 + effort.count / 10; ++i) {
            LayerCase of = LayerCase::random(random.bits(), effort.most_work);
            of.kind = int(i % 4);
            if (i % 8 < 4) {
                of.time = 1 + random.below(12);
                of.batch = 1 + random.below(4);
                of.hidden = 120 + random.below(80);
            }
            if (set == THROUGHTIME_AVX512_BF16 && random.chance(0.5))
                of.precision = THROUGHTIME_BFLOAT16;
            Manner manner;
            manner.set = set;
            test(of, manner);
        }
}

} // namespace

void test_threads(const Effort &effort) {
    each_case(effort, 0x7123, [](const LayerCase &of, Manner manner) {
        const Inputs inputs(of);
        const Results alone = run_library(inputs, manner);
        for (int threads : {2, 3, 5}) {
            manner.threads = threads;
            const Results together = run_library(inputs, manner);
            check(together.status == THROUGHTIME_OK && together.fault.empty(), of.describe() + ": " + together.fault);
            check_same(alone, together, of.describe() + ", " + describe(manner) + " and 1 thread");
        }
    });
}

void test_packed_weights(const Effort &effort) {
    each_case(effort, 0x9acc, [](const LayerCase &of, Manner manner) {
        const Inputs inputs(of);
        manner.threads = 2;
        const Results plain = run_library(inputs, manner);
        manner.packed = true;
        check_same(plain, run_library(inputs, manner), of.describe() + ", " + describe(manner));
    });
}

// What is not wanted changes nothing in what is.
void test_missing_pointers(const Effort &effort) {
    Random random(effort.seed ^ 0x3155);
    each_case(effort, 0x4321, [&](const LayerCase &of, Manner manner) {
        const Inputs inputs(of);
        const Results all = run_library(inputs, manner);
        manner.left_out = unsigned(random.below(128));
        const Results some = run_library(inputs, manner);
        const std::string where =
            of.describe() + ", " + describe(manner) + ", without " + std::to_string(manner.left_out);
        check(some.status == THROUGHTIME_OK, where + ": " + throughtime_message(some.status));
        check(some.fault.empty(), where + ": " + some.fault);
        check_same(all, some, where);
    });
}

// Two layers in one call give what they give one after the other.
void test_stacked_calls(const Effort &effort) {
    Random random(effort.seed ^ 0x57ac);
    for (int set : sets_here())
        for (int kind = THROUGHTIME_RNN_TANH; kind <= THROUGHTIME_LSTM; ++kind) {
            LayerCase of = LayerCase::random(random.bits(), effort.most_work);
            of.kind = kind;
            of.time = 7;
            of.batch = 5;
            of.hidden = of.input = 33; // so that one layer may feed another of the same weights
            of.layout = 0;
            const Inputs inputs(of);
            auto run = [&](bool at_once, Array<float> &middle, Array<float> &top) {
                throughtime_forward_call calls[2] = {};
                throughtime_sizes sizes = {};
                calls[0].layer = inputs.layer(set, 2);
                check(throughtime_measure(&calls[0].layer, &sizes) == THROUGHTIME_OK, "a layer cannot be measured");
                Array<uint8_t> scratch(sizes.forward_scratch);
                calls[0].x = inputs.x.values.data();
                calls[0].x_time = of.batch * of.input;
                calls[0].x_batch = of.input;
                calls[0].x_feature = 1;
                calls[0].output = middle.data();
                calls[0].output_time = of.batch * of.hidden;
                calls[0].output_batch = of.hidden;
                calls[0].scratch = scratch.data();
                calls[1] = calls[0];
                calls[1].x = middle.data();
                calls[1].output = top.data();
                int status = throughtime_forward(calls, at_once ? 2 : 1);
                if (!at_once && status == THROUGHTIME_OK)
                    status = throughtime_forward(calls + 1, 1);
                check(status == THROUGHTIME_OK, std::string("stacked calls: ") + throughtime_message(status));
            };
            const int64_t count = of.time * of.batch * of.hidden;
            Array<float> middle(count), top(count), middle_alone(count), top_alone(count);
            run(true, middle, top);
            run(false, middle_alone, top_alone);
            check(middle.same_bits(middle_alone) && top.same_bits(top_alone),
                  of.describe() + ", " + name_of_set(set) + ": two calls at once give other numbers than one by one");
        }
}

// Callers that know nothing of each other.
void test_two_callers(const Effort &effort) {
    each_case(effort, 0x2ca1, [](const LayerCase &of, Manner manner) {
        LayerCase second = of;
        second.seed = of.seed + 1;
        second.kind = (of.kind + 1) % 4;
        const Inputs inputs(of), others(second);
        manner.threads = 2;
        const Results first = run_library(inputs, manner), last = run_library(others, manner);
        Results first_again, last_again;
        std::thread other([&] { last_again = run_library(others, manner); });
        first_again = run_library(inputs, manner);
        other.join();
        check_same(first, first_again, of.describe() + ", " + describe(manner) + ", beside another caller");
        check_same(last, last_again, second.describe() + ", " + describe(manner) + ", beside another caller");
    });
}

} // namespace throughtime_tests
