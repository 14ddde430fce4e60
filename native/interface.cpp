// The C interface: looks at what it is given, chooses an instruction set, and calls its kernels.
#include "include/throughtime.h"

#include <cstring>

#include "common/kernels.h"

namespace throughtime {

#define THROUGHTIME_DECLARE(name)                                                                                      \
    namespace name {                                                                                                   \
    extern const LayerKernels kRnnTanh, kRnnRelu, kGru, kLstm;                                                         \
    extern const ProductKernels kLinear;                                                                               \
    }
#define THROUGHTIME_TABLE(name) {{&name::kRnnTanh, &name::kRnnRelu, &name::kGru, &name::kLstm}, &name::kLinear}

THROUGHTIME_DECLARE(baseline)
#ifdef THROUGHTIME_HAS_AVX2
THROUGHTIME_DECLARE(avx2)
#endif
#ifdef THROUGHTIME_HAS_AVX512
THROUGHTIME_DECLARE(avx512)
#endif
#ifdef THROUGHTIME_HAS_AVX512_BF16
THROUGHTIME_DECLARE(avx512_bf16)
#endif

namespace {

struct KernelSet {
    const LayerKernels *layers[4]; // by throughtime_kind
    const ProductKernels *product;
};

// By throughtime_set; empty where the build lacks it.
constexpr KernelSet kSets[] = {
    {},
    THROUGHTIME_TABLE(baseline),
#ifdef THROUGHTIME_HAS_AVX2
    THROUGHTIME_TABLE(avx2),
#else
    {},
#endif
#ifdef THROUGHTIME_HAS_AVX512
    THROUGHTIME_TABLE(avx512),
#else
    {},
#endif
#ifdef THROUGHTIME_HAS_AVX512_BF16
    THROUGHTIME_TABLE(avx512_bf16),
#else
    {},
#endif
};

constexpr int64_t kLargest = INT64_MAX / 256; // of a size: the kernels round sizes up to whole vectors

bool machine_has(int set) {
#if defined(__x86_64__)
    switch (set) {
    case THROUGHTIME_AVX2:
        return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
    case THROUGHTIME_AVX512:
    case THROUGHTIME_AVX512_BF16:
        return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
               __builtin_cpu_supports("avx512cd") && __builtin_cpu_supports("avx512dq") &&
               __builtin_cpu_supports("avx512vl") &&
               (set == THROUGHTIME_AVX512 || __builtin_cpu_supports("avx512bf16"));
    }
#endif
    return set == THROUGHTIME_BASELINE;
}

int resolve(int set) {
    if (set != THROUGHTIME_BEST)
        return kSets[set].product != nullptr && machine_has(set) ? set : 0;
    for (int best = THROUGHTIME_AVX512_BF16; best > THROUGHTIME_BASELINE; --best)
        if (resolve(best) != 0)
            return best;
    return THROUGHTIME_BASELINE;
}

// A struct's kernels, or a status.
template <class Call>
int find(const Call &call, const KernelSet *&kernels) {
    if (call.version != THROUGHTIME_VERSION)
        return THROUGHTIME_WRONG_VERSION;
    if (call.precision != THROUGHTIME_FLOAT32 && call.precision != THROUGHTIME_BFLOAT16)
        return THROUGHTIME_UNKNOWN_PRECISION;
    if (call.set < THROUGHTIME_BEST || call.set > THROUGHTIME_AVX512_BF16)
        return THROUGHTIME_UNKNOWN_SET;
    const int set = resolve(call.set);
    if (set == 0)
        return THROUGHTIME_SET_NOT_HERE;
    if (call.precision == THROUGHTIME_BFLOAT16 && set != THROUGHTIME_AVX512_BF16)
        return THROUGHTIME_PRECISION_NOT_HERE;
    kernels = &kSets[set];
    return THROUGHTIME_OK;
}

int limited(int threads) { return threads < kMostThreads ? threads : kMostThreads; }

// A team is worth its while from some millions of operations a member on; in tests, which are small, always.
#ifndef THROUGHTIME_WORTH_A_THREAD
#define THROUGHTIME_WORTH_A_THREAD 2e6
#endif
int worth(int threads, double operations) {
    const double most = operations / THROUGHTIME_WORTH_A_THREAD;
    threads = limited(threads);
    return most < 1 ? 1 : most < threads ? static_cast<int>(most) : threads;
}

bool aligned(const void *pointer) { return reinterpret_cast<uintptr_t>(pointer) % THROUGHTIME_ALIGNMENT == 0; }

// Whether a tensor of these sizes has fewer than 2^63 bytes.
bool fits(int64_t first, int64_t second, int64_t third) {
    int64_t bytes;
    return !__builtin_mul_overflow(first, second, &bytes) && !__builtin_mul_overflow(bytes, third, &bytes) &&
           !__builtin_mul_overflow(bytes, static_cast<int64_t>(sizeof(float)), &bytes);
}

// What sort_sequences writes.
int64_t courses_bytes(const throughtime_layer &layer) {
    const int64_t bytes = (layer.batch + 2 * layer.time + 1) * static_cast<int64_t>(sizeof(int64_t));
    return (bytes + THROUGHTIME_ALIGNMENT - 1) / THROUGHTIME_ALIGNMENT * THROUGHTIME_ALIGNMENT;
}

int check_layer(const throughtime_layer &layer, const Kernel *&kernel) {
    if (layer.kind < THROUGHTIME_RNN_TANH || layer.kind > THROUGHTIME_LSTM)
        return THROUGHTIME_UNKNOWN_KIND;
    const KernelSet *kernels;
    if (const int status = find(layer, kernels))
        return status;
    if (layer.time < 0 || layer.batch < 0 || layer.input < 1 || layer.hidden < 1 || layer.threads < 1)
        return THROUGHTIME_WRONG_SIZE;
    if (layer.time > kLargest || layer.batch > kLargest || layer.input > kLargest || layer.hidden > kLargest ||
        !fits(layer.time, layer.batch, layer.input) || !fits(layer.time, layer.batch, layer.hidden))
        return THROUGHTIME_TOO_LARGE;
    kernel = &kernels->layers[layer.kind]->in[layer.precision];
    return THROUGHTIME_OK;
}

int measure_layer(const throughtime_layer &layer, int threads, const Kernel *&kernel, throughtime_sizes &sizes) {
    if (const int status = check_layer(layer, kernel))
        return status;
    throughtime_layer bounded = layer;
    bounded.threads = limited(threads);
    const int64_t courses = courses_bytes(layer);
    if (!kernel->measure(bounded, sizes) ||
        __builtin_add_overflow(sizes.forward_scratch, courses, &sizes.forward_scratch) ||
        __builtin_add_overflow(sizes.backward_scratch, courses, &sizes.backward_scratch))
        return THROUGHTIME_TOO_LARGE;
    return THROUGHTIME_OK;
}

bool right_length(const throughtime_layer &layer, int64_t sequence) {
    return layer.lengths[sequence] >= 0 && layer.lengths[sequence] <= layer.time;
}

// The sequences from the longest to the shortest, equal ones in their own order, and how many are real at a time.
bool sort_sequences(const throughtime_layer &layer, int64_t *memory, Sequences &sequences) {
    int64_t *order = memory, *active = memory + layer.batch, *next = active + layer.time;
    std::memset(active, 0, layer.time * sizeof(int64_t));
    for (int64_t index = 0; index < layer.batch; ++index) {
        if (!right_length(layer, index))
            return false;
        if (layer.lengths[index] > 0)
            ++active[layer.lengths[index] - 1];
    }
    next[layer.time] = 0;
    for (int64_t time = layer.time - 1; time >= 0; --time) {
        if (time + 1 < layer.time)
            active[time] += active[time + 1];
        next[time] = active[time];
    }
    for (int64_t index = 0; index < layer.batch; ++index)
        order[next[layer.lengths[index]]++] = index;
    sequences.order = order;
    sequences.active = active;
    return true;
}

// All that forward and backward have in common before a kernel runs; `scratch` moves past what is used here.
template <class Call>
int prepare(const Call &call, double operations, const Kernel *&kernel, Sequences &sequences, void *&scratch) {
    const throughtime_layer &layer = call.layer;
    throughtime_sizes sizes; // of one thread: whether it is too large does not depend on the others
    if (const int status = measure_layer(layer, 1, kernel, sizes))
        return status;
    const bool empty = layer.time == 0 || layer.batch == 0;
    if (call.scratch == nullptr || (!empty && (call.x == nullptr || call.output == nullptr)))
        return THROUGHTIME_POINTER_MISSING;
    if (!aligned(call.scratch) || !aligned(call.save) || !aligned(layer.packed))
        return THROUGHTIME_MISALIGNED;
    const double all = operations * layer.time * layer.batch * (layer.input + layer.hidden) * layer.hidden;
    // Few sequences of few units are one thread's: what the others could do is not worth the waiting.
    const bool few = layer.hidden < kFewestColumns && layer.batch < layer.threads;
    sequences = {nullptr, nullptr, worth(few && layer.batch > 0 ? static_cast<int>(layer.batch) : layer.threads, all)};
    scratch = static_cast<char *>(call.scratch) + courses_bytes(layer);
    if (layer.lengths != nullptr && !sort_sequences(layer, static_cast<int64_t *>(call.scratch), sequences))
        return THROUGHTIME_WRONG_LENGTH;
    return THROUGHTIME_OK;
}

int forward(const throughtime_forward_call &call) {
    const Kernel *kernel;
    Sequences sequences;
    void *scratch;
    if (const int status = prepare(call, 6.0, kernel, sequences, scratch))
        return status;
    if (call.layer.packed == nullptr && (call.layer.weight_ih == nullptr || call.layer.weight_hh == nullptr))
        return THROUGHTIME_POINTER_MISSING;
    kernel->forward(call, sequences, scratch);
    return THROUGHTIME_OK;
}

int measure_product(const throughtime_product &product, int threads, const ProductKernel *&kernel,
                    throughtime_sizes &sizes) {
    const KernelSet *kernels;
    if (const int status = find(product, kernels))
        return status;
    if (product.rows < 0 || product.input < 1 || product.output < 1 || product.threads < 1)
        return THROUGHTIME_WRONG_SIZE;
    if (product.rows > kLargest || product.input > kLargest || product.output > kLargest ||
        !fits(product.rows, product.input, 1) || !fits(product.rows, product.output, 1) ||
        !fits(product.output, product.input, 1))
        return THROUGHTIME_TOO_LARGE;
    kernel = &kernels->product->in[product.precision];
    throughtime_product bounded = product;
    bounded.threads = limited(threads);
    return kernel->measure(bounded, sizes) ? THROUGHTIME_OK : THROUGHTIME_TOO_LARGE;
}

int prepare(const throughtime_product &product, bool backward, const ProductKernel *&kernel, int &threads) {
    throughtime_sizes sizes;
    if (const int status = measure_product(product, 1, kernel, sizes))
        return status;
    const bool missing =
        backward ? product.d_y == nullptr || product.x == nullptr : product.x == nullptr || product.y == nullptr;
    if (product.scratch == nullptr || product.weight == nullptr || (missing && product.rows > 0))
        return THROUGHTIME_POINTER_MISSING;
    if (!aligned(product.scratch))
        return THROUGHTIME_MISALIGNED;
    threads = worth(product.threads, 2.0 * product.rows * product.input * product.output);
    return THROUGHTIME_OK;
}

} // namespace
} // namespace throughtime

