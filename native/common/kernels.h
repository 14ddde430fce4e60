// What each instruction set offers: a table of functions for each kind of layer, and one for products.
#pragma once

#include "../include/throughtime.h"

namespace throughtime {

constexpr int kMostThreads = 256;

// From so many units on, a team may divide the units of few sequences among itself.
constexpr int64_t kFewestColumns = 128;

// What interface.cpp has found out about a layer before a kernel ranges.
struct Sequences {
    const int64_t *order;  // the sequences from the longest to the shortest; NULL: all are whole, in their own order
    const int64_t *active; // [time]: how many of them are real at each time, the first ones in that order; NULL: all
    int threads;           // the most that this job is worth
};

struct Kernel {
    bool saves;                                                      // whether the backward reads a save
    bool (*measure)(const throughtime_layer &, throughtime_sizes &); // false: too large
    void (*pack)(const throughtime_layer &, void *packed);
    void (*forward)(const throughtime_forward_call &, const Sequences &, void *scratch);
    void (*backward)(const throughtime_backward_call &, const Sequences &, void *scratch);
    void (*trace)(const throughtime_layer &, const void *save, float *trace);
};

struct LayerKernels {
    Kernel in[2]; // by throughtime_precision; empty where the set has no products in it
};

struct ProductKernel {
    bool (*measure)(const throughtime_product &, throughtime_sizes &);
    void (*forward)(const throughtime_product &, int threads);
    void (*backward)(const throughtime_product &, int threads);
};

struct ProductKernels {
    ProductKernel in[2];
};

} // namespace throughtime
