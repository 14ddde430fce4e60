// What is chosen, kept in the address: a link to it opens the same picture, and the back button works.

import { followed } from 'data';

const clamp = (value, low, high) => Math.min(Math.max(value, low), high);

function defaults(trace) {
  const last = trace.layers.length - 1;
  const told = trace.layers.findIndex((layer) => layer.name === trace.verdict.layer);
  const layer = told < 0 ? last : told;
  const anchors = trace.layers[layer].anchors;
  const loss = trace.layers[layer].reverse ? anchors[0] : anchors[anchors.length - 1];
  const wall = trace.truncation ? Math.max(0, loss - trace.truncation + 1) : 0;
  const block = Math.max(0, trace.layers[layer].weights.findIndex((one) => /_hh/.test(one.name)));
  return { layer, sample: 0, loss, step: null, wall, scale: 'absolute', view: 'unrolled', block,
    from: null, to: null };
}

export class Store {
  constructor(trace) {
    this.trace = trace;
    this.usual = defaults(trace);
    this.listeners = [];
    this.pointers = [];
    this.state = this.parsed();
    this.at = this.state.step ?? this.state.loss;
    addEventListener('hashchange', () => {
      this.state = this.parsed();
      this.announce();
    });
  }

  parsed() {
    const said = new URLSearchParams(location.hash.slice(1));
    const { trace, usual } = this;
    const whole = (name, low, high) => {
      const value = said.get(name);
      return value !== null && /^-?\d+$/.test(value) ? clamp(Number(value), low, high) : usual[name];
    };
    const among = (name, words) => (words.includes(said.get(name)) ? said.get(name) : usual[name]);
    const layer = whole('layer', 0, trace.layers.length - 1);
    const place = trace.samples.indexOf(Number(said.get('sample') ?? NaN));
    const state = {
      layer, sample: place < 0 ? usual.sample : place, loss: whole('loss', 0, trace.steps - 1),
      step: whole('step', 0, trace.steps - 1), wall: whole('wall', 0, trace.steps),
      scale: among('scale', ['absolute', 'relative']), view: among('view', ['unrolled', 'rolled']),
      block: Math.min(whole('weights', 0, 1e9) ?? usual.block, Math.max(0, trace.layers[layer].weights.length - 1)),
      from: whole('from', 0, trace.steps - 1), to: whole('to', 1, trace.steps),
    };
    if (!trace.layers.some((one) => one.recurrent)) state.view = 'unrolled';
    if (state.from === null || state.to === null || state.from >= state.to) state.from = state.to = null;
    return state;
  }

  hash() {
    const { state, usual, trace } = this;
    const said = new URLSearchParams();
    for (const name of ['layer', 'loss', 'step', 'wall', 'scale', 'view', 'from', 'to']) {
      if (state[name] !== null && state[name] !== usual[name]) said.set(name, state[name]);
    }
    if (state.sample !== usual.sample) said.set('sample', trace.samples[state.sample]);
    if (state.block !== usual.block) said.set('weights', state.block);
    return `#${said}`;
  }

  // `passing` changes (a drag, a scroll) leave no entry behind in the history.
  set(patch, passing = false) {
    this.state = { ...this.state, ...patch };
    if ('layer' in patch) {
      this.state.block = Math.min(this.state.block, Math.max(0, this.trace.layers[patch.layer].weights.length - 1));
    }
    const hash = this.hash();
    if (hash !== (location.hash || '#')) {
      try {
        history[passing ? 'replaceState' : 'pushState'](null, '', hash);
      } catch {
        // A frame without an address of its own has no history to keep.
      }
    }
    this.announce();
  }

  announce() {
    this.viewed = null;
    this.listeners.forEach((listener) => listener(this));
  }

  get view() {
    this.viewed ??= followed(this.trace, this.state);
    return this.viewed;
  }

  subscribe(listener) {
    this.listeners.push(listener);
  }

  // The step under the pointer or the keys.
  point(t) {
    const to = clamp(t, 0, this.trace.steps - 1);
    if (to === this.at) return;
    this.at = to;
    this.pointers.forEach((listener) => listener(to));
  }

  onPoint(listener) {
    this.pointers.push(listener);
  }

  pickLoss(t) {
    this.set({ loss: clamp(t, 0, this.trace.steps - 1) });
  }

  pickStep(t) {
    this.set({ step: t === null ? null : clamp(t, 0, this.trace.steps - 1) });
  }

  moveWall(wall, passing = false) {
    this.set({ wall: clamp(wall, 0, this.trace.steps) }, passing);
  }
}
