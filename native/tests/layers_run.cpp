// What the library and the scalar loops make of a layer's inputs.
#include <algorithm>

#include "layers.h"
#include "scalar.h"

namespace throughtime_tests {
namespace {

// What a run writes to.
struct Outputs {
    Array<float> output, h_n, c_n, trace;
    Array<float> d_x, d_h0, d_c0, d_weight_ih, d_weight_hh, d_bias_ih, d_bias_hh;

    explicit Outputs(const Inputs &inputs) {
        const LayerCase &of = inputs.of;
        const int64_t offset = of.layout == 2 ? 1 : 0, rows = throughtime_scalar::gates_of(of.kind) * of.hidden;
        const int64_t states = of.batch * of.hidden;
        output = Array<float>(inputs.output_count, offset);
        trace = Array<float>(throughtime_scalar::trace_parts_of(of.kind) * of.time * states, offset);
        d_x = Array<float>(of.time * of.batch * of.input, offset);
        for (Array<float> *each : {&h_n, &c_n, &d_h0, &d_c0})
            *each = Array<float>(states, offset);
        d_weight_ih = Array<float>(rows * of.input, offset);
        d_weight_hh = Array<float>(rows * of.hidden, offset);
        d_bias_ih = Array<float>(rows, offset);
        d_bias_hh = Array<float>(rows, offset);
    }

    std::vector<std::pair<std::string, Array<float> *>> all() {
        return {{"h_n", &h_n},
                {"c_n", &c_n},
                {"trace", &trace},
                {"d_x", &d_x},
                {"d_h0", &d_h0},
                {"d_c0", &d_c0},
                {"d_weight_ih", &d_weight_ih},
                {"d_weight_hh", &d_weight_hh},
                {"d_bias_ih", &d_bias_ih},
                {"d_bias_hh", &d_bias_hh}};
    }

