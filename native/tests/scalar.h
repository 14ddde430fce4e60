// The equations once more, one number after the other: what the kernels are compared with.
//
// It takes the same structs, shares nothing else with the kernels, and remembers nothing: the backward runs the forward
// again, so it reads neither `save` nor `output`, `packed`, `scratch`, `set` or `threads`. Numbers are of the type that
// it is instantiated with, double for the truth and float for what plain code of the kernels' precision achieves;
// results are rounded to float32 at the very end. With THROUGHTIME_BFLOAT16 the factors of every product are rounded to
// bfloat16 first.
//
// What it is given must be right: nothing is checked.
#pragma once

#include "throughtime.h"

namespace throughtime_scalar {

// `trace`, where not NULL, receives what throughtime_trace would tell.
template <class Number>
void forward(const throughtime_forward_call &call, float *trace = nullptr);
template <class Number>
void backward(const throughtime_backward_call &call);

template <class Number>
void product_forward(const throughtime_product &product);
template <class Number>
void product_backward(const throughtime_product &product);

// How many gates a layer of this kind has, and how many parts its trace.
int gates_of(int kind);
int trace_parts_of(int kind);

} // namespace throughtime_scalar
