// The worker: it trains in turns of a few milliseconds and listens in between, and sends what is to be
// drawn only when the page has drawn what it had.
import { unpackDigits } from "./train_here_digits.js";
import { makeRace, SHOWN } from "./train_here_race.js";

const TURN = 30, LIMIT = 10_000; // milliseconds; steps until it pauses by itself

let digits, race, running = false, drawn = true, every = 100, sent = 0, asked = 0, begun, stop;

const actions = {
  async load({ packed }) {
    digits = await unpackDigits(packed);
    const { images, labels, size } = digits;
    postMessage({ digits: { images: images.slice(0, SHOWN * size), labels: labels.slice(0, SHOWN), validation: digits.validation, training: digits.count - digits.validation } });
  },
  set({ settings, mode, interval }) {
    race = makeRace(digits, settings);
    every = interval;
    stop = LIMIT;
    if (running) begun = [performance.now(), 0];
    actions.mode({ mode });
  },
  mode({ mode }) {
    if (race.mode !== mode) {
      race.mode = mode;
      race.evaluate();
    }
    send();
  },
  start({ id }) {
    asked = id;
    if (running) return;
    running = true;
    begun = [performance.now(), race.step];
    stop = Math.ceil((race.step + 1) / LIMIT) * LIMIT;
    turn();
  },
  pause({ id = asked }) {
    asked = id;
    running = false;
    race.evaluate();
    send();
  },
  step() {
    race.advance();
    race.evaluate();
    send();
  },
  drawn() { drawn = true; },
};

const turns = new MessageChannel(); // sooner than a timer, which waits 4 ms
turns.port1.onmessage = turn;

function turn() {
  if (!running) return;
  const until = performance.now() + TURN;
  while (performance.now() < until && race.step < stop) race.advance();
  if (race.step >= stop) actions.pause({});
  else if (drawn && performance.now() - sent >= every) send();
  turns.port2.postMessage(0);
}

function send() {
  drawn = false;
  sent = performance.now();
  const rate = running && (1000 * (race.step - begun[1])) / (sent - begun[0]);
  postMessage({ seen: { ...race.snapshot(), running, rate, asked } });
}

let last = Promise.resolve();
onmessage = ({ data }) => {
  last = last.then(() => actions[data.do](data)).catch((error) => postMessage({ trouble: String(error) }));
};
