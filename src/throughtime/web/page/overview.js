// The whole sequence, with the window on it.

import { h, measured, s as svg } from 'dom';
import { paintOverview } from 'heat';
import { gutterOf, windowOf } from 'layout';

const HEIGHT = 22;

export class Overview {
  constructor(root, store, strip) {
    Object.assign(this, { root, store, strip });
    this.canvas = h('canvas', { 'aria-hidden': 'true' });
    this.frame = svg('rect.frame', { y: 0.5, height: HEIGHT + 7, rx: 3 });
    this.marks = svg('g');
    this.name = svg('text.name', { y: HEIGHT / 2 + 4 }, '');
    this.svg = svg('svg.over', { height: HEIGHT + 8, 'aria-hidden': 'true' }, this.marks, this.frame, this.name);
    root.append(this.canvas, this.svg);
    root.tabIndex = 0;
    root.setAttribute('role', 'slider');
    root.setAttribute('aria-label', 'window on the whole sequence');
    root.setAttribute('aria-valuemin', 0);
    root.addEventListener('keydown', (event) => this.key(event));
    root.addEventListener('pointerdown', (event) => this.grab(event));
    root.addEventListener('wheel', (event) => this.wheel(event), { passive: false });
    measured(root, () => this.draw());
    store.subscribe(() => this.draw());
  }

  get ends() {
    const width = this.root.clientWidth;
    return { width, left: gutterOf(width), right: width - 8 };
  }

  draw() {
    const { trace, state, view } = this.store;
    const width = this.root.clientWidth || this.root.parentElement.clientWidth;
    const [from, to] = windowOf(trace, state, width);
    const needed = state.view === 'unrolled' && to - from < trace.steps;
    this.root.hidden = !needed;
    if (!needed || !width) return;
    const { left, right } = this.ends;
    const x = (t) => left + ((right - left) * t) / trace.steps;
    this.svg.setAttribute('width', width);
    paintOverview(this.canvas, width, HEIGHT, left, right, trace, view);
    this.frame.setAttribute('x', x(from));
    this.frame.setAttribute('width', Math.max(4, x(to) - x(from)));
    this.name.setAttribute('x', left - 10);
    this.name.textContent = width < 620 ? 'whole' : 'whole sequence';
    const mark = (t, kind) => svg('line', { x1: x(t), x2: x(t), y1: 0, y2: HEIGHT + 8, class: `mark-${kind}` });
    this.marks.replaceChildren(
      svg('line.hair', { x1: left, x2: right, y1: HEIGHT + 4, y2: HEIGHT + 4 }), mark(view.s + 0.5, 'loss'),
      ...(state.step === null ? [] : [mark(state.step + 0.5, 'step')]), ...(state.wall ? [mark(state.wall, 'wall')] : []));
    this.root.setAttribute('aria-valuemax', trace.steps - (to - from));
    this.root.setAttribute('aria-valuenow', from);
    this.root.setAttribute('aria-valuetext', `steps ${from} to ${to - 1} of ${trace.steps}`);
  }

  grab(event) {
    if (event.button) return;
    const { left, right } = this.ends;
    const { trace } = this.store;
    const { count, from } = this.strip.scale;
    const step = (move) =>
      ((move.clientX - this.root.getBoundingClientRect().left - left) / (right - left)) * trace.steps;
    const start = step(event);
    const grip = start >= from && start < from + count ? start - from : count / 2;
    const to = (move) => this.strip.view(step(move) - grip, count);
    this.root.setPointerCapture(event.pointerId);
    to(event);
    const drop = () => this.root.removeEventListener('pointermove', to);
    this.root.addEventListener('pointermove', to);
    this.root.addEventListener('pointerup', drop, { once: true });
    this.root.addEventListener('pointercancel', drop, { once: true });
  }

  wheel(event) {
    event.preventDefault();
    const { from, count } = this.strip.scale;
    if (Math.abs(event.deltaX) > Math.abs(event.deltaY)) this.strip.view(from + event.deltaX, count);
    else this.strip.zoom(Math.exp(event.deltaY * 0.002), from + count / 2);
  }

  key(event) {
    const { from, count } = this.strip.scale;
    const by = { ArrowLeft: -1, ArrowRight: 1, PageUp: -count, PageDown: count, Home: -Infinity, End: Infinity }[event.key];
    if (by !== undefined) this.strip.view(from + by, count);
    else if (event.key === '+' || event.key === '=') this.strip.zoom(0.5, from + count / 2);
    else if (event.key === '-') this.strip.zoom(2, from + count / 2);
    else return;
    event.preventDefault();
  }
}
