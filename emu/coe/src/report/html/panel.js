// ---- What is chosen, in words, with its neighbours.

const NEIGHBOURS = 8;

class Panel {
  constructor(section, picture, page) {
    this.section = section;
    this.picture = picture;
    this.page = page;
  }

  show(state) {
    if (state.event !== null) this.showEvent(state.run, state.event);
    else if (state.segment) this.showSegment(state.run, state.segment);
    else if (state.row?.lanes) this.showTask(state.row.lanes[0] ? 0 : 1, (state.row.lanes[0] ?? state.row.lanes[1]).id);
    else this.showWelcome();
  }

  showWelcome() {
    const run = this.picture.runs[0];
    this.section.replaceChildren(
      el("h2", {}, "The run"),
      facts([...run.facts, ["cycles", grouped(run.end)], ["events", grouped(run.cycle.length)], ["tasks", String(run.lanes.length)]]),
      el("p", { className: "hint" }, "Click a lane to see what happens there. The wheel zooms, dragging moves, ? shows all keys."));
    if (!this.picture.both) return;
    const other = this.picture.runs[1];
    this.section.append(
      el("h2", {}, "B, to compare with"),
      facts([["title", other.title], ...other.facts, ["cycles", `${grouped(other.end)} (${signed(other.end - run.end)})`]]),
      el("p", { className: "hint" }, this.differenceInWords()));
  }

  differenceInWords() {
    const { difference, runs } = this.picture;
    if (!difference) return "The program's tasks do the same in the same order in both.";
    const side = (at, run) => (at === null ? "nothing more" : `${run.lanes[run.lane[at]].name}: ${run.words(at)}`);
    return `The first difference: A has ${side(difference[0], runs[0])}; B has ${side(difference[1], runs[1])}.`;
  }

  title(run, lane) {
    const { name, programs, pid } = this.picture.runs[run].lanes[lane];
    const program = programs.length ? ` · ${programs[programs.length - 1][1]}` : "";
    return el("h3", {}, (this.picture.both ? "AB"[run] + " · " : "") + name, el("span", { className: "hint" }, `${program} · number ${pid}`));
  }

  showEvent(which, at) {
    const run = this.picture.runs[which];
    const words = run.words(at), space = words.indexOf(" ");
    const name = space < 0 ? words : words.slice(0, space);
    const pairs = [...words.slice(name.length).matchAll(/ (\w+)=("(?:[^"\\]|\\.)*"|\S*)/g)].map((found) => [found[1], found[2]]);
    const lane = run.lane[at];
    const dot = el("span", { className: "dot" });
    dot.style.background = `var(--${CLASSES[run.classOf[at]].name})`;
    this.section.replaceChildren(
      el("h2", {}, "Event"), this.title(which, lane),
      el("h3", { id: "chosen-event" }, dot, name),
      facts([["cycle", grouped(run.cycle[at])], ...pairs]));
    const place = run.eventFrom(lane, run.cycle[at]);
    const { events } = run.lanes[lane];
    let middle = place;
    while (events[middle] !== at && middle < events.length - 1) middle++;
    this.neighbours(which, lane, middle, at);
  }

  showSegment(which, { lane, at }) {
    const run = this.picture.runs[which];
    const { track } = run.lanes[lane];
    const from = track.from(at), to = track.to[at];
    const state = run.states[track.state[at]], cause = run.causes[track.cause[at]];
    const rows = [
      ["state", state + (cause ? `, ${[SLEEPING, BLOCKED].includes(track.state[at]) ? "in" : "for"} ${cause}` : "")],
      ["from", grouped(from)], ["to", grouped(to)], ["length", `${grouped(to - from)} cycles`], ["CPU", String(track.cpu[at])],
    ];
    const deed = this.whoDid(run, lane, from);
    if (deed) rows.push(deed);
    const step = (to_, label) => (to_ < 0 || to_ >= track.count ? null
      : el("a", { className: "jump", onclick: () => this.page.chooseSegment(which, lane, to_) }, label(run.states[track.state[to_]], track.to[to_] - track.from(to_))));
    this.section.replaceChildren(
      el("h2", {}, "Time"), this.title(which, lane), facts(rows),
      el("p", { className: "hint" },
        step(at - 1, (what, long) => `← ${what}, ${grouped(long)}`) ?? "", "  ",
        step(at + 1, (what, long) => `${what}, ${grouped(long)} →`) ?? ""));
    this.neighbours(which, lane, run.eventFrom(lane, from), null);
  }

  /** Who created or woke a task at this very cycle. */
  whoDid(run, lane, cycle) {
    const { arrows } = run;
    for (let at = search(arrows.cycle, cycle); at < arrows.count && arrows.cycle[at] === cycle; at++) {
      if (arrows.to[at] !== lane || arrows.deed[at] > WAKE) continue;
      return [arrows.deed[at] === CLONE ? "created by" : "woken by", run.lanes[arrows.from[at]].name];
    }
    return null;
  }

  showTask(which, id) {
    const run = this.picture.runs[which];
    const lane = run.lanes[id];
    const spent = new Float64Array(STATES);
    lane.track.spent(lane.born, lane.track.end, spent);
    const parent = lane.parent === null || lane.parent === undefined ? "nobody" : run.lanes[lane.parent].name;
    const states = run.states.map((name, state) => [name, spent[state]]).filter(([, cycles]) => cycles > 0);
    this.section.replaceChildren(
      el("h2", {}, "Task"), this.title(which, id),
      facts([["created", `${grouped(lane.born)} by ${parent}`], ["gone", lane.gone === null ? "not in this run" : grouped(lane.gone)],
        ...lane.programs.map(([cycle, program]) => ["runs", `${program} from ${grouped(cycle)}`]),
        ...states.map(([name, cycles]) => [name, `${grouped(cycles)} cycles`]),
        ["events", grouped(lane.events.length)]]));
    this.neighbours(which, id, run.eventFrom(id, this.page.state.cursor ?? lane.born), null);
  }

  /** The lane's events around a place, to click on. */
  neighbours(which, lane, place, chosen) {
    const run = this.picture.runs[which];
    const { events } = run.lanes[lane];
    const list = el("ol", { className: "neighbours" });
    const from = Math.max(0, place - NEIGHBOURS), to = Math.min(events.length, place + NEIGHBOURS + 1);
    const base = chosen === null ? this.page.state.cursor ?? run.lanes[lane].born : run.cycle[chosen];
    for (let at = from; at < to; at++) {
      const event = events[at];
      const ago = event === chosen ? grouped(run.cycle[event]) : signed(run.cycle[event] - base);
      const what = el("span", { className: "what", title: run.words(event) }, run.words(event));
      what.style.color = `var(--${CLASSES[run.classOf[event]].name === "frame" ? "soft" : "ink"})`;
      list.append(el("li", { className: event === chosen ? "here" : "", onclick: () => this.page.chooseEvent(which, event, true) },
        el("span", { className: "ago" }, ago), what));
    }
    this.section.append(el("h2", {}, "Events of this lane around it"), events.length ? list : el("p", { className: "hint" }, "It has none."));
  }
}

const facts = (pairs) => el("table", { className: "facts number" }, ...pairs.map(([name, value]) => el("tr", {}, el("td", {}, name), el("td", {}, value))));

const signed = (cycles) => (cycles < 0 ? "−" : "+") + grouped(Math.abs(cycles));
