#include "check.h"

#include <algorithm>
#include <cstdio>

namespace throughtime_tests {
namespace {

constexpr int64_t kMostPrinted = 20;
int64_t checks = 0, failures = 0, printed = 0;

double distance(float value, float truth) {
    if (std::isnan(value) || std::isnan(truth))
        return std::isnan(value) && std::isnan(truth) ? 0 : INFINITY;
    if (std::isinf(value) || std::isinf(truth))
        return value == truth ? 0 : INFINITY;
    return std::fabs(double(value) - double(truth));
}

} // namespace

void check(bool holds, const std::string &what) {
    ++checks;
    if (holds)
        return;
    ++failures;
    if (++printed <= kMostPrinted)
        std::printf("FAILED: %s\n", what.c_str());
    if (printed == kMostPrinted)
        std::printf("… and what else fails in this test is only counted\n");
    std::fflush(stdout);
}

void begin_test() { printed = 0; }

int64_t checked() { return checks; }

int64_t failed() { return failures; }

Norms compare(const std::vector<float> &values, const std::vector<float> &truth) {
    Norms norms;
    if (values.size() != truth.size())
        norms.difference = INFINITY;
    for (size_t i = 0; i < std::min(values.size(), truth.size()); ++i) {
        norms.difference = std::max(norms.difference, distance(values[i], truth[i]));
        if (std::isfinite(truth[i]))
            norms.scale = std::max(norms.scale, std::fabs(double(truth[i])));
    }
    return norms;
}

bool alike(const std::vector<float> &values, const std::vector<float> &truth, double tolerance, std::string &where) {
    for (size_t i = 0; i < truth.size(); ++i) {
        double allowed = tolerance * std::max(1.0, std::isfinite(truth[i]) ? std::fabs(double(truth[i])) : 0.0);
        if (i >= values.size() || distance(values[i], truth[i]) > allowed) {
            where = "[" + std::to_string(i) + "] is " + std::to_string(i < values.size() ? values[i] : NAN) +
                    " instead of " + std::to_string(truth[i]);
            return false;
        }
    }
    return values.size() == truth.size();
}

} // namespace throughtime_tests
