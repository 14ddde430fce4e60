#include "scalar.h"

#include <cmath>
#include <cstdint>
#include <cstring>
#include <vector>

namespace throughtime_scalar {
namespace {

// Round to nearest, ties to even, as the hardware does; infinities stay, NaN stays NaN, subnormals become zero.
float to_bfloat16(float value) {
    if (std::isnan(value))
        return value;
    if (std::fabs(value) < 1.17549435e-38f)
        return std::copysign(0.0f, value);
    std::uint32_t bits;
    std::memcpy(&bits, &value, sizeof bits);
    bits += 0x7fffu + ((bits >> 16) & 1u);
    bits &= 0xffff0000u;
    std::memcpy(&value, &bits, sizeof bits);
    return value;
}

// A value as it enters a product.
template <class Number>
Number factor(Number value, int precision) {
    return precision == THROUGHTIME_BFLOAT16 ? Number(to_bfloat16(float(value))) : value;
}

template <class Number>
Number sigmoid(Number a) {
    return Number(1) / (Number(1) + std::exp(-a));
}

template <class Number>
using Vector = std::vector<Number>;

template <class Number>
Vector<Number> copied(const float *from, int64_t count) {
    return from ? Vector<Number>(from, from + count) : Vector<Number>(count, Number(0));
}

template <class Number>
void written(const Vector<Number> &values, float *to) {
    for (size_t i = 0; to && i < values.size(); ++i)
        to[i] = float(values[i]);
}

// W of a product y = W v, [rows, columns].
template <class Number>
struct Matrix {
    int64_t rows, columns;
    int precision;
    Vector<Number> values;

    Matrix(const float *from, int64_t rows, int64_t columns, int precision)
        : rows(rows), columns(columns), precision(precision), values(rows * columns) {
        for (int64_t i = 0; i < rows * columns; ++i)
            values[i] = factor(Number(from[i]), precision);
    }

    // y += W v
    void multiply(const Vector<Number> &v, Vector<Number> &y) const {
        for (int64_t i = 0; i < rows; ++i) {
            Number sum = 0;
            for (int64_t j = 0; j < columns; ++j)
                sum += values[i * columns + j] * factor(v[j], precision);
            y[i] += sum;
        }
    }

    // d_v += W' d_y
    void multiply_transposed(const Vector<Number> &d_y, Vector<Number> &d_v) const {
        for (int64_t j = 0; j < columns; ++j) {
            Number sum = 0;
            for (int64_t i = 0; i < rows; ++i)
                sum += values[i * columns + j] * factor(d_y[i], precision);
            d_v[j] += sum;
        }
    }

    // d_W += d_y v'
    void add_outer(const Vector<Number> &d_y, const Vector<Number> &v, Vector<Number> &d_w) const {
        for (int64_t i = 0; i < rows; ++i)
            for (int64_t j = 0; j < columns; ++j)
                d_w[i * columns + j] += factor(d_y[i], precision) * factor(v[j], precision);
    }
};

// One step of one sequence: what went in, what came out, and what the backward needs of what was between.
template <class Number>
struct Step {
    int64_t time;
    bool fresh; // the state before it is zero, whatever was before
    Vector<Number> x, h_before, c_before;
    Vector<Number> gates; // [gates * hidden], after their activations
    Vector<Number> h_new; // W_hn h + b_hn of a GRU
    Vector<Number> h, c;
};

template <class Number>
struct Layer {
    const throughtime_layer &given;
    int kind;
    int64_t hidden, rows;
    Matrix<Number> weight_ih, weight_hh;
    Vector<Number> bias_ih, bias_hh;

    explicit Layer(const throughtime_layer &layer)
        : given(layer), kind(layer.kind), hidden(layer.hidden), rows(gates_of(layer.kind) * layer.hidden),
          weight_ih(layer.weight_ih, rows, layer.input, layer.precision),
          weight_hh(layer.weight_hh, rows, layer.hidden, layer.precision), bias_ih(copied<Number>(layer.bias_ih, rows)),
          bias_hh(copied<Number>(layer.bias_hh, rows)) {}

