// Puts the page together.

import { controls, weights } from 'controls';
import { read } from 'data';
import { h, place } from 'dom';
import { header } from 'header';
import { help } from 'help';
import { legend } from 'legend';
import { Overview } from 'overview';
import { Path } from 'path';
import { Profile } from 'profile';
import { readout } from 'readout';
import { Rolled } from 'rolled';
import { Store } from 'store';
import { story } from 'story';
import { Strip } from 'strip';
import { theme } from 'theme';

function start() {
  const trace = read();
  header(trace);
  if (!trace.layers.length) {
    place('explorer').hidden = true;
    return;
  }
  const store = new Store(trace);
  const strip = new Strip(place('strip'), store);
  controls(place('controls'), store, strip);
  new Overview(place('overview'), store, strip);
  new Profile(place('profile'), store);
  new Rolled(place('rolled'), store);
  new Path(place('path'), store);
  story(place('story'), store);
  const under = place('under');
  readout(under.appendChild(h('p.readout', { id: 'readout', 'aria-live': 'polite' })), store);
  legend(under.appendChild(h('div.legend')), store);
  weights(under.appendChild(h('div.weights')), store);
  store.subscribe(() => (place('strip').hidden = store.state.view === 'rolled'));
  theme(place('top-actions'), () => store.announce());
  help(place('help'), place('top-actions'));
  document.querySelector('[data-skip]').addEventListener('click', (event) => {
    event.preventDefault();
    place('strip').focus();
  });
  document.documentElement.dataset.ready = '';
}

try {
  start();
} catch (error) {
  place('main').prepend(h('p.failed', `This page could not be drawn: ${error.message}`));
  throw error;
}
