// ---- The page: what is in view, what is chosen, and what mouse and keys do to that.

const LEAST_SPAN = 40;

class Page {
  constructor(head, packed) {
    this.get = (id) => document.getElementById(id);
    const runs = head.runs.map((run, at) => new Run(run, packed[at]));
    this.picture = new Picture(runs, head.difference);
    this.painter = new Painter(this.get("lanes"), this.get("overview"), this.picture);
    this.panel = new Panel(this.get("selection"), this.picture, this);
    this.state = { cursor: runs[0].busiest(), row: null, run: 0, event: null, segment: null, hits: [], hit: -1 };
    this.view = { from: 0, to: 1, top: 0 };
    this.stats = { draws: 0, last: 0, most: 0 };
    this.pending = false;
    this.describe();
    this.listen();
    this.showProgram();
    this.refresh();
  }

  describe() {
    const [run] = this.picture.runs;
    this.get("title").textContent = this.picture.both ? `${run.title}  ⇄  ${this.picture.runs[1].title}` : run.title;
    const facts = run.facts.slice(0, 3).map(([name, value]) => `${name} ${value}`);
    this.get("facts").textContent = [`${grouped(run.end)} cycles`, `${grouped(run.cycle.length)} events`, ...facts].join(" · ");
    this.get("difference").hidden = !this.picture.difference;
    this.get("align").hidden = !this.picture.both;
    this.legend();
  }

  legend() {
    const legend = this.get("legend");
    legend.replaceChildren();
    const [run] = this.picture.runs;
    const swatch = (colour) => { const mark = el("span", { className: "swatch" }); mark.style.background = `var(--${colour})`; return mark; };
    STATE_COLOURS.slice(0, 7).forEach((colour, state) => legend.append(el("span", { className: "key" }, swatch(colour), run.states[state])));
    legend.append(el("span", { className: "divider" }));
    CLASSES.forEach((kind, of) => {
      if (!run.totals[of]) return;
      const key = el("button", { className: "key", title: "Show or hide" }, swatch(kind.name), `${kind.label} ${grouped(run.totals[of])}`);
      key.dataset.class = kind.name;
      key.setAttribute("aria-pressed", String(kind.shown));
      key.onclick = () => { kind.shown = !kind.shown; key.setAttribute("aria-pressed", String(kind.shown)); this.redraw(); };
      legend.append(key);
    });
  }

  // -- View

  redraw() {
    if (this.pending) return;
    this.pending = true;
    requestAnimationFrame(() => {
      this.pending = false;
      this.draw();
    });
  }

  draw() {
    const begin = performance.now();
    this.painter.draw(this.view, this.state);
    this.painter.drawOverview(this.view, this.state);
    this.stats.last = performance.now() - begin;
    this.stats.most = Math.max(this.stats.most, this.stats.last);
    this.stats.draws++;
  }

  /** Shows these cycles, as far as there are any. */
  look(from, to) {
    const { picture, view } = this;
    const whole = picture.to - picture.from;
    const margin = whole * 0.02;
    const span = Math.min(Math.max(to - from, LEAST_SPAN), whole + 2 * margin);
    const middle = (from + to) / 2;
    view.from = Math.min(Math.max(middle - span / 2, picture.from - margin), picture.to + margin - span);
    view.to = view.from + span;
    this.redraw();
  }

  scroll(top) {
    const room = this.get("lanes").clientHeight - RULER;
    this.view.top = Math.max(0, Math.min(top, this.picture.height - room));
    this.redraw();
  }

  zoom(factor, at = null) {
    const { view } = this;
    const inView = (cycle) => cycle !== null && cycle >= view.from && cycle <= view.to;
    const fixed = at ?? (inView(this.state.cursor) ? this.state.cursor : (view.from + view.to) / 2);
    this.look(fixed - (fixed - view.from) * factor, fixed + (view.to - fixed) * factor);
  }

  pan(part) {
    const by = (this.view.to - this.view.from) * part;
    this.look(this.view.from + by, this.view.to + by);
  }

  showWhole() { this.look(this.picture.from, this.picture.to); }

