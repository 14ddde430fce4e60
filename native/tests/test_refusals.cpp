#include <functional>
#include <set>

#include "layers.h"
#include "suite.h"

namespace throughtime_tests {
namespace {

// A small layer with all that every function needs of it; each test spoils one thing.
struct Job {
    Inputs inputs;
    throughtime_sizes sizes = {};
    Array<float> output, gradients, trace;
    Array<uint8_t> packed, save, scratch;
    throughtime_forward_call forward = {};
    throughtime_backward_call backward = {};
    throughtime_product product = {};

    Job() : inputs(small()), output(60), gradients(300), trace(300) {
        forward.layer = inputs.layer(THROUGHTIME_BASELINE, 1);
        check(throughtime_measure(&forward.layer, &sizes) == THROUGHTIME_OK, "a layer cannot be measured");
        packed = Array<uint8_t>(sizes.packed);
        save = Array<uint8_t>(sizes.save);
        product.version = THROUGHTIME_VERSION;
        product.set = THROUGHTIME_BASELINE;
        product.threads = 1;
        product.rows = product.input = product.output = 3;
        product.x_row = product.y_row = product.d_y_row = 3;
        throughtime_sizes of_product = {};
        check(throughtime_measure_product(&product, &of_product) == THROUGHTIME_OK, "a product cannot be measured");
        scratch = Array<uint8_t>(sizes.forward_scratch + sizes.backward_scratch + of_product.forward_scratch +
                                 of_product.backward_scratch);
        for (int64_t i = 0; i < output.count(); ++i)
            output[i] = 0;
        forward.x = backward.x = product.x = product.d_y = inputs.x.values.data();
        forward.x_time = backward.x_time = inputs.x.time;
        forward.x_batch = backward.x_batch = inputs.x.batch;
        forward.x_feature = backward.x_feature = 1;
        forward.output = output.data();
        forward.output_time = backward.output_time = 15;
        forward.output_batch = backward.output_batch = 5;
        forward.save = save.data();
        forward.scratch = product.scratch = scratch.data();
        backward.layer = forward.layer;
        backward.output = output.data();
        backward.save = save.data();
        backward.d_weight_ih = gradients.data();
        backward.scratch = scratch.data();
        product.weight = inputs.weight_ih.data();
        product.y = output.data();
        product.d_weight = gradients.data();
    }

    static LayerCase small() {
        LayerCase of;
        of.kind = THROUGHTIME_LSTM;
        of.time = 4;
        of.batch = 3;
        of.input = 3;
        of.hidden = 5;
        of.lengths = of.resets = true;
        return of;
    }

