// Dividing one block of the caller's memory; the same code, run without a block, tells how large it must be.
#pragma once

#include <cstdint>

#include "../include/throughtime.h"
#include "vector.h"

namespace throughtime::THROUGHTIME_SET_NAME {

class Arena {
  public:
    explicit Arena(void *base = nullptr) : base_(static_cast<char *>(base)) {}

    // Room for the product of some counts of elements, aligned.
    template <class Element, class... Counts>
    Element *take(Counts... counts) {
        int64_t bytes = sizeof(Element);
        (multiply(bytes, counts), ...);
        if (__builtin_add_overflow(bytes, THROUGHTIME_ALIGNMENT - 1, &bytes))
            too_large_ = true;
        bytes &= ~static_cast<int64_t>(THROUGHTIME_ALIGNMENT - 1);
        const int64_t begin = used_;
        if (__builtin_add_overflow(used_, bytes, &used_))
            too_large_ = true;
        return base_ == nullptr || too_large_ ? nullptr : reinterpret_cast<Element *>(base_ + begin);
    }

    // Past what `count` others take, of so many bytes each.
    void skip(int64_t bytes, int64_t count) {
        multiply(bytes, count);
        if (__builtin_add_overflow(used_, bytes, &used_))
            too_large_ = true;
    }

    bool too_large() const { return too_large_; }
    int64_t used() const { return used_; }

  private:
    void multiply(int64_t &bytes, int64_t count) {
        if (__builtin_mul_overflow(bytes, count, &bytes))
            too_large_ = true;
    }

    char *base_;
    int64_t used_ = 0;
    bool too_large_ = false;
};

} // namespace throughtime::THROUGHTIME_SET_NAME
