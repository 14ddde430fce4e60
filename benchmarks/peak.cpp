// The most that this machine computes: multiply-adds on registers alone, as many at once as the processor keeps in flight.
//
//   g++ -O3 -march=native -pthread peak.cpp -o peak && ./peak THREADS
//
// prints GFLOP/s, the best of several short runs.

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <thread>
#include <vector>

#if defined(__AVX512F__)
constexpr int width = 16;
#elif defined(__AVX__)
constexpr int width = 8;
#else
constexpr int width = 4;
#endif
constexpr int chains = 12;  // each waits for itself; so many, with their factor, still fit into 16 registers
constexpr long steps = 20'000'000;
constexpr int runs = 5;

typedef float Vector __attribute__((vector_size(width * sizeof(float))));

static float multiply_add(float factor) {
    Vector scale = factor - Vector{}, sums[chains];
    for (int i = 0; i < chains; ++i) sums[i] = scale * static_cast<float>(i);
    for (long step = 0; step < steps; ++step)
#pragma GCC unroll 12
        for (int i = 0; i < chains; ++i) sums[i] = sums[i] * scale + scale;
    float total = 0;
    for (const Vector& sum : sums)
        for (int lane = 0; lane < width; ++lane) total += sum[lane];
    return total;
}

int main(int count, char** words) {
    const int threads = count > 1 ? std::max(1, std::atoi(words[1])) : 1;
    std::vector<float> results(threads);
    double best = 1e30;
    for (int run = 0; run < runs; ++run) {
        std::atomic<int> waiting{threads};
        std::vector<std::thread> all;
        std::vector<double> seconds(threads);
        for (int thread = 0; thread < threads; ++thread)
            all.emplace_back([&, thread] {
                --waiting;
                while (waiting > 0) std::this_thread::yield();
                const auto started = std::chrono::steady_clock::now();
                results[thread] = multiply_add(0.5f + 1e-3f * static_cast<float>(thread));
                seconds[thread] = std::chrono::duration<double>(std::chrono::steady_clock::now() - started).count();
            });
        for (std::thread& each : all) each.join();
        best = std::min(best, *std::max_element(seconds.begin(), seconds.end()));
    }
    const double operations = 2.0 * threads * steps * chains * width;
    std::printf("%.1f\n", operations / best / 1e9);
    std::fprintf(stderr, "%g\n", results[0]);  // so that the loop is not thrown away
}