using namespace throughtime;

int throughtime_version(void) { return THROUGHTIME_VERSION; }

int throughtime_set_here(int set) { return set < THROUGHTIME_BEST || set > THROUGHTIME_AVX512_BF16 ? 0 : resolve(set); }

const char *throughtime_message(int status) {
    switch (status) {
    case THROUGHTIME_OK:
        return "all is well";
    case THROUGHTIME_WRONG_VERSION:
        return "the struct was written for another version of the library";
    case THROUGHTIME_UNKNOWN_KIND:
        return "the kind of layer is unknown";
    case THROUGHTIME_UNKNOWN_PRECISION:
        return "the precision is unknown";
    case THROUGHTIME_UNKNOWN_SET:
        return "the set of instructions is unknown";
    case THROUGHTIME_SET_NOT_HERE:
        return "this machine, or this build, lacks the set of instructions asked for";
    case THROUGHTIME_PRECISION_NOT_HERE:
        return "products in bfloat16 need the instructions of AVX512-BF16";
    case THROUGHTIME_WRONG_SIZE:
        return "time and batch must be at least 0; input, hidden, output and threads at least 1";
    case THROUGHTIME_TOO_LARGE:
        return "the sizes are too large: what they take in memory exceeds 63 bits";
    case THROUGHTIME_WRONG_LENGTH:
        return "a length lies outside 0 to time";
    case THROUGHTIME_POINTER_MISSING:
        return "a pointer that is needed is NULL";
    case THROUGHTIME_MISALIGNED:
        return "scratch, save and packed must begin at a multiple of 64 bytes";
    }
    return "unknown status";
}

