// The network as it is written down: one cell with a loop, its weights counted once.

import * as colour from 'colour';
import { biggest, num, nums, stateName } from 'data';
import { h, measured, s as svg } from 'dom';
import { formula, glyph, lowered, number } from 'format';

const [WIDTH, HEIGHT] = [380, 330];

const arrow = (d, kind = '') => svg('path', { d, class: `wire ${kind}`, 'marker-end': 'url(#tip)' });
const word = (x, y, text, kind = '') => svg('text', { x, y, class: kind }, text);

export class Rolled {
  constructor(root, store) {
    Object.assign(this, { root, store });
    this.svg = svg('svg', { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: 'img', 'aria-label': 'one cell with a loop' });
    this.slider = h('input', { type: 'range', min: 0, max: store.trace.steps - 1, id: 'rolled-step',
      oninput: () => store.point(Number(this.slider.value)) });
    this.now = h('output');
    this.list = h('div.counted');
    root.append(h('div', this.svg, h('label.menu', h('span', 'step t'), this.slider, this.now)), this.list);
    measured(root, () => this.draw());
    store.subscribe(() => this.draw());
    store.onPoint(() => this.cell());
  }

  draw() {
    const { state, view, trace } = this.store;
    this.root.hidden = state.view !== 'rolled';
    if (this.root.hidden) return;
    this.cell();
    const { layer } = view;
    const times = `used ${trace.steps} ${trace.steps === 1 ? 'time' : 'times'}`;
    this.list.replaceChildren(
      h('h2', `${layer.name}: one cell, ${times}`),
      ...(layer.formulas.step ?? []).map((text) => h('p.math', formula(text))),
      h('p.aside', `Each weight is counted once and used ${trace.steps} times, so its gradient is a sum of ` +
        `${trace.steps} terms. `, layer.weights.length && 'A bar is a step’s share cₜ of it; shares sum to one, negative ones cancel.'),
      h('ul', layer.weights.filter(({ name, block }, _, all) => !block || !all.some((one) => one.name === name && !one.block))
        .map((weight) => this.weight(weight, times))));
  }

  weight({ name, block, c }, times) {
    const values = nums(c);
    const width = Math.max(200, this.list.clientWidth);
    const most = biggest(values) || 1;
    const cell = width / values.length;
    const bars = values.map((v, t) => v === null || !Number.isFinite(v) ? null : svg('rect', {
      x: t * cell, width: Math.max(0.6, cell * 0.8), y: v > 0 ? 15 - (14 * v) / most : 15, height: Math.max(0.5, (14 * Math.abs(v)) / most),
      class: v > 0 ? 'gain' : 'loss-of' }));
    return h('li', h('span.of', block ? `${name}, ${block}` : name), h('span.aside', times),
      svg('svg', { width, height: 30, role: 'img', 'aria-label': `shares of the gradient of ${name} by step` },
        svg('line.hair', { x1: 0, x2: width, y1: 15, y2: 15 }), bars));
  }

  // The picture at the step in focus.
  cell() {
    const { state, view, at, trace } = this.store;
    if (state.view !== 'rolled') return;
    this.slider.value = at;
    this.now.textContent = String(at);
    const { layer } = view;
    const z = stateName(layer);
    const t = lowered(at);
    const loss = num(trace.losses[state.sample][at]);
    const reads = trace.symbols ? `“${glyph(String(trace.symbols[state.sample][at] ?? ''))}”`
      : trace.inputs.slice(0, 2).map((one) => number(num(one.values[state.sample][at]))).join(', ');
    this.svg.replaceChildren(
      svg('defs', svg('marker', { id: 'tip', viewBox: '0 0 8 8', refX: 7, refY: 4, markerWidth: 7, markerHeight: 7, orient: 'auto' },
        svg('path.tip', { d: 'M0 0.5L7.5 4L0 7.5Z' }))),
      arrow('M150 292V226'), arrow('M150 126V62', 'loss-wire'),
      layer.recurrent ? arrow('M226 156C350 70 350 282 228 198', 'loop') : '',
      svg('rect.cell-box', { x: 76, y: 128, width: 148, height: 96, rx: 14 }),
      this.units(layer, state.sample, at),
      word(150, 312, `x${t}`, 'italic'), word(168, 312, reads, 'reads'),
      word(150, 48, `ℓ${t}`, 'italic loss-word'), word(168, 48, loss === null ? '' : number(loss), 'reads'),
      ...(layer.recurrent ? [word(258, 112, `${z}${t}`, 'italic start'), word(328, 180, `${trace.steps} times`, 'reads'),
        word(246, 252, at ? `${z}${lowered(at - 1)}` : `${z}₋₁`, 'italic start')] : []));
  }

  units(layer, sample, at) {
    const line = layer.timelines[0];
    const values = line.values[sample].map((row) => num(row[at]));
    const scale = Math.max(...line.values[sample].map((row) => biggest(nums(row))), 1e-12);
    const wide = 124 / Math.max(values.length, 1);
    return svg('g', values.map((v, i) => svg('rect', { x: 88 + i * wide, y: 150, width: Math.max(1, wide - 1), height: 34, rx: 1,
      fill: colour.css(line.kind === 'sigmoid' ? colour.gate(v) : colour.state(v, scale)) })),
      word(150, 206, `${layer.kind.replace('_', ' ')}, ${layer.hidden} units`, 'reads middle'));
  }
}