  showProgram() {
    const { picture } = this;
    const { start } = picture.runs[0];
    const margin = (picture.to - start) * 0.02;
    this.look(start - margin, picture.to + margin);
  }

  /** Moves the view so that a cycle and a row are in it. */
  reveal(cycle, row) {
    const { view } = this;
    const span = view.to - view.from;
    if (cycle < view.from + span * 0.03 || cycle > view.to - span * 0.03) this.look(cycle - span / 2, cycle + span / 2);
    if (!row) return;
    const room = this.get("lanes").clientHeight - RULER;
    if (row.y < view.top) this.scroll(row.y);
    else if (row.y + row.height > view.top + room) this.scroll(row.y + row.height - room);
    this.redraw();
  }

  // -- What is chosen

  refresh() {
    this.panel.show(this.state);
    const { run, row } = this.state;
    const shown = this.picture.runs[run];
    showSharing(this.get("sharing"), shown, (this.state.cursor ?? 0) - this.picture.shift(run), row?.lanes?.[run]?.id,
      (lane) => this.chooseRow(this.picture.rowOf[run].get(lane) ?? null));
    const { hits, hit } = this.state;
    this.get("hits").textContent = this.get("search").value && !this.get("search").value.startsWith("@")
      ? (hits.length ? `${hit + 1 ? `${hit + 1} of ` : ""}${grouped(hits.length)}` : "none") : "";
    this.get("system").setAttribute("aria-pressed", String(this.picture.showSystem));
    this.get("align").textContent = this.picture.alignStart ? "Aligned: program start" : "Aligned: power-on";
    this.redraw();
  }

  choose(changes) {
    Object.assign(this.state, { event: null, segment: null }, changes);
    this.refresh();
  }

  chooseRow(row) { this.choose({ row, run: row?.lanes && !row.lanes[0] ? 1 : 0 }); if (row) this.reveal(this.state.cursor ?? this.view.from, row); }

  chooseEvent(run, event, move = false) {
    const data = this.picture.runs[run];
    if (!this.picture.rowOf[run].has(data.lane[event])) this.toggleSystem();
    const row = this.picture.rowOf[run].get(data.lane[event]);
    const cursor = data.cycle[event] + this.picture.shift(run);
    this.choose({ run, event, row, cursor });
    if (move) this.reveal(cursor, row);
  }

  chooseSegment(run, lane, at) {
    const { track } = this.picture.runs[run].lanes[lane];
    const row = this.picture.rowOf[run].get(lane);
    const shift = this.picture.shift(run);
    this.choose({ run, row, segment: { lane, at }, cursor: track.from(at) + shift });
    this.reveal(track.from(at) + shift, row);
  }

  toggleSystem() {
    this.picture.showSystem = !this.picture.showSystem;
    this.rearrange();
  }

  toggleAlign() {
    this.picture.alignStart = !this.picture.alignStart;
    this.rearrange();
  }

  rearrange() {
    const { row } = this.state;
    this.picture.arrange();
    this.state.row = row ? this.picture.rows.find((other) => other.name === row.name && other.lanes?.[0] === row.lanes?.[0]) ?? null : null;
    this.scroll(this.view.top);
    this.refresh();
  }

  goToDifference() {
    const { difference } = this.picture;
    if (!difference) return;
    const run = difference[0] === null ? 1 : 0;
    this.look(...this.around(this.picture.runs[run].cycle[difference[run]] + this.picture.shift(run)));
    this.chooseEvent(run, difference[run], true);
  }

  around(cycle) {
    const span = Math.min(this.view.to - this.view.from, 60000);
    return [cycle - span / 2, cycle + span / 2];
  }

  // -- Search

  find(words) {
    const { state } = this;
    const [run] = this.picture.runs;
    state.hits = [];
    state.hit = -1;
    if (words && !words.startsWith("@")) {
      let at = 0, event = 0;
      const text = run.text;
      for (;;) {
        const found = text.indexOf(words, at);
        if (found < 0) break;
        event = search(run.ends, found, false, event);
        state.hits.push(event);
        at = run.ends[event];
      }
    }
    this.refresh();
  }

