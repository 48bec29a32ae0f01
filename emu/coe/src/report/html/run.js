// ---- A run: its lanes, their segments and events, who did what to whom.

const USER = 0, KERNEL = 1, RUNNABLE = 2, SLEEPING = 3, BLOCKED = 4, STOPPED = 5, ZOMBIE = 6, IDLE = 7;
const STATES = 8;

/** What kinds of events there are to look at; each has its colour, its shape and its switch. */
const CLASSES = [
  { name: "life", label: "fork, exec, exit", shape: "flag", shown: true },
  { name: "cow", label: "copy on write", shape: "diamond", shown: true },
  { name: "fault", label: "page fault", shape: "dot", shown: true },
  { name: "signal", label: "signal", shape: "triangle", shown: true },
  { name: "futex", label: "futex", shape: "dot", shown: true },
  { name: "io", label: "console, disk", shape: "square", shown: true },
  { name: "trouble", label: "trouble", shape: "flag", shown: true },
  { name: "syscall", label: "system call", shape: "tick", shown: true },
  { name: "switch", label: "switch, wakeup, interrupt", shape: "tick", shown: true },
  { name: "choice", label: "choice", shape: "tick", shown: false },
  { name: "frame", label: "frames", shape: "tick", shown: false },
];
const classNamed = (name) => CLASSES.findIndex((c) => c.name === name);
const CLASS_OF = {
  sched_process_fork: "life", sched_process_exec: "life", sched_process_exit: "life", sched_process_free: "life",
  task_rename: "life", sys_enter: "syscall", sys_exit: "syscall", sys_missing: "trouble", page_fault: "fault",
  signal_generate: "signal", signal_deliver: "signal", mm_page_alloc: "frame", mm_page_free: "frame",
  futex_look: "futex", futex_queue: "futex", futex_wake: "futex", futex_requeue: "futex",
  block_rq_issue: "io", block_rq_complete: "io", console: "io", input: "io", choice: "choice",
  kernel_panic: "trouble", leak: "trouble", unknown_event: "trouble",
};
const DEEDS = ["life", "switch", "signal"];
const CLONE = 0, WAKE = 1;

/** Segments that follow each other without gaps, with sums for any span of time. */
class Track {
  constructor(born, count) {
    this.born = born;
    this.to = new Float64Array(count);
    this.state = new Uint8Array(count);
    this.cause = new Uint16Array(count);
    this.cpu = new Uint8Array(count);
    this.sums = null;
  }

  get count() { return this.to.length; }
  get end() { return this.count ? this.to[this.count - 1] : this.born; }
  from(at) { return at ? this.to[at - 1] : this.born; }

  /** The segment at a cycle, or -1. */
  at(cycle) {
    if (cycle < this.born || cycle >= this.end) return -1;
    return search(this.to, cycle, true);
  }

  /** How many cycles of [from, to) each state has, added to `out`. */
  spent(from, to, out) {
    const before = new Float64Array(STATES), after = new Float64Array(STATES);
    const hint = this.reach(from, 0, before);
    this.reach(to, hint, after);
    for (let state = 0; state < STATES; state++) out[state] += after[state] - before[state];
  }

  /** Writes to `out` how many cycles each state has had up to a cycle. Gives the
   *  segment's place, which is a good hint for the next cycle that is not less. */
  reach(cycle, hint, out) {
    this.sums ??= this.sum();
    const until = Math.min(Math.max(cycle, this.born), this.end);
    if (!this.count) { out.fill(0); return 0; }
    const { to } = this;
    let step = 1;
    while (hint + step < this.count && to[hint + step] <= until) step *= 2;
    const at = Math.min(search(to, until, true, hint, Math.min(hint + step + 1, this.count)), this.count - 1);
    for (let state = 0, from = at * STATES; state < STATES; state++) out[state] = this.sums[from + state];
    out[this.state[at]] += until - this.from(at);
    return at;
  }

  /** For each segment, how many cycles each state had before it. */
  sum() {
    const sums = new Float64Array(this.count * STATES);
    const sofar = new Float64Array(STATES);
    for (let at = 0; at < this.count; at++) {
      sums.set(sofar, at * STATES);
      sofar[this.state[at]] += this.to[at] - this.from(at);
    }
    return sums;
  }
}

/** Everything about one run. */
class Run {
  constructor(head, bytes) {
    Object.assign(this, head);
    const numbers = new Numbers(unpack(bytes, head.length));
    this.lanes.forEach((lane) => { lane.track = readTrack(numbers, lane.born); });
    this.readEvents(numbers);
    this.arrows = columns(numbers, ["cycle", "deed", "from", "to"]);
    this.deeds = DEEDS.map((_, deed) => this.arrows.deed.reduce((found, other, at) => { if (other === deed) found.push(at); return found; }, []));
    this.changes = columns(numbers, ["cycle", "lane", "part", "object"]);
    this.text = numbers.text();
    this.findLines();
    this.sortByLane();
    this.cpus = cpuTracks(this);
    this.main = this.lanes.findIndex((lane) => lane.name === "main");
    this.lanes.forEach((lane, id) => { lane.id = id; lane.system = !/^main(\/|$)/.test(lane.name); });
  }

  /** The cycle at which the program begins: what is before is the boot. */
  get start() {
    if (this.main < 0) return 0;
    const { programs, born } = this.lanes[this.main];
    return programs.length ? programs[0][0] : born;
  }