    bool reset(int64_t time, int64_t b) const {
        return given.resets && given.resets[time * given.resets_time + b * given.resets_batch] != 0;
    }

    // The real steps of one sequence in the order in which they are taken.
    Vector<Step<Number>> steps(int64_t b, const float *x, int64_t x_time, int64_t x_batch, int64_t x_feature) const {
        int64_t length = given.lengths ? given.lengths[b] : given.time;
        Vector<Step<Number>> result(length);
        for (int64_t i = 0; i < length; ++i) {
            Step<Number> &step = result[i];
            step.time = given.reverse ? length - 1 - i : i;
            int64_t before = given.reverse ? step.time + 1 : step.time; // backwards, a sequence ends before a reset
            step.fresh = before < length && reset(before, b);
            for (int64_t j = 0; j < given.input; ++j)
                step.x.push_back(Number(x[step.time * x_time + b * x_batch + j * x_feature]));
        }
        return result;
    }

    void run(Vector<Step<Number>> &steps, Vector<Number> h, Vector<Number> c) const {
        for (Step<Number> &step : steps) {
            if (step.fresh) {
                h.assign(hidden, Number(0));
                c.assign(hidden, Number(0));
            }
            step.h_before = step.h = h;
            step.c_before = step.c = c;
            advance(step);
            h = step.h;
            c = step.c;
        }
    }

    void advance(Step<Number> &step) const {
        Vector<Number> a = bias_ih, from_h = bias_hh;
        weight_ih.multiply(step.x, a);
        weight_hh.multiply(step.h_before, from_h);
        if (kind == THROUGHTIME_GRU)
            step.h_new.assign(from_h.begin() + 2 * hidden, from_h.end());
        step.gates.resize(rows);
        for (int64_t k = 0; k < hidden; ++k) {
            auto total = [&](int gate) { return a[gate * hidden + k] + from_h[gate * hidden + k]; };
            auto gate = [&](int index) -> Number & { return step.gates[index * hidden + k]; };
            if (kind == THROUGHTIME_RNN_TANH) {
                step.h[k] = gate(0) = std::tanh(total(0));
            } else if (kind == THROUGHTIME_RNN_RELU) {
                step.h[k] = gate(0) = total(0) < 0 ? Number(0) : total(0);
            } else if (kind == THROUGHTIME_GRU) {
                Number reset = gate(0) = sigmoid(total(0));
                Number update = gate(1) = sigmoid(total(1));
                Number fresh = gate(2) = std::tanh(a[2 * hidden + k] + reset * step.h_new[k]);
                step.h[k] = (1 - update) * fresh + update * step.h_before[k];
            } else {
                Number input = gate(0) = sigmoid(total(0));
                Number forget = gate(1) = sigmoid(total(1));
                Number cell = gate(2) = std::tanh(total(2));
                Number output = gate(3) = sigmoid(total(3));
                step.c[k] = forget * step.c_before[k] + input * cell;
                step.h[k] = output * std::tanh(step.c[k]);
            }
        }
    }
};

template <class Number>
struct Gradients {
    Vector<Number> weight_ih, weight_hh, bias_ih, bias_hh;

