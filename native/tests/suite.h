// The tests, each of which checks one promise of throughtime.h.
#pragma once

#include <cstdint>

namespace throughtime_tests {

struct Effort {
    int64_t count = 200;         // how many shapes at random
    int64_t battery = 200;       // how many of the battery of odd sizes, 0 for all
    uint64_t seed = 1;           // of all random choices
    int64_t most_work = 1000000; // multiplications in the forward of one case
};

// Accuracy.
void test_odd_sizes(const Effort &effort);
void test_random_layers(const Effort &effort);
void test_random_products(const Effort &effort);
void test_bfloat16(const Effort &effort);

// What numbers must not depend on.
void test_threads(const Effort &effort);
void test_packed_weights(const Effort &effort);
void test_missing_pointers(const Effort &effort);
void test_stacked_calls(const Effort &effort);
void test_two_callers(const Effort &effort);

// Numbers that are not ordinary.
void test_not_finite(const Effort &effort);
void test_subnormal(const Effort &effort);

// Refusals.
void test_statuses(const Effort &effort);
void test_missing_sets(const Effort &effort);
void test_large_sizes(const Effort &effort);

} // namespace throughtime_tests