int throughtime_measure(const throughtime_layer *layer, throughtime_sizes *sizes) {
    const Kernel *kernel;
    if (layer == nullptr || sizes == nullptr)
        return THROUGHTIME_POINTER_MISSING;
    return measure_layer(*layer, layer->threads, kernel, *sizes);
}

int throughtime_measure_product(const throughtime_product *product, throughtime_sizes *sizes) {
    const ProductKernel *kernel;
    if (product == nullptr || sizes == nullptr)
        return THROUGHTIME_POINTER_MISSING;
    return measure_product(*product, product->threads, kernel, *sizes);
}

int throughtime_pack(const throughtime_layer *layer, void *packed) {
    const Kernel *kernel;
    if (layer == nullptr || packed == nullptr || layer->weight_ih == nullptr || layer->weight_hh == nullptr)
        return THROUGHTIME_POINTER_MISSING;
    throughtime_sizes sizes;
    if (const int status = measure_layer(*layer, 1, kernel, sizes))
        return status;
    if (!aligned(packed))
        return THROUGHTIME_MISALIGNED;
    kernel->pack(*layer, packed);
    return THROUGHTIME_OK;
}

int throughtime_forward(const throughtime_forward_call *calls, int64_t count) {
    if (calls == nullptr && count > 0)
        return THROUGHTIME_POINTER_MISSING;
    for (int64_t index = 0; index < count; ++index)
        if (const int status = forward(calls[index]))
            return status;
    return THROUGHTIME_OK;
}

