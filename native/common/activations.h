// The activations, from one exponential, each within two units in the last place, NaN and subnormals included.
#pragma once

#include "vector.h"

namespace throughtime::THROUGHTIME_SET_NAME {

// exp(y) = scale * (1 + rest), for y that fits float32's exponents.
struct Exponential {
    Vector scale, rest;
};

// y = n ln 2 + r, |r| ≤ ln 2 / 2; scale = 2^n, and rest = exp(r) − 1 is r + r² q(r), q a minimax polynomial.
THROUGHTIME_INLINE Exponential exponential(Vector y) {
    const Vector shift = broadcast(12582912.0f); // 1.5 × 2^23: adding it rounds to an integer, held in the low bits
    const Vector shifted = y * 1.44269504f + shift;
    const Vector n = shifted - shift;
    const Vector r = (y - n * 0.693359375f) - n * -2.12194440e-4f; // ln 2 in two parts, the first exact times n
    Vector q = broadcast(1.3940612e-3f);
    q = q * r + 8.3664905e-3f;
    q = q * r + 4.1666404e-2f;
    q = q * r + 0.16666544f;
    q = q * r + 0.5f;
    Integers bits;
    std::memcpy(&bits, &shifted, sizeof bits);
    bits = (bits << 23) + 0x3f800000;
    Vector scale;
    std::memcpy(&scale, &bits, sizeof scale);
    return {scale, r * r * q + r};
}

// 1 / (1 + exp(−x)); beyond the exponents 2^n is infinite, and the result 0
THROUGHTIME_INLINE Vector sigmoid(Vector x) {
    const Exponential e = exponential(-clamp(x, -89.0f, 87.0f));
    return 1.0f / (e.scale * (e.rest + 1.0f) + 1.0f);
}

// (exp(2x) − 1) / (exp(2x) + 1), exp(2x) − 1 taken without cancellation
THROUGHTIME_INLINE Vector tanh(Vector x) {
    const Exponential e = exponential(clamp(x + x, -40.0f, 40.0f));
    const Vector less_one = e.scale * e.rest + (e.scale - 1.0f);
    return less_one / (less_one + 2.0f);
}

THROUGHTIME_INLINE Vector relu(Vector x) { return x < 0.0f ? Vector{} : x; }

} // namespace throughtime::THROUGHTIME_SET_NAME