  readEvents(numbers) {
    const count = numbers.next();
    this.cycle = new Float64Array(count);
    this.lane = new Uint32Array(count);
    this.kind = new Uint8Array(count);
    let cycle = 0;
    for (let at = 0; at < count; at++) {
      this.cycle[at] = cycle += numbers.next();
      this.lane[at] = numbers.next();
      this.kind[at] = numbers.next();
    }
  }

  findLines() {
    this.ends = new Uint32Array(this.cycle.length);
    let end = -1;
    for (let at = 0; at < this.ends.length; at++) this.ends[at] = end = this.text.indexOf("\n", end + 1);
  }

  /** The words of an event. */
  words(at) { return this.text.slice(at ? this.ends[at - 1] + 1 : 0, this.ends[at]); }

  /** Gives each lane its events, all of them and by class. */
  sortByLane() {
    const classes = this.kinds.map((kind) => classNamed(CLASS_OF[kind] ?? "switch"));
    const fault = this.kinds.indexOf("page_fault"), cow = classNamed("cow");
    this.classOf = new Uint8Array(this.cycle.length);
    this.totals = CLASSES.map(() => 0);
    const counts = this.lanes.map(() => new Uint32Array(CLASSES.length + 1));
    for (let at = 0; at < this.classOf.length; at++) {
      let of = classes[this.kind[at]];
      if (this.kind[at] === fault && /^page_fault kind=(cow|reuse)/.test(this.text.substr(at ? this.ends[at - 1] + 1 : 0, 22))) of = cow;
      this.classOf[at] = of;
      this.totals[of]++;
      counts[this.lane[at]][of]++;
      counts[this.lane[at]][CLASSES.length]++;
    }
    this.lanes.forEach((lane, id) => {
      lane.events = new Uint32Array(counts[id][CLASSES.length]);
      lane.byClass = CLASSES.map((_, of) => new Float64Array(counts[id][of]));
      counts[id].fill(0);
    });
    for (let at = 0; at < this.classOf.length; at++) {
      const id = this.lane[at], of = this.classOf[at], lane = this.lanes[id];
      lane.events[counts[id][CLASSES.length]++] = at;
      lane.byClass[of][counts[id][of]++] = this.cycle[at];
    }
  }

  /** The place among a lane's events of the first one that is not before a cycle. */
  eventFrom(lane, cycle) {
    const { events } = this.lanes[lane];
    return searchBy((at) => this.cycle[events[at]], cycle, events.length);
  }

  /** The contexts of all tasks just after a cycle: by lane, an object for each part. */
  contextsAt(cycle) {
    const contexts = new Map();
    const { changes } = this;
    const end = search(changes.cycle, cycle, true);
    for (let at = 0; at < end; at++) {
      const lane = changes.lane[at];
      if (!contexts.has(lane)) contexts.set(lane, new Uint32Array(this.parts.length));
      contexts.get(lane)[changes.part[at]] = changes.object[at];
    }
    for (const [lane, parts] of contexts) if (parts.every((object) => object === 0)) contexts.delete(lane);
    return contexts;
  }

  /** The first cycle at which most of the program's tasks live. */
  busiest() {
    const steps = [];
    this.lanes.forEach((lane) => {
      if (lane.system) return;
      const exit = lane.track.count && lane.track.state[lane.track.count - 1] === ZOMBIE ? lane.track.from(lane.track.count - 1) : lane.track.end;
      steps.push([lane.born, 1], [exit, -1]);
    });
    steps.sort((a, b) => a[0] - b[0] || a[1] - b[1]);
    let alive = 0, most = 0, when = this.start;
    for (const [cycle, step] of steps) {
      alive += step;
      if (alive > most) { most = alive; when = Math.max(cycle, this.start); }
    }
    return when;
  }
}

const readTrack = (numbers, born) => {
  const track = new Track(born, numbers.next());
  let cycle = born;
  for (let at = 0; at < track.count; at++) {
    track.to[at] = cycle += numbers.next();
    const where = numbers.next();
    track.state[at] = where & 7;
    track.cpu[at] = where >> 3;
    track.cause[at] = numbers.next();
  }
  return track;
};

/** Reads rows of numbers into an array for each column; the first one is given as differences. */
const columns = (numbers, names) => {
  const count = numbers.next();
  const table = { count };
  names.forEach((name, place) => { table[name] = place ? new Uint32Array(count) : new Float64Array(count); });
  let sum = 0;
  for (let at = 0; at < count; at++) {
    table[names[0]][at] = sum += numbers.next();
    for (let place = 1; place < names.length; place++) table[names[place]][at] = numbers.next();
  }
  return table;
};

/** What each CPU did: the running segments of all lanes, in the order of time. */
const cpuTracks = (run) => {
  const found = new Map();
  run.lanes.forEach((lane, id) => {
    const { track } = lane;
    for (let at = 0; at < track.count; at++) {
      const state = track.state[at];
      if (state !== USER && state !== KERNEL && state !== IDLE) continue;
      if (!found.has(track.cpu[at])) found.set(track.cpu[at], []);
      found.get(track.cpu[at]).push([track.from(at), track.to[at], state, track.cause[at], id]);
    }
  });
  return [...found.keys()].sort((a, b) => a - b).map((cpu) => {
    const parts = found.get(cpu).sort((a, b) => a[0] - b[0]);
    const track = new Track(parts[0][0], parts.length);
    track.lane = new Uint32Array(parts.length);
    parts.forEach(([, to, state, cause, lane], at) => {
      track.to[at] = to; track.state[at] = state; track.cause[at] = cause; track.lane[at] = lane; track.cpu[at] = cpu;
    });
    return { name: `CPU ${cpu}`, cpu, track };
  });
};