  goToHit(step) {
    const { state } = this;
    const words = this.get("search").value;
    if (words.startsWith("@")) return this.goToCycle(Number(words.slice(1).replace(/[_ ]/g, "")));
    if (!state.hits.length) return;
    const { length } = state.hits;
    if (state.hit < 0) {
      const next = firstHit(this.picture.runs[0], state.hits, this.state.cursor ?? 0);
      state.hit = step > 0 ? next % length : (next - 1 + length) % length;
    } else state.hit = (state.hit + step + length) % length;
    this.chooseEvent(0, state.hits[state.hit], true);
  }

  goToCycle(cycle) {
    if (!Number.isFinite(cycle)) return;
    const inside = Math.min(Math.max(cycle, this.picture.from), this.picture.to);
    this.choose({ cursor: inside });
    this.reveal(inside, null);
  }

  /** The event before or after the chosen one, or the cursor, in its lane. */
  stepEvent(step) {
    const { state } = this;
    const lane = state.row?.lanes?.[state.run]?.id;
    if (lane === undefined) return;
    const run = this.picture.runs[state.run];
    const { events } = run.lanes[lane];
    let at = run.eventFrom(lane, (state.cursor ?? 0) - this.picture.shift(state.run));
    if (state.event !== null) {
      while (at < events.length - 1 && events[at] !== state.event) at++;
      at += step;
    } else if (step < 0) at--;
    if (at >= 0 && at < events.length) this.chooseEvent(state.run, events[at], true);
  }

  stepRow(step) {
    const { rows } = this.picture;
    const at = rows.indexOf(this.state.row);
    const next = at < 0 ? (step > 0 ? 0 : rows.length - 1) : Math.min(Math.max(at + step, 0), rows.length - 1);
    this.chooseRow(rows[next]);
  }

  // -- Mouse

  /** What is under a point of the canvas. */
  under(x, y) {
    const row = y > RULER ? this.picture.rowAt(y - RULER + this.view.top) : null;
    const place = { row, cycle: this.painter.cycle(x), run: 0, lane: null, at: -1, event: null };
    if (!row || x < GUTTER) return place;
    const dy = y - this.painter.y(row);
    const marks = dy >= this.picture.stripTop(0) - 2;
    const second = dy >= (marks ? this.picture.stripTop(1) - 1 : barTop(1) - 2);
    if (this.picture.both && row.tracks[1] && (second || !row.tracks[0])) place.run = 1;
    const track = row.tracks[place.run];
    const local = place.cycle - this.picture.shift(place.run);
    place.at = track ? track.at(local) : -1;
    if (row.cpu) place.lane = place.at >= 0 ? track.lane[place.at] : null;
    else place.lane = row.lanes[place.run]?.id ?? null;
    if (!row.cpu && marks && place.lane !== null) this.eventUnder(place, x);
    return place;
  }

  /** The event nearest to the pointer, if it is near; important ones first. */
  eventUnder(place, x) {
    const run = this.picture.runs[place.run];
    const lane = run.lanes[place.lane];
    const shift = this.picture.shift(place.run);
    let best = null, least = 7;
    const from = run.eventFrom(lane.id, this.painter.cycle(x - 7) - shift);
    for (let at = from; at < lane.events.length && at < from + 3000; at++) {
      const event = lane.events[at];
      const distance = Math.abs(this.painter.x(run.cycle[event] + shift) - x);
      if (run.cycle[event] + shift > this.painter.cycle(x + 7)) break;
      const kind = run.classOf[event];
      if (!CLASSES[kind].shown) continue;
      const weight = distance + kind * 0.2;
      if (weight < least) { least = weight; best = event; }
    }
    place.event = best;
  }

