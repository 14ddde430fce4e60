// What the tests are written with: numbers at random, memory that notices what is done to it, and a list of complaints.
#pragma once

#include <cmath>
#include <cstdint>
#include <cstring>
#include <memory>
#include <string>
#include <vector>

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#else
#define ASAN_POISON_MEMORY_REGION(begin, size) ((void)(begin), (void)(size))
#define ASAN_UNPOISON_MEMORY_REGION(begin, size) ((void)(begin), (void)(size))
#endif

namespace throughtime_tests {

// Counts what was checked, and prints the first failures of each test. May be used from one thread only.
void begin_test();
void check(bool holds, const std::string &what);
int64_t checked();
int64_t failed();

// The same numbers for the same seed on every machine (Steele, Lea & Flood 2014: SplitMix).
class Random {
  public:
    explicit Random(uint64_t seed) : state_(seed) {}

    uint64_t bits() {
        uint64_t z = state_ += 0x9e3779b97f4a7c15u;
        z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
        z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
        return z ^ (z >> 31);
    }
    double uniform() { return double(bits() >> 11) * 0x1p-53; }
    float uniform(float low, float high) { return low + (high - low) * float(uniform()); }
    int64_t below(int64_t bound) { return int64_t(bits() % uint64_t(bound)); }
    bool chance(double probability) { return uniform() < probability; }
    int64_t one_of(const std::vector<int64_t> &choices) { return choices[below(choices.size())]; }
    // Few small numbers are as likely as many large ones.
    int64_t log_uniform(int64_t most) { return int64_t(std::exp(uniform() * std::log(double(most + 1)))); }

  private:
    uint64_t state_;
};

// Memory between two guards, all of it 0xff before anything is written: as floats, NaN.
// A pointer `offset` elements past an alignment of 64 bytes is what callers with slices of tensors hold.
template <class Element>
class Array {
  public:
    explicit Array(int64_t count = 0, int64_t offset = 0)
        : count_(count), bytes_(count * sizeof(Element)), block_(new unsigned char[bytes_ + kRoom]) {
        uintptr_t aligned = (reinterpret_cast<uintptr_t>(block_.get()) + kGuard + 63) / 64 * 64;
        data_ = reinterpret_cast<unsigned char *>(aligned) + offset * sizeof(Element);
        std::memset(block_.get(), 0xff, bytes_ + kRoom);
        ASAN_POISON_MEMORY_REGION(block_.get(), data_ - block_.get());
        ASAN_POISON_MEMORY_REGION(data_ + bytes_, block_.get() + bytes_ + kRoom - (data_ + bytes_));
    }
    Array(Array &&) = default;
    Array &operator=(Array &&) = default;
    ~Array() {
        if (block_)
            ASAN_UNPOISON_MEMORY_REGION(block_.get(), bytes_ + kRoom);
    }

    Element *data() { return reinterpret_cast<Element *>(data_); }
    const Element *data() const { return reinterpret_cast<const Element *>(data_); }
    Element *data_or_null(bool wanted) { return wanted ? data() : nullptr; }
    const Element *data_or_null(bool wanted) const { return wanted ? data() : nullptr; }
    Element &operator[](int64_t index) { return data()[index]; }
    const Element &operator[](int64_t index) const { return data()[index]; }
    int64_t count() const { return count_; }

    // Whether nothing was written before and after.
    bool intact() const {
        ASAN_UNPOISON_MEMORY_REGION(block_.get(), bytes_ + kRoom);
        const unsigned char *end = block_.get() + bytes_ + kRoom;
        bool result = true;
        for (const unsigned char *at = block_.get(); at < data_; ++at)
            result = result && *at == 0xff;
        for (const unsigned char *at = data_ + bytes_; at < end; ++at)
            result = result && *at == 0xff;
        ASAN_POISON_MEMORY_REGION(block_.get(), data_ - block_.get());
        ASAN_POISON_MEMORY_REGION(data_ + bytes_, end - (data_ + bytes_));
        return result;
    }

    std::vector<Element> copied() const { return {data(), data() + count_}; }
    bool same_bits(const Array &other) const { return std::memcmp(data_, other.data_, bytes_) == 0; }

  private:
    static constexpr int64_t kGuard = 256, kRoom = 1024;
    int64_t count_, bytes_;
    std::unique_ptr<unsigned char[]> block_;
    unsigned char *data_;
};

// Whether a float is as Array left it.
inline bool untouched(float value) {
    uint32_t bits;
    std::memcpy(&bits, &value, sizeof bits);
    return bits == 0xffffffffu;
}

// The largest difference and the largest value; a NaN or inf on one side only is an infinite difference.
struct Norms {
    double difference = 0, scale = 0;
};
Norms compare(const std::vector<float> &values, const std::vector<float> &truth);

// Whether both are NaN, the same infinity, or finite and close, at each place.
bool alike(const std::vector<float> &values, const std::vector<float> &truth, double tolerance, std::string &where);

} // namespace throughtime_tests
