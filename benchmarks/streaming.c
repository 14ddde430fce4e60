/* One step of one sequence through the C interface, with packed weights: median and 99.9th percentile.
 *
 *   cc -O2 -I native/include streaming.c libthroughtime.so -fopenmp -lm -o streaming
 *   ./streaming gru INPUT HIDDEN STEPS
 *
 * prints both in nanoseconds. */
#define _POSIX_C_SOURCE 200112L

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "throughtime.h"

static void give_up(const char *what) {
    fprintf(stderr, "%s\n", what);
    exit(1);
}

static void check(int status) {
    if (status != THROUGHTIME_OK) give_up(throughtime_message(status));
}

static void *aligned(int64_t bytes) {
    void *memory = NULL;
    if (bytes == 0) return NULL;
    if (posix_memalign(&memory, THROUGHTIME_ALIGNMENT, (size_t)bytes)) give_up("out of memory");
    return memset(memory, 0, (size_t)bytes);
}

/* Uniform in [-bound, bound]. */
static float *drawn(int64_t count, float bound) {
    float *values = aligned(count * (int64_t)sizeof(float));
    for (int64_t i = 0; i < count; ++i) values[i] = bound * (2.0f * (float)rand() / (float)RAND_MAX - 1.0f);
    return values;
}

static int64_t nanoseconds(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static int smaller(const void *one, const void *other) {
    const int64_t a = *(const int64_t *)one, b = *(const int64_t *)other;
    return (a > b) - (a < b);
}

int main(int count, char **words) {
    if (count != 5) give_up("usage: streaming rnn|gru|lstm INPUT HIDDEN STEPS");
    const int lstm = !strcmp(words[1], "lstm"), gru = !strcmp(words[1], "gru");
    const int64_t input = atoll(words[2]), hidden = atoll(words[3]), steps = atoll(words[4]), warm = 1000;
    const int64_t rows = (lstm ? 4 : gru ? 3 : 1) * hidden;
    const float bound = 1.0f / sqrtf((float)hidden);

    throughtime_layer layer = {0};
    layer.version = THROUGHTIME_VERSION;
    layer.kind = lstm ? THROUGHTIME_LSTM : gru ? THROUGHTIME_GRU : THROUGHTIME_RNN_TANH;
    layer.precision = THROUGHTIME_FLOAT32;
    layer.set = THROUGHTIME_BEST;
    layer.threads = 1;
    layer.time = layer.batch = 1;
    layer.input = input;
    layer.hidden = hidden;
    layer.weight_ih = drawn(rows * input, bound);
    layer.weight_hh = drawn(rows * hidden, bound);
    layer.bias_ih = drawn(rows, bound);
    layer.bias_hh = drawn(rows, bound);

    throughtime_sizes sizes;
    check(throughtime_measure(&layer, &sizes));
    void *packed = aligned(sizes.packed);
    check(throughtime_pack(&layer, packed));
    layer.packed = packed;

    throughtime_forward_call call = {0};
    call.layer = layer;
    call.x_time = call.x_batch = input;
    call.x_feature = 1;
    call.h0_batch = call.c0_batch = call.output_time = call.output_batch = hidden;
    call.output = drawn(hidden, 0);
    call.scratch = aligned(sizes.forward_scratch);

    float *h[2] = {drawn(hidden, 0), drawn(hidden, 0)}, *c[2] = {drawn(hidden, 0), drawn(hidden, 0)};
    const float *x = drawn(64 * input, 1);
    int64_t *taken = malloc((size_t)steps * sizeof *taken);
    if (!taken) give_up("out of memory");
    for (int64_t step = -warm; step < steps; ++step) {
        const int now = (int)(step & 1), next = !now;
        call.x = x + (step & 63) * input;
        call.h0 = h[now];
        call.h_n = h[next];
        if (lstm) {
            call.c0 = c[now];
            call.c_n = c[next];
        }
        const int64_t started = nanoseconds();
        const int status = throughtime_forward(&call, 1);
        const int64_t ended = nanoseconds();
        check(status);
        if (step >= 0) taken[step] = ended - started;
    }
    if (!isfinite(call.output[0])) give_up("the output is not finite");
    qsort(taken, (size_t)steps, sizeof *taken, smaller);
    printf("%lld %lld\n", (long long)taken[steps / 2], (long long)taken[steps - 1 - steps / 1000]);
    return 0;
}
