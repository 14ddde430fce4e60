// The wall of truncation: what is before it is cut for the losses after it.

import { s as svg } from 'dom';

export class Wall {
  constructor(store, scale) {
    Object.assign(this, { store, scale });
    this.line = svg('line.wall-line', { y1: 18 });
    this.reach = svg('line.wall-reach', { y1: 0 });
    this.word = svg('text.wall-word', { y: 13 }, 'wall');
    this.tab = svg('rect.wall-tab', { y: 1, width: 46, height: 17, rx: 8.5 });
    this.node = svg('g', {
      class: 'wall', id: 'wall', tabindex: 0, role: 'slider', 'aria-label': 'wall of truncation: steps before it are cut',
      'aria-valuemin': 0, 'aria-valuemax': store.trace.steps, onkeydown: (event) => this.key(event),
      onpointerdown: (event) => this.grab(event),
    }, svg('title', 'drag: steps before the wall are cut'), this.reach, this.line, this.tab, this.word);
  }

  draw(layout) {
    const scale = this.scale();
    const { wall } = this.store.state;
    const gone = wall < scale.from || wall > scale.to;
    const x = Math.min(scale.right, Math.max(scale.left, scale.x(wall)));
    this.node.setAttribute('transform', `translate(${x.toFixed(1)} 0)`);
    const lean = Math.min(0, scale.right - x - 44);
    const kept = wall === 0 || gone;
    for (const part of [this.line, this.reach]) part.setAttribute('y2', layout.height - 8);
    this.tab.setAttribute('x', wall === 0 || gone ? -8 + lean : -22);
    this.word.setAttribute('x', wall === 0 || gone ? 15 + lean : 0);
    this.word.textContent = kept ? 'wall ▸' : 'wall';
    this.node.classList.toggle('idle', kept);
    this.node.setAttribute('aria-valuenow', wall);
    this.node.setAttribute('aria-valuetext', wall === 0 ? 'at the beginning: nothing is cut' : `before step ${wall}`);
  }

  grab(event) {
    if (event.button) return;
    event.stopPropagation();
    event.preventDefault();
    this.node.focus({ preventScroll: true });
    this.node.setPointerCapture(event.pointerId);
    this.node.classList.add('held');
    const start = this.store.state.wall;
    const edge = this.node.ownerSVGElement.getBoundingClientRect().left;
    const to = (move) => {
      const scale = this.scale();
      const wall = Math.round(scale.from + (move.clientX - edge - scale.left) / scale.cell);
      this.store.moveWall(Math.min(scale.to, Math.max(scale.from, wall)), true);
    };
    const drop = () => {
      this.node.removeEventListener('pointermove', to);
      this.node.removeEventListener('pointerup', drop);
      this.node.removeEventListener('pointercancel', drop);
      this.node.classList.remove('held');
      const end = this.store.state.wall;
      if (end === start) return;
      this.store.moveWall(start, true);
      this.store.moveWall(end);
    };
    this.node.addEventListener('pointermove', to);
    this.node.addEventListener('pointerup', drop);
    this.node.addEventListener('pointercancel', drop);
  }

  key(event) {
    const { wall } = this.store.state;
    const far = event.shiftKey ? 10 : 1;
    const to = { ArrowLeft: wall - far, ArrowDown: wall - far, ArrowRight: wall + far, ArrowUp: wall + far,
      PageDown: wall - 10, PageUp: wall + 10, Home: 0, End: this.store.trace.steps }[event.key];
    if (to === undefined) return;
    event.preventDefault();
    event.stopPropagation();
    this.store.moveWall(to);
  }
}