    // Each tensor that anything was written to, and complaints about gaps and guards that were.
    void collect(const Inputs &inputs, Results &results) {
        const LayerCase &of = inputs.of;
        std::vector<float> gathered;
        std::vector<bool> meant(output.count());
        for (int64_t t = 0; t < of.time; ++t)
            for (int64_t b = 0; b < of.batch; ++b)
                for (int64_t k = 0; k < of.hidden; ++k) {
                    const int64_t at = t * inputs.output_time + b * inputs.output_batch + k;
                    gathered.push_back(output[at]);
                    meant[at] = true;
                }
        for (int64_t i = 0; i < output.count(); ++i)
            if (!meant[i] && !untouched(output[i]))
                results.fault = "output was written between its rows";
        if (!output.intact())
            results.fault = "output was written outside";
        results.tensors.emplace_back("output", gathered);
        for (auto &[name, values] : all()) {
            if (!values->intact())
                results.fault = name + " was written outside";
            bool written = false;
            for (int64_t i = 0; i < values->count(); ++i)
                written = written || !untouched((*values)[i]);
            if (written)
                results.tensors.emplace_back(name, values->copied());
        }
    }
};

throughtime_forward_call forward_call(const Inputs &inputs, const throughtime_layer &layer, Outputs &outputs) {
    const bool lstm = inputs.of.kind == THROUGHTIME_LSTM;
    throughtime_forward_call call = {};
    call.layer = layer;
    call.x = inputs.x.values.data();
    call.x_time = inputs.x.time;
    call.x_batch = inputs.x.batch;
    call.x_feature = inputs.x.feature;
    call.h0 = inputs.h0.data_or_null(inputs.of.initial);
    call.c0 = inputs.c0.data_or_null(inputs.of.initial && lstm);
    call.h0_batch = call.c0_batch = inputs.state_batch;
    call.output = outputs.output.data();
    call.output_time = inputs.output_time;
    call.output_batch = inputs.output_batch;
    call.h_n = outputs.h_n.data();
    call.c_n = outputs.c_n.data_or_null(lstm);
    return call;
}

throughtime_backward_call backward_call(const Inputs &inputs, const throughtime_forward_call &forward, Outputs &outputs,
                                        unsigned left_out) {
    const bool lstm = inputs.of.kind == THROUGHTIME_LSTM;
    throughtime_backward_call call = {};
    call.layer = forward.layer;
    call.x = forward.x;
    call.x_time = forward.x_time;
    call.x_batch = forward.x_batch;
    call.x_feature = forward.x_feature;
    call.h0 = forward.h0;
    call.c0 = forward.c0;
    call.h0_batch = call.c0_batch = forward.h0_batch;
    call.output = forward.output;
    call.output_time = forward.output_time;
    call.output_batch = forward.output_batch;
    call.d_output = inputs.d_output.values.data();
    call.d_output_time = inputs.d_output.time;
    call.d_output_batch = inputs.d_output.batch;
    call.d_h_n = inputs.d_h_n.data_or_null(inputs.of.final_gradients);
    call.d_c_n = inputs.d_c_n.data_or_null(inputs.of.final_gradients && lstm);
    auto wanted = [&](int bit) { return (left_out >> bit & 1) == 0; };
    call.d_x = outputs.d_x.data_or_null(wanted(0));
    call.d_h0 = outputs.d_h0.data_or_null(wanted(1));
    call.d_c0 = outputs.d_c0.data_or_null(wanted(2) && lstm);
    call.d_weight_ih = outputs.d_weight_ih.data_or_null(wanted(3));
    call.d_weight_hh = outputs.d_weight_hh.data_or_null(wanted(4));
    call.d_bias_ih = outputs.d_bias_ih.data_or_null(wanted(5) && inputs.of.biases);
    call.d_bias_hh = outputs.d_bias_hh.data_or_null(wanted(6) && inputs.of.biases);
    return call;
}

// Weights packed for one step of one sequence serve any other job.
int pack(throughtime_layer layer, Array<uint8_t> &packed) {
    layer.time = layer.batch = layer.threads = 1;
    layer.lengths = nullptr;
    layer.resets = nullptr;
    return throughtime_pack(&layer, packed.data());
}

void run_forward_and_backward(const Inputs &inputs, const Manner &manner, throughtime_layer layer, Outputs &outputs,
                              Results &results) {
    throughtime_sizes sizes = {};
    if ((results.status = throughtime_measure(&layer, &sizes)) != THROUGHTIME_OK)
        return;
    Array<uint8_t> packed(manner.packed ? sizes.packed : 0), save(manner.inference ? 0 : sizes.save);
    Array<uint8_t> forward_scratch(sizes.forward_scratch), backward_scratch(sizes.backward_scratch);
    if (manner.packed) {
        if ((results.status = pack(layer, packed)) != THROUGHTIME_OK)
            return;
        layer.packed = packed.data();
    }
    throughtime_forward_call forward = forward_call(inputs, layer, outputs);
    forward.save = save.data_or_null(!manner.inference);
    forward.scratch = forward_scratch.data();
    results.status = throughtime_forward(&forward, 1);
    if (results.status == THROUGHTIME_OK && !manner.inference) {
        const std::vector<uint8_t> before(save.data(), save.data() + save.count());
        throughtime_backward_call backward = backward_call(inputs, forward, outputs, manner.left_out);
        backward.save = save.data();
        backward.scratch = backward_scratch.data();
        results.status = throughtime_backward(&backward);
        if (!std::equal(before.begin(), before.end(), save.data()))
            results.fault = "the backward changed what was saved";
        if (results.status == THROUGHTIME_OK)
            results.status = throughtime_trace(&layer, save.data(), outputs.trace.data());
    }
    if (!packed.intact())
        results.fault = "packed weights were written outside";
    if (!save.intact())
        results.fault = "save was written outside";
    if (!forward_scratch.intact() || !backward_scratch.intact())
        results.fault = "scratch was written outside";
}

} // namespace

Results run_library(const Inputs &inputs, const Manner &manner) {
    Results results;
    Outputs outputs(inputs);
    run_forward_and_backward(inputs, manner, inputs.layer(manner.set, manner.threads), outputs, results);
    outputs.collect(inputs, results);
    return results;
}

template <class Number>
Results run_scalar(const Inputs &inputs, int precision) {
    Results results;
    Outputs outputs(inputs);
    throughtime_layer layer = inputs.layer(THROUGHTIME_BEST, 1);
    layer.precision = precision;
    const throughtime_forward_call forward = forward_call(inputs, layer, outputs);
    throughtime_scalar::forward<Number>(forward, outputs.trace.data());
    throughtime_scalar::backward<Number>(backward_call(inputs, forward, outputs, 0));
    outputs.collect(inputs, results);
    return results;
}

template Results run_scalar<float>(const Inputs &, int);
template Results run_scalar<double>(const Inputs &, int);

} // namespace throughtime_tests