    explicit Gradients(const Layer<Number> &layer)
        : weight_ih(layer.rows * layer.given.input), weight_hh(layer.rows * layer.hidden), bias_ih(layer.rows),
          bias_hh(layer.rows) {}
};

// From d_h and d_c after a step to those before it; returns d_x.
template <class Number>
Vector<Number> retreat(const Layer<Number> &layer, const Step<Number> &step, Vector<Number> &d_h, Vector<Number> &d_c,
                       Gradients<Number> &gradients) {
    const int64_t hidden = layer.hidden;
    Vector<Number> d_a(layer.rows), d_from_h(layer.rows); // of W_ih x + b_ih, and of W_hh h + b_hh
    Vector<Number> d_h_before(hidden), d_c_before(hidden);
    for (int64_t k = 0; k < hidden; ++k) {
        auto gate = [&](int index) { return step.gates[index * hidden + k]; };
        auto d_gate = [&](int index) -> Number & { return d_a[index * hidden + k]; };
        if (layer.kind == THROUGHTIME_RNN_TANH) {
            d_gate(0) = d_h[k] * (1 - gate(0) * gate(0));
        } else if (layer.kind == THROUGHTIME_RNN_RELU) {
            d_gate(0) = gate(0) <= 0 ? Number(0) : d_h[k];
        } else if (layer.kind == THROUGHTIME_GRU) {
            Number reset = gate(0), update = gate(1), fresh = gate(2);
            d_gate(2) = d_h[k] * (1 - update) * (1 - fresh * fresh);
            d_gate(1) = d_h[k] * (step.h_before[k] - fresh) * update * (1 - update);
            d_gate(0) = d_gate(2) * step.h_new[k] * reset * (1 - reset);
            d_h_before[k] = d_h[k] * update;
        } else {
            Number input = gate(0), forget = gate(1), cell = gate(2), output = gate(3), shown = std::tanh(step.c[k]);
            Number d_memory = d_c[k] + d_h[k] * output * (1 - shown * shown);
            d_gate(0) = d_memory * cell * input * (1 - input);
            d_gate(1) = d_memory * step.c_before[k] * forget * (1 - forget);
            d_gate(2) = d_memory * input * (1 - cell * cell);
            d_gate(3) = d_h[k] * shown * output * (1 - output);
            d_c_before[k] = d_memory * forget;
        }
    }
    d_from_h = d_a;
    if (layer.kind == THROUGHTIME_GRU)
        for (int64_t k = 0; k < hidden; ++k)
            d_from_h[2 * hidden + k] *= step.gates[k];
    Vector<Number> d_x(layer.given.input);
    layer.weight_ih.multiply_transposed(d_a, d_x);
    layer.weight_hh.multiply_transposed(d_from_h, d_h_before);
    layer.weight_ih.add_outer(d_a, step.x, gradients.weight_ih);
    layer.weight_hh.add_outer(d_from_h, step.h_before, gradients.weight_hh);
    for (int64_t i = 0; i < layer.rows; ++i) {
        gradients.bias_ih[i] += d_a[i];
        gradients.bias_hh[i] += d_from_h[i];
    }
    d_h = step.fresh ? Vector<Number>(hidden) : d_h_before;
    d_c = step.fresh ? Vector<Number>(hidden) : d_c_before;
    return d_x;
}

const float *row(const float *values, int64_t index, int64_t stride) {
    return values ? values + index * stride : nullptr;
}

float *row(float *values, int64_t index, int64_t stride) { return values ? values + index * stride : nullptr; }

} // namespace

int gates_of(int kind) { return kind == THROUGHTIME_LSTM ? 4 : kind == THROUGHTIME_GRU ? 3 : 1; }

int trace_parts_of(int kind) { return kind == THROUGHTIME_LSTM ? 5 : kind == THROUGHTIME_GRU ? 4 : 0; }

template <class Number>
void forward(const throughtime_forward_call &call, float *trace) {
    const throughtime_layer &given = call.layer;
    const int64_t hidden = given.hidden, states = given.batch * hidden;
    Layer<Number> layer(given);
    for (int64_t i = 0; trace && i < trace_parts_of(given.kind) * given.time * states; ++i)
        trace[i] = 0;
    for (int64_t b = 0; b < given.batch; ++b) {
        for (int64_t t = 0; t < given.time; ++t)
            written(Vector<Number>(hidden), call.output + t * call.output_time + b * call.output_batch);
        Vector<Number> h = copied<Number>(row(call.h0, b, call.h0_batch), hidden);
        Vector<Number> c = copied<Number>(row(call.c0, b, call.c0_batch), hidden);
        auto steps = layer.steps(b, call.x, call.x_time, call.x_batch, call.x_feature);
        layer.run(steps, h, c);
        for (const Step<Number> &step : steps) {
            written(step.h, call.output + step.time * call.output_time + b * call.output_batch);
            if (!trace || trace_parts_of(given.kind) == 0)
                continue;
            Vector<Number> parts = step.gates;
            const Vector<Number> &last = given.kind == THROUGHTIME_GRU ? step.h_new : step.c;
            parts.insert(parts.end(), last.begin(), last.end());
            for (int64_t i = 0; i < int64_t(parts.size()); ++i)
                trace[((i / hidden) * given.time + step.time) * states + b * hidden + i % hidden] = float(parts[i]);
        }
        written(steps.empty() ? h : steps.back().h, row(call.h_n, b, hidden));
        written(steps.empty() ? c : steps.back().c, row(call.c_n, b, hidden));
    }
}

template <class Number>
void backward(const throughtime_backward_call &call) {
    const throughtime_layer &given = call.layer;
    const int64_t hidden = given.hidden, input = given.input;
    Layer<Number> layer(given);
    Gradients<Number> gradients(layer);
    for (int64_t i = 0; call.d_x && i < given.time * given.batch * input; ++i)
        call.d_x[i] = 0;
    for (int64_t b = 0; b < given.batch; ++b) {
        auto steps = layer.steps(b, call.x, call.x_time, call.x_batch, call.x_feature);
        layer.run(steps, copied<Number>(row(call.h0, b, call.h0_batch), hidden),
                  copied<Number>(row(call.c0, b, call.c0_batch), hidden));
        Vector<Number> d_h = copied<Number>(row(call.d_h_n, b, hidden), hidden);
        Vector<Number> d_c = copied<Number>(row(call.d_c_n, b, hidden), hidden);
        for (auto step = steps.rbegin(); step != steps.rend(); ++step) {
            const float *d_output = row(call.d_output, step->time, call.d_output_time);
            Vector<Number> d_step = copied<Number>(row(d_output, b, call.d_output_batch), hidden);
            for (int64_t k = 0; k < hidden; ++k)
                d_h[k] += d_step[k];
            Vector<Number> d_x = retreat(layer, *step, d_h, d_c, gradients);
            written(d_x, row(call.d_x, step->time * given.batch + b, input));
        }
        written(d_h, row(call.d_h0, b, hidden));
        written(d_c, row(call.d_c0, b, hidden));
    }
    written(gradients.weight_ih, call.d_weight_ih);
    written(gradients.weight_hh, call.d_weight_hh);
    written(gradients.bias_ih, call.d_bias_ih);
    written(gradients.bias_hh, call.d_bias_hh);
}

template <class Number>
void product_forward(const throughtime_product &product) {
    Matrix<Number> weight(product.weight, product.output, product.input, product.precision);
    for (int64_t r = 0; r < product.rows; ++r) {
        Vector<Number> y = copied<Number>(product.bias, product.output);
        weight.multiply(copied<Number>(product.x + r * product.x_row, product.input), y);
        written(y, product.y + r * product.y_row);
    }
}

template <class Number>
void product_backward(const throughtime_product &product) {
    Matrix<Number> weight(product.weight, product.output, product.input, product.precision);
    Vector<Number> d_weight(product.output * product.input), d_bias(product.output);
    for (int64_t r = 0; r < product.rows; ++r) {
        Vector<Number> d_y = copied<Number>(product.d_y + r * product.d_y_row, product.output), d_x(product.input);
        weight.multiply_transposed(d_y, d_x);
        written(d_x, row(product.d_x, r, product.input));
        weight.add_outer(d_y, copied<Number>(product.x + r * product.x_row, product.input), d_weight);
        for (int64_t i = 0; i < product.output; ++i)
            d_bias[i] += d_y[i];
    }
    written(d_weight, product.d_weight);
    written(d_bias, product.d_bias);
}

template void forward<float>(const throughtime_forward_call &, float *);
template void forward<double>(const throughtime_forward_call &, float *);
template void backward<float>(const throughtime_backward_call &);
template void backward<double>(const throughtime_backward_call &);
template void product_forward<float>(const throughtime_product &);
template void product_forward<double>(const throughtime_product &);
template void product_backward<float>(const throughtime_product &);
template void product_backward<double>(const throughtime_product &);

} // namespace throughtime_scalar