int throughtime_backward(const throughtime_backward_call *call) {
    if (call == nullptr)
        return THROUGHTIME_POINTER_MISSING;
    const Kernel *kernel;
    Sequences sequences;
    void *scratch;
    if (const int status = prepare(*call, 12.0, kernel, sequences, scratch))
        return status;
    const throughtime_layer &layer = call->layer;
    const bool empty = layer.time == 0 || layer.batch == 0;
    if (layer.weight_ih == nullptr || layer.weight_hh == nullptr || (kernel->saves && !empty && call->save == nullptr))
        return THROUGHTIME_POINTER_MISSING;
    kernel->backward(*call, sequences, scratch);
    return THROUGHTIME_OK;
}

int throughtime_trace(const throughtime_layer *layer, const void *save, float *trace) {
    const Kernel *kernel;
    if (layer == nullptr || ((save == nullptr || trace == nullptr) && layer->time > 0 && layer->batch > 0))
        return THROUGHTIME_POINTER_MISSING;
    throughtime_sizes sizes;
    if (const int status = measure_layer(*layer, 1, kernel, sizes))
        return status;
    if (!aligned(save))
        return THROUGHTIME_MISALIGNED;
    for (int64_t sequence = 0; layer->lengths != nullptr && sequence < layer->batch; ++sequence)
        if (!right_length(*layer, sequence))
            return THROUGHTIME_WRONG_LENGTH;
    kernel->trace(*layer, save, trace);
    return THROUGHTIME_OK;
}

int throughtime_product_forward(const throughtime_product *product) {
    const ProductKernel *kernel;
    int threads;
    if (product == nullptr)
        return THROUGHTIME_POINTER_MISSING;
    if (const int status = prepare(*product, false, kernel, threads))
        return status;
    kernel->forward(*product, threads);
    return THROUGHTIME_OK;
}

int throughtime_product_backward(const throughtime_product *product) {
    const ProductKernel *kernel;
    int threads;
    if (product == nullptr)
        return THROUGHTIME_POINTER_MISSING;
    if (const int status = prepare(*product, true, kernel, threads))
        return status;
    kernel->backward(*product, threads);
    return THROUGHTIME_OK;
}