    int run_pack() { return throughtime_pack(&forward.layer, packed.data()); }
    int run_forward() { return throughtime_forward(&forward, 1); }
    int run_backward() { return throughtime_backward(&backward); }
    int run_trace() { return throughtime_trace(&forward.layer, save.data(), trace.data()); }
};

void expect(int status, int expected, const std::string &what) {
    static const char *const names[] = {"OK",          "WRONG_VERSION", "UNKNOWN_KIND",       "UNKNOWN_PRECISION",
                                        "UNKNOWN_SET", "SET_NOT_HERE",  "PRECISION_NOT_HERE", "WRONG_SIZE",
                                        "TOO_LARGE",   "WRONG_LENGTH",  "POINTER_MISSING",    "MISALIGNED"};
    check(status == expected, what + ": status " + std::to_string(status) + " (" + throughtime_message(status) +
                                  ") instead of " + names[expected]);
}

// Spoils a layer in one way and shows it to every function that takes one.
void expect_everywhere(int expected, const std::string &what, const std::function<void(throughtime_layer &)> &spoil,
                       bool pointers = false) {
    Job job;
    spoil(job.forward.layer);
    spoil(job.backward.layer);
    throughtime_sizes sizes = {};
    if (!pointers) {
        expect(throughtime_measure(&job.forward.layer, &sizes), expected, what + ", measure");
        expect(job.run_pack(), expected, what + ", pack");
        expect(job.run_trace(), expected, what + ", trace");
    }
    expect(job.run_forward(), expected, what + ", forward");
    expect(job.run_backward(), expected, what + ", backward");
}

void expect_of_products(int expected, const std::string &what,
                        const std::function<void(throughtime_product &)> &spoil) {
    Job job;
    spoil(job.product);
    throughtime_sizes sizes = {};
    expect(throughtime_measure_product(&job.product, &sizes), expected, what + ", measure_product");
    expect(throughtime_product_forward(&job.product), expected, what + ", product_forward");
    expect(throughtime_product_backward(&job.product), expected, what + ", product_backward");
}

template <class Call>
void expect_pointer(int expected, const std::string &what, const Call &call) {
    Job job;
    expect(call(job), expected, what);
}

void test_pointers() {
    const int missing = THROUGHTIME_POINTER_MISSING, misaligned = THROUGHTIME_MISALIGNED;
    expect_everywhere(missing, "no weight_ih", [](auto &layer) { layer.weight_ih = nullptr; }, true);
    expect_everywhere(missing, "no weight_hh", [](auto &layer) { layer.weight_hh = nullptr; }, true);
    expect_pointer(missing, "forward without x", [](Job &job) { return job.forward.x = nullptr, job.run_forward(); });
    expect_pointer(missing, "forward without output",
                   [](Job &job) { return job.forward.output = nullptr, job.run_forward(); });
    expect_pointer(missing, "forward without scratch",
                   [](Job &job) { return job.forward.scratch = nullptr, job.run_forward(); });
    expect_pointer(missing, "backward without x",
                   [](Job &job) { return job.backward.x = nullptr, job.run_backward(); });
    expect_pointer(missing, "backward without output",
                   [](Job &job) { return job.backward.output = nullptr, job.run_backward(); });
    expect_pointer(missing, "backward without save",
                   [](Job &job) { return job.backward.save = nullptr, job.run_backward(); });
    expect_pointer(missing, "backward without scratch",
                   [](Job &job) { return job.backward.scratch = nullptr, job.run_backward(); });
    expect_pointer(missing, "pack to nowhere", [](Job &job) { return throughtime_pack(&job.forward.layer, nullptr); });
    expect_pointer(missing, "trace of nothing",
                   [](Job &job) { return throughtime_trace(&job.forward.layer, nullptr, job.trace.data()); });
    expect_pointer(missing, "trace to nowhere",
                   [](Job &job) { return throughtime_trace(&job.forward.layer, job.save.data(), nullptr); });
    expect_pointer(missing, "measure into nothing",
                   [](Job &job) { return throughtime_measure(&job.forward.layer, nullptr); });
    expect_pointer(missing, "no call", [](Job &) { return throughtime_forward(nullptr, 1); });
    expect_pointer(THROUGHTIME_OK, "no calls", [](Job &) { return throughtime_forward(nullptr, 0); });
    expect_pointer(missing, "no backward", [](Job &) { return throughtime_backward(nullptr); });
    expect_pointer(missing, "product without x",
                   [](Job &job) { return job.product.x = nullptr, throughtime_product_forward(&job.product); });
    expect_pointer(missing, "product without y",
                   [](Job &job) { return job.product.y = nullptr, throughtime_product_forward(&job.product); });
    expect_pointer(missing, "product without d_y",
                   [](Job &job) { return job.product.d_y = nullptr, throughtime_product_backward(&job.product); });
    expect_pointer(missing, "product without weight",
                   [](Job &job) { return job.product.weight = nullptr, throughtime_product_forward(&job.product); });
    auto off = [](auto *pointer) { return reinterpret_cast<void *>(reinterpret_cast<uintptr_t>(pointer) + 32); };
    expect_pointer(misaligned, "forward with scratch off by 32",
                   [&](Job &job) { return job.forward.scratch = off(job.scratch.data()), job.run_forward(); });
    expect_pointer(misaligned, "forward with save off by 32",
                   [&](Job &job) { return job.forward.save = off(job.save.data()), job.run_forward(); });
    expect_pointer(misaligned, "forward with packed off by 32",
                   [&](Job &job) { return job.forward.layer.packed = off(job.packed.data()), job.run_forward(); });
    expect_pointer(misaligned, "pack off by 32",
                   [&](Job &job) { return throughtime_pack(&job.forward.layer, off(job.packed.data())); });
    expect_pointer(misaligned, "backward with scratch off by 32",
                   [&](Job &job) { return job.backward.scratch = off(job.scratch.data()), job.run_backward(); });
    expect_pointer(misaligned, "backward with save off by 32",
                   [&](Job &job) { return job.backward.save = off(job.save.data()), job.run_backward(); });
}

} // namespace

void test_statuses(const Effort &) {
    check(throughtime_version() == THROUGHTIME_VERSION, "the library is of another version than its header");
    std::set<std::string> messages;
    for (int status = THROUGHTIME_OK; status <= THROUGHTIME_MISALIGNED + 1; ++status) {
        const std::string message = throughtime_message(status);
        check(!message.empty() && message.find('\n') == std::string::npos, "a message is not one line: " + message);
        messages.insert(message);
    }
    check(messages.size() == THROUGHTIME_MISALIGNED + 2, "two statuses have the same message");
    Job job;
    expect(job.run_pack(), THROUGHTIME_OK, "pack");
    expect(job.run_forward(), THROUGHTIME_OK, "forward");
    expect(job.run_backward(), THROUGHTIME_OK, "backward");
    expect(job.run_trace(), THROUGHTIME_OK, "trace");
    expect_of_products(THROUGHTIME_OK, "product", [](auto &) {});

    for (int version : {0, THROUGHTIME_VERSION + 1}) {
        expect_everywhere(THROUGHTIME_WRONG_VERSION, "version", [=](auto &layer) { layer.version = version; });
        expect_of_products(THROUGHTIME_WRONG_VERSION, "version", [=](auto &product) { product.version = version; });
    }
    for (int unknown : {-1, 1000}) {
        expect_everywhere(THROUGHTIME_UNKNOWN_KIND, "kind", [=](auto &layer) { layer.kind = unknown; });
        expect_everywhere(THROUGHTIME_UNKNOWN_PRECISION, "precision", [=](auto &layer) { layer.precision = unknown; });
        expect_everywhere(THROUGHTIME_UNKNOWN_SET, "set", [=](auto &layer) { layer.set = unknown; });
        expect_of_products(THROUGHTIME_UNKNOWN_PRECISION, "precision", [=](auto &of) { of.precision = unknown; });
        expect_of_products(THROUGHTIME_UNKNOWN_SET, "set", [=](auto &of) { of.set = unknown; });
        check(throughtime_set_here(unknown) == 0, "an unknown set is said to be here");
    }
    expect_everywhere(THROUGHTIME_PRECISION_NOT_HERE, "bfloat16 on the baseline",
                      [](auto &layer) { layer.precision = THROUGHTIME_BFLOAT16; });
    expect_of_products(THROUGHTIME_PRECISION_NOT_HERE, "bfloat16 on the baseline",
                       [](auto &product) { product.precision = THROUGHTIME_BFLOAT16; });
    using Size = int64_t throughtime_layer::*;
    for (Size size : {&throughtime_layer::time, &throughtime_layer::batch})
        expect_everywhere(THROUGHTIME_WRONG_SIZE, "-1 steps or sequences", [=](auto &layer) { layer.*size = -1; });
    for (Size size : {&throughtime_layer::input, &throughtime_layer::hidden})
        for (int64_t wrong : {int64_t(0), int64_t(-1), INT64_MIN})
            expect_everywhere(THROUGHTIME_WRONG_SIZE, "features", [=](auto &layer) { layer.*size = wrong; });
    expect_everywhere(THROUGHTIME_WRONG_SIZE, "no threads", [](auto &layer) { layer.threads = 0; });
    expect_of_products(THROUGHTIME_WRONG_SIZE, "-1 rows", [](auto &product) { product.rows = -1; });
    expect_of_products(THROUGHTIME_WRONG_SIZE, "no input", [](auto &product) { product.input = 0; });
    expect_of_products(THROUGHTIME_WRONG_SIZE, "no output", [](auto &product) { product.output = 0; });
    expect_of_products(THROUGHTIME_WRONG_SIZE, "no threads", [](auto &product) { product.threads = 0; });
    for (int64_t length : {int64_t(-1), int64_t(5), INT64_MAX, INT64_MIN}) {
        int64_t lengths[] = {4, 0, length};
        expect_everywhere(THROUGHTIME_WRONG_LENGTH, "lengths", [&](auto &layer) { layer.lengths = lengths; }, true);
    }
    test_pointers();
}

// In a build, or on a machine, that lacks a set.
void test_missing_sets(const Effort &) {
    const int best = throughtime_set_here(THROUGHTIME_BEST);
    check(best >= THROUGHTIME_BASELINE && throughtime_set_here(best) == best, "the best set is not here");
    for (int set = THROUGHTIME_BASELINE; set <= THROUGHTIME_AVX512_BF16; ++set) {
        check(throughtime_set_here(set) == (set <= best ? set : 0), std::string("set_here of ") + name_of_set(set));
        if (set <= best)
            continue;
        expect_everywhere(THROUGHTIME_SET_NOT_HERE, name_of_set(set), [=](auto &layer) { layer.set = set; });
        expect_of_products(THROUGHTIME_SET_NOT_HERE, name_of_set(set), [=](auto &product) { product.set = set; });
    }
}

// Sizes near and past what can be counted: refused in every function, or measured at no less than what must be held.
void test_large_sizes(const Effort &effort) {
    Random random(effort.seed ^ 0x1a29e);
    const std::vector<int64_t> sizes = {1,
                                        2,
                                        3,
                                        17,
                                        int64_t(1) << 20,
                                        (int64_t(1) << 31) - 1,
                                        (int64_t(1) << 31) + 1,
                                        (int64_t(1) << 40) + 3,
                                        int64_t(1) << 61,
                                        INT64_MAX};
    const long double most = 9223372036854775807.0L;
    for (int64_t i = 0; i < 2000 + effort.count; ++i) {
        throughtime_layer layer = Job().forward.layer;
        layer.kind = int(random.below(4));
        layer.threads = random.chance(0.2) ? INT32_MAX : 1 + int(random.below(8));
        layer.set = int(sets_here()[random.below(sets_here().size())]);
        layer.time = random.one_of(sizes);
        layer.batch = random.one_of(sizes);
        layer.input = random.one_of(sizes);
        layer.hidden = random.one_of(sizes);
        const std::string what = "T" + std::to_string(layer.time) + " B" + std::to_string(layer.batch) + " I" +
                                 std::to_string(layer.input) + " H" + std::to_string(layer.hidden) + " " +
                                 name_of_kind(layer.kind) + " " + name_of_set(layer.set);
        const long double states = 4.0L * layer.time * layer.batch * layer.hidden;
        const long double weights = 4.0L * layer.hidden * (layer.input + (long double)layer.hidden);
        const long double inputs = 4.0L * layer.time * layer.batch * layer.input;
        throughtime_sizes measured = {};
        const int status = throughtime_measure(&layer, &measured);
        if (states > most || weights > most || inputs > most) {
            expect(status, THROUGHTIME_TOO_LARGE, what);
        } else if (status == THROUGHTIME_OK) {
            for (int64_t size : {measured.packed, measured.save, measured.forward_scratch, measured.backward_scratch})
                check(size >= 0, what + ": a size is negative");
            check(measured.save >= (layer.kind == THROUGHTIME_GRU || layer.kind == THROUGHTIME_LSTM ? states : 0),
                  what + ": what is saved is smaller than one state");
        } else {
            expect(status, THROUGHTIME_TOO_LARGE, what);
        }
        if (status == THROUGHTIME_TOO_LARGE) {
            Job job;
            job.forward.layer = job.backward.layer = layer;
            expect(job.run_forward(), THROUGHTIME_TOO_LARGE, what + ", forward");
            expect(job.run_backward(), THROUGHTIME_TOO_LARGE, what + ", backward");
            expect(job.run_pack(), THROUGHTIME_TOO_LARGE, what + ", pack");
            expect(job.run_trace(), THROUGHTIME_TOO_LARGE, what + ", trace");
        }
        Job job;
        job.product.rows = layer.time;
        job.product.input = layer.input;
        job.product.output = layer.hidden;
        const long double largest =
            4.0L * std::max({(long double)layer.time * layer.input, (long double)layer.time * layer.hidden,
                             (long double)layer.input * layer.hidden});
        const int of_product = throughtime_measure_product(&job.product, &measured);
        check(of_product == THROUGHTIME_TOO_LARGE || (of_product == THROUGHTIME_OK && largest <= most),
              "product " + what + ": status " + std::to_string(of_product));
        if (of_product == THROUGHTIME_TOO_LARGE) {
            expect(throughtime_product_forward(&job.product), THROUGHTIME_TOO_LARGE, "product " + what);
            expect(throughtime_product_backward(&job.product), THROUGHTIME_TOO_LARGE, "product " + what);
        }
    }
}

} // namespace throughtime_tests
