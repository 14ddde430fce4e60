// A team of threads, and the barrier at which its members wait for each other.
#pragma once

#include <cstdint>

#if defined(THROUGHTIME_STD_THREADS)
#include <thread>
#elif defined(_OPENMP)
#include <omp.h>
#endif
#include <sched.h>

#include "kernels.h"
#include "vector.h"

namespace throughtime::THROUGHTIME_SET_NAME {

THROUGHTIME_INLINE void pause() {
#if defined(__x86_64__)
    __builtin_ia32_pause();
#endif
}

// Arrivals are counted; the last one opens the next generation. A member spins for a while, then lets others run.
class Barrier {
  public:
    void wait(int members) {
        if (members == 1)
            return;
        const uint32_t generation = __atomic_load_n(&generation_, __ATOMIC_ACQUIRE);
        if (__atomic_add_fetch(&arrived_, 1, __ATOMIC_ACQ_REL) == static_cast<uint32_t>(members)) {
            __atomic_store_n(&arrived_, 0, __ATOMIC_RELAXED);
            __atomic_store_n(&generation_, generation + 1, __ATOMIC_RELEASE);
            return;
        }
        for (int spins = 0; __atomic_load_n(&generation_, __ATOMIC_ACQUIRE) == generation; ++spins) {
            if (spins < kSpins)
                pause();
            else
                sched_yield();
        }
    }

  private:
    static constexpr int kSpins = 4000;
    alignas(64) uint32_t arrived_ = 0;
    alignas(64) uint32_t generation_ = 0;
};

// One member of a team.
struct Member {
    int index, count;
    Barrier *barrier;

    void wait() const { barrier->wait(count); }

    // The share of this member in `total` things, as even as can be.
    int64_t begin(int64_t total) const { return total * index / count; }
    int64_t end(int64_t total) const { return total * (index + 1) / count; }
};

// Calls `work(member)` for each member of a team of at most `threads`; fewer where the system gives fewer.
template <class Work>
void run_team(int threads, const Work &work) {
    Barrier barrier;
    if (threads <= 1)
        return work(Member{0, 1, &barrier});
#if defined(THROUGHTIME_STD_THREADS)
    std::thread others[kMostThreads];
    for (int index = 1; index < threads; ++index)
        others[index] = std::thread([&, index] { work(Member{index, threads, &barrier}); });
    work(Member{0, threads, &barrier});
    for (int index = 1; index < threads; ++index)
        others[index].join();
#elif defined(_OPENMP)
#pragma omp parallel num_threads(threads)
    work(Member{omp_get_thread_num(), omp_get_num_threads(), &barrier});
#else
    work(Member{0, 1, &barrier});
#endif
}

} // namespace throughtime::THROUGHTIME_SET_NAME