  hover(event) {
    const tip = this.get("tip");
    const place = this.under(event.offsetX, event.offsetY);
    const run = this.picture.runs[place.run];
    tip.hidden = place.at < 0 && place.event === null;
    if (tip.hidden) return;
    const lines = [];
    if (place.event !== null) {
      lines.push(el("div", {}, el("b", {}, run.lanes[place.lane].name), ` · cycle ${grouped(run.cycle[place.event])}`),
        el("div", { className: "line" }, run.words(place.event)));
    } else {
      const track = place.row.tracks[place.run];
      const from = track.from(place.at), to = track.to[place.at];
      const cause = run.causes[track.cause[place.at]];
      const who = place.row.cpu ? `${place.row.name} runs ${run.lanes[place.lane].name}` : run.lanes[place.lane].name;
      lines.push(el("div", {}, el("b", {}, (this.picture.both ? "AB"[place.run] + " · " : "") + who), ` · ${run.states[track.state[place.at]]}${cause ? `, ${cause}` : ""}`),
        el("div", { className: "number" }, `${grouped(from)} – ${grouped(to)}: ${grouped(to - from)} cycles`));
    }
    lines.push(el("div", { className: "hint" }, `pointer at ${grouped(place.cycle)}`));
    tip.replaceChildren(...lines);
    const stage = this.get("stage").getBoundingClientRect();
    const x = event.clientX - stage.left, y = event.clientY - stage.top;
    tip.style.left = `${Math.max(0, Math.min(x + 14, stage.width - tip.offsetWidth - 8))}px`;
    tip.style.top = `${y + 18 + tip.offsetHeight > stage.height ? y - tip.offsetHeight - 10 : y + 18}px`;
  }

  click(event) {
    const place = this.under(event.offsetX, event.offsetY);
    this.get("lanes").focus();
    if (event.offsetX < GUTTER) return place.row ? this.chooseRow(place.row) : undefined;
    if (place.event !== null) return this.chooseEvent(place.run, place.event);
    const cursor = Math.round(place.cycle);
    if (place.lane === null || place.at < 0) return this.choose({ row: place.row, cursor });
    if (!place.row.cpu) return this.choose({ row: place.row, run: place.run, segment: { lane: place.lane, at: place.at }, cursor });
    const at = this.picture.runs[place.run].lanes[place.lane].track.at(cursor - this.picture.shift(place.run));
    const row = this.picture.rowOf[place.run].get(place.lane) ?? place.row;
    return this.choose({ row, run: place.run, segment: at < 0 ? null : { lane: place.lane, at }, cursor });
  }

  zoomTo(event) {
    const place = this.under(event.offsetX, event.offsetY);
    if (place.at < 0) return;
    const track = place.row.tracks[place.run], shift = this.picture.shift(place.run);
    const from = track.from(place.at) + shift, to = track.to[place.at] + shift;
    this.look(from - (to - from) * 0.1, to + (to - from) * 0.1);
  }

  // -- Listening

  listen() {
    const lanes = this.get("lanes"), overview = this.get("overview");
    const wheel = (event) => {
      event.preventDefault();
      const across = event.shiftKey || Math.abs(event.deltaX) > Math.abs(event.deltaY);
      if (across) return this.pan((event.deltaX || event.deltaY) / 1200);
      if (event.offsetX < GUTTER) return this.scroll(this.view.top + event.deltaY);
      return this.zoom(1.0015 ** event.deltaY, this.painter.cycle(event.offsetX));
    };
    lanes.addEventListener("wheel", wheel, { passive: false });
    this.listenToDrags(lanes);
    lanes.addEventListener("dblclick", (event) => this.zoomTo(event));
    lanes.addEventListener("pointerleave", () => { this.get("tip").hidden = true; });
    const jump = (event) => {
      if (!event.buttons) return;
      const scale = (overview.clientWidth - GUTTER) / (this.picture.to - this.picture.from);
      const middle = this.picture.from + (event.offsetX - GUTTER) / scale, half = (this.view.to - this.view.from) / 2;
      this.look(middle - half, middle + half);
    };
    overview.addEventListener("pointerdown", (event) => { overview.setPointerCapture(event.pointerId); jump(event); });
    overview.addEventListener("pointermove", jump);
    const resized = new ResizeObserver(() => { this.scroll(this.view.top); this.draw(); });
    resized.observe(lanes);
    resized.observe(overview);
    this.listenToControls();
    document.addEventListener("keydown", (event) => this.key(event));
  }

