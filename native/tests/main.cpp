// Runs the tests: test_native [--count N] [--battery N] [--seed N] [--most-work N] [--only NAME]
#include <chrono>
#include <cstdio>
#include <cstdlib>

#include "layers.h"
#include "suite.h"

namespace {

using namespace throughtime_tests;

struct Test {
    const char *name;
    void (*run)(const Effort &);
};

constexpr Test kTests[] = {
    {"statuses", test_statuses},
    {"missing_sets", test_missing_sets},
    {"large_sizes", test_large_sizes},
    {"subnormal", test_subnormal},
    {"not_finite", test_not_finite},
    {"odd_sizes", test_odd_sizes},
    {"random_layers", test_random_layers},
    {"random_products", test_random_products},
    {"bfloat16", test_bfloat16},
    {"threads", test_threads},
    {"packed_weights", test_packed_weights},
    {"missing_pointers", test_missing_pointers},
    {"stacked_calls", test_stacked_calls},
    {"two_callers", test_two_callers},
};

int usage(const char *program) {
    std::fprintf(stderr, "usage: %s [--count N] [--battery N] [--seed N] [--most-work N] [--only NAME]\n", program);
    std::fprintf(stderr, "the tests are");
    for (const Test &test : kTests)
        std::fprintf(stderr, " %s", test.name);
    std::fprintf(stderr, "\n");
    return 2;
}

} // namespace

int main(int count, char **arguments) {
    Effort effort;
    std::string only;
    for (int i = 1; i < count; i += 2) {
        const std::string name = arguments[i];
        if (i + 1 == count)
            return usage(arguments[0]);
        const int64_t number = std::strtoll(arguments[i + 1], nullptr, 10);
        if (name == "--count")
            effort.count = number;
        else if (name == "--battery")
            effort.battery = number;
        else if (name == "--seed")
            effort.seed = uint64_t(number);
        else if (name == "--most-work")
            effort.most_work = number;
        else if (name == "--only")
            only = arguments[i + 1];
        else
            return usage(arguments[0]);
    }
    std::printf("sets:");
    for (int set : sets_here())
        std::printf(" %s", name_of_set(set));
    std::printf("\n");
    for (const Test &test : kTests) {
        if (!only.empty() && only != test.name)
            continue;
        const auto start = std::chrono::steady_clock::now();
        const int64_t checks = checked(), failures = failed();
        begin_test();
        test.run(effort);
        const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
        std::printf("%-16s %8lld checks, %lld failed, %.1f s\n", test.name, (long long)(checked() - checks),
                    (long long)(failed() - failures), seconds.count());
        std::fflush(stdout);
    }
    if (checked() == 0)
        return usage(arguments[0]);
    return failed() == 0 ? 0 : 1;
}
