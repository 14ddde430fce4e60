// φ: how much of a loss's gradient is left k steps back, with the band that holds 10–90 % of the measurements.

import { h, measured, s as svg } from 'dom';
import { nums } from 'data';
import { decade, power } from 'format';
import { decades, ticks } from 'layout';

const [HEIGHT, LEFT, RIGHT, TOP, FOOT] = [232, 46, 14, 14, 34];
const LN10 = Math.log(10);

function range(values) {
  const whole = values.filter((v) => v !== null && Number.isFinite(v));
  if (!whole.length) return [-1, 0];
  const [low, high] = [Math.floor(Math.min(...whole)), Math.ceil(Math.max(...whole))];
  return [Math.min(low, high - 1), high];
}

function line(values, x, y) {
  let pen = 'M';
  return values.map((v, k) => {
    if (v === null || !Number.isFinite(v)) {
      pen = 'M';
      return '';
    }
    const piece = `${pen}${x(k).toFixed(1)} ${y(v).toFixed(1)}`;
    pen = 'L';
    return piece;
  }).join('');
}

function band(low, high, x, y) {
  const ks = low.map((_, k) => k).filter((k) => Number.isFinite(low[k] ?? NaN) && Number.isFinite(high[k] ?? NaN));
  if (ks.length < 2) return '';
  const edge = (values, order) => order.map((k) => `${x(k).toFixed(1)} ${y(values[k]).toFixed(1)}`).join('L');
  return `M${edge(high, ks)}L${edge(low, [...ks].reverse())}Z`;
}

export class Profile {
  constructor(root, store) {
    Object.assign(this, { root, store });
    this.svg = svg('svg', { role: 'img', height: HEIGHT });
    this.caption = h('figcaption');
    root.append(this.caption, this.svg);
    measured(root, () => this.draw());
    store.subscribe(() => this.draw());
  }

  draw() {
    const width = this.root.clientWidth;
    if (!width) return;
    const layer = this.store.view.layer;
    const { profile } = layer;
    const [mean, low, high] = [profile.mean, profile.low, profile.high].map((list) =>
      nums(list).map((v) => (v === null ? null : v / LN10)));
    const last = Math.max(1, mean.length - 1);
    const [floor, top] = range([...mean, ...low, ...high]);
    const x = (k) => LEFT + ((width - LEFT - RIGHT) * k) / last;
    const y = (v) => TOP + ((HEIGHT - TOP - FOOT) * (top - v)) / (top - floor);
    this.caption.replaceChildren(h('span.label', 'Gradient left, by lag'),
      h('span.aside', `${layer.name}: mean and 10–90 % of the followed losses`));
    this.svg.setAttribute('width', width);
    this.svg.setAttribute('aria-label', `gradient by lag: ${power(mean[0])} at lag 0, ${power(mean[last])} at lag ${last}`);
    const lags = ticks({ left: LEFT, right: width - RIGHT, from: 0, to: last + 1, count: last + 1 });
    this.svg.replaceChildren(
      ...decades(floor, top, 5).flatMap((v) => [
        svg('line.grid', { x1: LEFT, x2: width - RIGHT, y1: y(v), y2: y(v) }),
        svg('text.tick.end', { x: LEFT - 8, y: y(v) + 4 }, decade(v))]),
      ...lags.map((k) => svg('text.tick', { x: x(k), y: HEIGHT - FOOT + 16 }, String(k))),
      svg('text.tick.end', { x: width - RIGHT, y: HEIGHT - 3 }, 'lag k, steps back'),
      svg('path.band', { d: band(low, high, x, y) }),
      svg('path.mean', { d: line(mean, x, y) }),
      ...this.horizon(profile.horizon, mean, x, y, last));
  }

  horizon(k, mean, x, y, last) {
    if (k === null || !(k > 0) || k >= last || !Number.isFinite(mean[k] ?? NaN)) return [];
    const right = x(k) < this.root.clientWidth * 0.6;
    return [
      svg('line.drop', { x1: x(k), x2: x(k), y1: y(mean[k]), y2: HEIGHT - FOOT }),
      svg('circle.dot', { cx: x(k), cy: y(mean[k]), r: 3.5 }),
      svg('text', { x: x(k) + (right ? 9 : -9), y: y(mean[k]) + (right ? -6 : 18), class: `note ${right ? '' : 'end'}` },
        `1 % is left at lag ${k}`)];
  }
}