  listenToDrags(lanes) {
    let held = null;
    lanes.addEventListener("pointerdown", (event) => {
      if (event.button !== 0) return;
      held = { x: event.clientX, y: event.clientY, view: { ...this.view }, moved: false };
      lanes.setPointerCapture(event.pointerId);
    });
    lanes.addEventListener("pointermove", (event) => {
      if (!held) return this.hover(event);
      const dx = event.clientX - held.x, dy = event.clientY - held.y;
      if (!held.moved && Math.hypot(dx, dy) < 4) return undefined;
      held.moved = true;
      this.get("tip").hidden = true;
      lanes.style.cursor = "grabbing";
      const by = -dx / this.painter.scale;
      this.look(held.view.from + by, held.view.to + by);
      return this.scroll(held.view.top - dy);
    });
    const release = (event) => {
      if (held && !held.moved && event.type === "pointerup") this.click(event);
      held = null;
      lanes.style.cursor = "";
    };
    lanes.addEventListener("pointerup", release);
    lanes.addEventListener("pointercancel", release);
  }

  listenToControls() {
    const on = (id, action) => { this.get(id).onclick = action; };
    on("in", () => this.zoom(0.5));
    on("out", () => this.zoom(2));
    on("whole", () => this.showWhole());
    on("program", () => this.showProgram());
    on("next", () => this.goToHit(1));
    on("previous", () => this.goToHit(-1));
    on("difference", () => this.goToDifference());
    on("align", () => this.toggleAlign());
    on("system", () => this.toggleSystem());
    on("theme", () => this.theme(!document.documentElement.classList.contains("dark")));
    on("help", () => this.get("keys").showModal());
    const input = this.get("search");
    input.addEventListener("input", () => this.find(input.value));
    input.addEventListener("keydown", (event) => {
      if (event.key === "Enter") this.goToHit(event.shiftKey ? -1 : 1);
      if (event.key === "Escape") { input.blur(); this.forget(); }
      event.stopPropagation();
    });
    const dark = window.matchMedia("(prefers-color-scheme: dark)");
    dark.addEventListener("change", () => this.theme(dark.matches));
    this.theme(dark.matches);
  }

  theme(dark) {
    document.documentElement.classList.toggle("dark", dark);
    this.painter.readColours();
    this.redraw();
  }

  forget() {
    this.get("search").value = "";
    this.find("");
    this.choose({ row: null });
  }

  key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey || this.get("keys").open) return;
    const actions = {
      "+": () => this.zoom(0.5), "=": () => this.zoom(0.5), "-": () => this.zoom(2), _: () => this.zoom(2),
      ArrowLeft: () => this.pan(-0.15), ArrowRight: () => this.pan(0.15), ArrowUp: () => this.stepRow(-1), ArrowDown: () => this.stepRow(1),
      PageUp: () => this.scroll(this.view.top - 300), PageDown: () => this.scroll(this.view.top + 300),
      Home: () => this.pan(-1e9), End: () => this.pan(1e9),
      0: () => this.showWhole(), p: () => this.showProgram(), k: () => this.toggleSystem(), t: () => this.get("theme").click(),
      d: () => this.goToDifference(), a: () => this.picture.both && this.toggleAlign(), n: () => this.goToHit(1), N: () => this.goToHit(-1),
      "[": () => this.stepEvent(-1), "]": () => this.stepEvent(1), "/": () => this.get("search").focus(), "?": () => this.get("keys").showModal(),
      Escape: () => this.forget(),
    };
    const action = actions[event.key];
    if (!action) return;
    event.preventDefault();
    action();
  }
}

{
  const head = JSON.parse(document.getElementById("head").textContent);
  const packed = [...document.querySelectorAll("script.run")].map((script) => {
    const bytes = fromBase64(script.textContent);
    script.remove();
    return bytes;
  });
  // For tests, and for whoever is curious in the browser's console.
  window.coe = new Page(head, packed);
}
