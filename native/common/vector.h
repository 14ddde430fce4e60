// One vector of floats, as wide as the instruction set that this translation unit is compiled for.
//
// Everything that depends on the set lives in a namespace named after it, so that the linker never takes code of one
// set for another's; for the same reason nothing here instantiates templates of the standard library.
#pragma once

#include <cstdint>
#include <cstring>
#if defined(__AVX__)
#include <immintrin.h>
#endif

#ifndef THROUGHTIME_SET_NAME
#error "compile with -DTHROUGHTIME_SET_NAME=baseline, avx2, avx512 or avx512_bf16"
#endif

#define THROUGHTIME_INLINE inline __attribute__((always_inline))
#define THROUGHTIME_INLINE_LAMBDA __attribute__((always_inline))

namespace throughtime::THROUGHTIME_SET_NAME {

#if defined(__AVX512F__)
constexpr int kWidth = 16;
constexpr int kSums = 24; // registers that hold sums: what is left holds weights and a broadcast
#elif defined(__AVX__)
constexpr int kWidth = 8;
constexpr int kSums = 12;
#else
constexpr int kWidth = 4;
constexpr int kSums = 12;
#endif

typedef float Vector __attribute__((vector_size(4 * kWidth)));
typedef int32_t Integers __attribute__((vector_size(4 * kWidth)));

THROUGHTIME_INLINE Vector load(const float *from) {
    Vector value;
    std::memcpy(&value, from, sizeof value);
    return value;
}

THROUGHTIME_INLINE void store(float *to, Vector value) { std::memcpy(to, &value, sizeof value); }

THROUGHTIME_INLINE Vector broadcast(float value) { return value - Vector{}; }

// The first `count` elements of a vector move in powers of two: fewer branches than elements.
template <int Part>
THROUGHTIME_INLINE void move_parts(float *to, const float *from, int count, int done) {
    if (count & Part) {
        std::memcpy(to + done, from + done, Part * sizeof(float));
        done += Part;
    }
    if constexpr (Part > 1)
        move_parts<Part / 2>(to, from, count, done);
}

THROUGHTIME_INLINE Vector load_first(const float *from, int count) {
    if (count >= kWidth)
        return load(from);
    alignas(64) float values[kWidth] = {};
    move_parts<kWidth / 2>(values, from, count, 0);
    return load(values);
}

THROUGHTIME_INLINE void store_first(float *to, Vector value, int count) {
    if (count >= kWidth)
        return store(to, value);
    alignas(64) float values[kWidth];
    store(values, value);
    move_parts<kWidth / 2>(to, values, count, 0);
}

#if defined(__clang__) || __GNUC__ >= 12

template <int... Lane>
struct Lanes {
    // Every second block of Step lanes of one vector beside the same blocks of another: the even ones, or the odd ones.
    template <int Step, int Odd>
    static THROUGHTIME_INLINE Vector blocks(Vector first, Vector second) {
        return __builtin_shufflevector(first, second, ((Lane & ~Step) + Odd * Step + (Lane & Step ? kWidth : 0))...);
    }
};

template <int Count, int... Lane>
struct AllLanes : AllLanes<Count - 1, Count - 1, Lane...> {};

template <int... Lane>
struct AllLanes<0, Lane...> : Lanes<Lane...> {};

// A square of rows, turned about its diagonal: blocks of Step × Step change places across it, large ones first.
template <int Step = kWidth / 2>
THROUGHTIME_INLINE void transpose(Vector (&rows)[kWidth]) {
#pragma GCC unroll 16
    for (int row = 0; row < kWidth; ++row) {
        if (row & Step)
            continue;
        const Vector first = rows[row], second = rows[row + Step];
        rows[row] = AllLanes<kWidth>::template blocks<Step, 0>(first, second);
        rows[row + Step] = AllLanes<kWidth>::template blocks<Step, 1>(first, second);
    }
    if constexpr (Step > 1)
        transpose<Step / 2>(rows);
}

#else // no shuffles that all compilers know

inline void transpose(Vector (&rows)[kWidth]) {
    float values[kWidth][kWidth], turned[kWidth][kWidth];
    std::memcpy(values, rows, sizeof values);
    for (int row = 0; row < kWidth; ++row)
        for (int column = 0; column < kWidth; ++column)
            turned[column][row] = values[row][column];
    std::memcpy(rows, turned, sizeof turned);
}

#endif

// Where one is NaN, the second is given. So do the instructions, which gcc does not make of a comparison and a choice;
// those of 512 bits have a mask here, as gcc 12 warns of its own header where they have none.
#if defined(__AVX512F__)
THROUGHTIME_INLINE Vector larger(Vector first, Vector second) {
    return (Vector)_mm512_maskz_max_ps(0xffff, (__m512)first, (__m512)second);
}
THROUGHTIME_INLINE Vector smaller(Vector first, Vector second) {
    return (Vector)_mm512_maskz_min_ps(0xffff, (__m512)first, (__m512)second);
}
#elif defined(__AVX__)
THROUGHTIME_INLINE Vector larger(Vector first, Vector second) {
    return (Vector)_mm256_max_ps((__m256)first, (__m256)second);
}
THROUGHTIME_INLINE Vector smaller(Vector first, Vector second) {
    return (Vector)_mm256_min_ps((__m256)first, (__m256)second);
}
#else
THROUGHTIME_INLINE Vector larger(Vector first, Vector second) { return first > second ? first : second; }
THROUGHTIME_INLINE Vector smaller(Vector first, Vector second) { return first < second ? first : second; }
#endif

// NaN survives.
THROUGHTIME_INLINE Vector clamp(Vector value, float low, float high) {
    return smaller(broadcast(high), larger(broadcast(low), value));
}

} // namespace throughtime::THROUGHTIME_SET_NAME
