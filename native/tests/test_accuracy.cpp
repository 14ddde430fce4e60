#include <algorithm>

#include "layers.h"
#include "scalar.h"
#include "suite.h"

namespace throughtime_tests {
namespace {

std::vector<Manner> every_set(int threads, bool packed) {
    std::vector<Manner> manners;
    for (int set : sets_here()) {
        Manner manner;
        manner.set = set;
        manner.threads = threads;
        manner.packed = packed;
        manners.push_back(manner);
    }
    return manners;
}

} // namespace

// Sizes around the widths of vectors and tiles, each with each, as far as the work allows; in an order that puts
// different ones together, so that the first few are a sample of all.
void test_odd_sizes(const Effort &effort) {
    const std::vector<int64_t> sizes = {1, 3, 15, 17, 63, 300};
    std::vector<std::pair<uint64_t, LayerCase>> cases;
    Random random(effort.seed);
    for (int kind = THROUGHTIME_RNN_TANH; kind <= THROUGHTIME_LSTM; ++kind)
        for (int64_t time : sizes)
            for (int64_t batch : sizes)
                for (int64_t input : sizes)
                    for (int64_t hidden : sizes) {
                        LayerCase of = LayerCase::random(random.bits(), effort.most_work);
                        of.kind = kind;
                        of.time = time;
                        of.batch = batch;
                        of.input = input;
                        of.hidden = hidden;
                        if (of.work() <= 8 * effort.most_work)
                            cases.emplace_back(random.bits(), of);
                    }
    std::sort(cases.begin(), cases.end(), [](const auto &one, const auto &other) { return one.first < other.first; });
    if (effort.battery && int64_t(cases.size()) > effort.battery)
        cases.resize(effort.battery);
    for (auto &[order, of] : cases)
        check_accuracy(of, every_set(1 + int(order % 3), order % 2));
    for (int kind = THROUGHTIME_RNN_TANH; kind <= THROUGHTIME_LSTM; ++kind)
        for (auto [time, batch] : {std::pair(0, 3), std::pair(3, 0), std::pair(0, 0)}) {
            LayerCase of;
            of.kind = kind;
            of.time = time;
            of.batch = batch;
            of.input = 3;
            of.hidden = 17;
            check_accuracy(of, every_set(2, false));
        }
}

void test_random_layers(const Effort &effort) {
    Random random(effort.seed ^ 0xa5a5);
    for (int64_t i = 0; i < effort.count; ++i) {
        const LayerCase of = LayerCase::random(random.bits(), effort.most_work);
        std::vector<Manner> manners = every_set(1 + int(random.below(5)), random.chance(0.5));
        for (Manner &manner : manners)
            manner.inference = random.chance(0.2);
        check_accuracy(of, manners);
    }
}

void test_bfloat16(const Effort &effort) {
    if (throughtime_set_here(THROUGHTIME_AVX512_BF16) == 0)
        return;
    Random random(effort.seed ^ 0xbf16);
    for (int64_t i = 0; i < std::max<int64_t>(effort.count / 4, 20); ++i) {
        LayerCase of = LayerCase::random(random.bits(), effort.most_work);
        of.precision = THROUGHTIME_BFLOAT16;
        Manner manner;
        manner.set = THROUGHTIME_AVX512_BF16;
        manner.threads = 1 + int(random.below(3));
        manner.packed = random.chance(0.5);
        check_accuracy(of, {manner});
    }
}

} // namespace throughtime_tests
