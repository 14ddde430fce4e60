// The numbers in which products are taken. The operands of a product are made of words of four bytes: one float32, or
// two bfloat16, so that a panel's row and a vector of weights look the same for both.
#pragma once

#include "panels.h"

#if defined(__AVX512BF16__)
#include <immintrin.h>
#endif

namespace throughtime::THROUGHTIME_SET_NAME {

struct Float32 {
    static constexpr int kPerWord = 1;

    using Word = Vector;
    static THROUGHTIME_INLINE Word spread(const float *word) { return broadcast(*word); }
    static THROUGHTIME_INLINE Vector multiply_add(Vector sum, Word left, const float *right) {
        return sum + left * load(right);
    }

    // One panel of features of a row, as an operand.
    static THROUGHTIME_INLINE void write(const Panels &to, int64_t panel, int64_t row, Vector value) {
        store(to.row(panel, row), value);
    }

    // The words that a feature's elements make, a vector of features for each element.
    static THROUGHTIME_INLINE Vector words(const Vector *elements) { return elements[0]; }
};

#if defined(__AVX512BF16__)

struct Bfloat16 {
    static constexpr int kPerWord = 2;

    using Word = Integers;
    static THROUGHTIME_INLINE Word spread(const float *word) {
        int32_t bits;
        std::memcpy(&bits, word, sizeof bits);
        return Integers{} + bits;
    }

    static THROUGHTIME_INLINE Vector multiply_add(Vector sum, Word left, const float *right) {
        return (Vector)_mm512_dpbf16_ps((__m512)sum, (__m512bh)left, (__m512bh)load(right));
    }

    static THROUGHTIME_INLINE void write(const Panels &to, int64_t panel, int64_t row, Vector value) {
        const __m256bh half = _mm512_cvtneps_pbh((__m512)value);
        std::memcpy(to.row(panel / 2, row) + panel % 2 * (kWidth / 2), &half, sizeof half);
    }

    // Each element of one row beside that of the next.
    static THROUGHTIME_INLINE Vector pair(Vector first, Vector second) {
        return (Vector)(halves(first) | halves(second) << 16);
    }

    static THROUGHTIME_INLINE Vector words(const Vector *elements) { return pair(elements[0], elements[1]); }

  private:
    static THROUGHTIME_INLINE Integers halves(Vector value) {
        typedef uint16_t Halves __attribute__((vector_size(2 * kWidth)));
        return __builtin_convertvector((Halves)_mm512_cvtneps_pbh((__m512)value), Integers);
    }
};

#endif

// How many words a row of features takes.
template <class Number>
constexpr int64_t words_of(int64_t features) {
    return features / Number::kPerWord + (features % Number::kPerWord != 0);
}

// Panels begin … end of one row as an operand, from features `stride` apart; in float32, the row itself.
template <class Number>
void write_operand(const Panels &panels, int64_t row, const float *from, int64_t stride, int64_t features,
                   int64_t begin, int64_t end) {
    for (int64_t panel = begin; panel < end; ++panel)
        if constexpr (Number::kPerWord == 1)
            copy_panel(panels.row(panel, row), from, stride, features, panel);
        else
            Number::write(panels, panel, row, load_panel(from, stride, features, panel));
}

} // namespace throughtime::THROUGHTIME_SET_NAME
