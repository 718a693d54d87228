/**
 * How many lanes are used on machines that are described by two functions of the number of lanes: the throughput, and
 * the number of idle processors.
 *
 * @module
 */

import { equal, ok } from "node:assert/strict";
import { LanePolicy } from "../../../core/engine/lanes/policy.ts";

/** Milliseconds of a turn, and of the start of a lane. */
const TURN = 1, START = 80;
const LIMIT = 3;

/** A machine, by its number of lanes in use. */
interface Behaviour {
  /** Bytes per millisecond. */
  readonly rate: (lanes: number) => number;
  /** Processors. */
  readonly idle: (lanes: number) => number;
  /** The fraction of time in which the engine's thread works or waits for a processor. */
  readonly busy?: (lanes: number) => number;
  /** Milliseconds until a started lane reaches its full speed. */
  readonly slowFor?: number;
}

/** The average of a value between two calls. */
class Mean {
  #sum = 0;
  #since = 0;

  constructor(readonly clock: { readonly now: number }) {}

  add(amount: number): void {
    this.#sum += amount;
  }

  take(): number {
    const mean = this.#sum / (this.clock.now - this.#since);
    this.#sum = 0;
    this.#since = this.clock.now;
    return mean;
  }
}

/** Runs a policy on simulated machines. */
class Simulation {
  now = 1_000;
  lanes = 0;
  passed = 0;
  readonly policy: LanePolicy;
  readonly random: () => number;
  #idle = new Mean(this);
  #busy = new Mean(this);
  #starting: number | null = null;
  #startedAt = 0;

  /** @param tells Whether it knows how busy the engine's thread is. */
  constructor(
    public machine: Behaviour,
    { considerate = true, tells = true, random = () => 0.5 }: {
      considerate?: boolean;
      tells?: boolean;
      random?: () => number;
    } = {},
  ) {
    this.random = random;
    this.policy = new LanePolicy(LIMIT, considerate, {
      idleProcessors: () => this.#idle.take(),
      busy: () => tells ? this.#busy.take() : NaN,
    });
  }

  get using(): number {
    return Math.min(this.lanes, this.policy.wanted);
  }

  /** @returns The number of lanes used in each millisecond. */
  run(milliseconds: number): number[] {
    const used: number[] = [];
    for (const end = this.now + milliseconds; this.now < end; this.now += TURN) {
      const { rate, idle, busy = () => 1, slowFor = 0 } = this.machine;
      const cold = this.now < this.#startedAt + slowFor;
      const bytes = rate(cold ? 0 : this.using) * TURN * (0.8 + 0.4 * this.random());
      this.passed += bytes;
      this.#idle.add(idle(this.using) * TURN);
      this.#busy.add(busy(this.using) * TURN);
      this.policy.count(bytes);
      const began = this.now - busy(this.using) * TURN;
      if (this.policy.turnEnded(began, this.now, this.lanes)) this.lanes = 0;
      if (this.lanes < this.policy.wanted) {
        this.#starting ??= this.now + START;
        if (this.now >= this.#starting) {
          this.lanes++;
          this.#startedAt = this.now;
          this.#starting = null;
        }
      }
      used.push(this.using);
    }
    return used;
  }
}

const MUCH = 50_000;
const slowCores: Behaviour = { rate: (lanes) => MUCH * (1 + 0.6 * lanes), idle: (lanes) => 3.5 - lanes };
const fullMachine: Behaviour = { rate: (lanes) => MUCH * (lanes === 0 ? 1 : 0.85), idle: () => 0.02 };

/** The first time at which a number of lanes was used for this long. */
function when(used: readonly number[], lanes: number): number {
  return used.findIndex((count) => count === lanes);
}

for (const tells of [true, false]) {
  Deno.test(`if each lane helps, all lanes are used within a second, and stay in use${tells ? "" : ", without reports"}`, () => {
    const simulation = new Simulation(slowCores, { tells });
    const used = simulation.run(20_000);
    ok(when(used, 1) < 300, `the first after ${when(used, 1)} ms`);
    ok(when(used, LIMIT) > 0 && when(used, LIMIT) < 1_000, `the last after ${when(used, LIMIT)} ms`);
    equal(Math.min(...used.slice(1_000)), LIMIT);
  });
}

Deno.test("lanes that help only after V8 has compiled their code are kept", () => {
  const simulation = new Simulation({ ...slowCores, slowFor: 700 });
  equal(Math.min(...simulation.run(10_000).slice(1_000)), LIMIT);
});

Deno.test("if each lane needs the remaining processors, lanes are added one by one", () => {
  const simulation = new Simulation({ ...slowCores, idle: (lanes) => 3.6 - 1.2 * lanes });
  const used = simulation.run(10_000);
  equal(used.at(-1), LIMIT);
  simulation.machine = { ...slowCores, idle: () => 1.2 };
});

Deno.test("if all processors are busy, no lane is started", () => {
  const used = new Simulation(fullMachine).run(60_000);
  equal(Math.max(...used), 0);
});

Deno.test("an engine whose thread is idle most of the time starts no lane", () => {
  const used = new Simulation({ ...slowCores, busy: () => 0.35 }).run(20_000);
  equal(Math.max(...used), 0);
});

Deno.test("an engine starts lanes although its thread sleeps half of the time, if they help", () => {
  // As measured on slow cores: a thread has used its quota, but also waits for the other end.
  const simulation = new Simulation({ ...slowCores, busy: () => 0.5 });
  equal(simulation.run(5_000).at(-1), LIMIT);
});

Deno.test("two lanes for each idle processor are tried at once", () => {
  for (const [idle, lanes] of [[0.4, 0], [0.5, 1], [0.9, 2], [1.2, 3]] as const) {
    const simulation = new Simulation({ ...slowCores, idle: () => idle });
    simulation.run(160);
    equal(simulation.policy.wanted, lanes, `${idle} idle processors`);
  }
});

Deno.test("lanes are no longer used after ten seconds in which the engine's thread had little work, if they are not needed", () => {
  const simulation = new Simulation(slowCores);
  simulation.run(5_000);
  equal(simulation.using, LIMIT);
  simulation.machine = { rate: () => MUCH / 4, idle: () => 3, busy: (lanes) => lanes === 0 ? 0.3 : 0.2 };
  const used = simulation.run(12_000);
  ok(when(used, 0) > 9_000 && when(used, 0) < 11_000, `after ${when(used, 0)} ms`);
  equal(used.at(-1), 0);
});

Deno.test("lanes that are needed stay, even if the engine's thread has little work", () => {
  const simulation = new Simulation({ ...slowCores, busy: (lanes) => lanes === 0 ? 1 : 0.3 });
  simulation.run(5_000);
  simulation.passed = 0;
  simulation.run(60_000);
  ok(simulation.passed > 0.98 * 60_000 * slowCores.rate(LIMIT));
});

Deno.test("a lane that does not help is given up soon, and tried again after growing pauses", () => {
  const simulation = new Simulation({ rate: (lanes) => MUCH * (1 - 0.2 * lanes), idle: () => 1 });
  const used = simulation.run(120_000);
  const trials = used.filter((count, i) => count > 0 && used[i - 1] === 0).length;
  ok(trials >= 2 && trials <= 6, `${trials} trials`);
  ok(simulation.passed > 0.985 * 120_000 * MUCH);
});

Deno.test("when other programs use all processors, lanes stop within half a second, and are used again later", () => {
  const simulation = new Simulation(slowCores);
  simulation.run(5_000);
  equal(simulation.using, LIMIT);
  simulation.machine = fullMachine;
  const used = simulation.run(10_000);
  ok(when(used, 0) < 500, `after ${when(used, 0)} ms`);
  equal(Math.max(...used.slice(when(used, 0))), 0);
  simulation.machine = slowCores;
  const again = simulation.run(20_000);
  equal(again.at(-1), LIMIT);
});

Deno.test("lanes that use all processors themselves stay if they help", () => {
  const simulation = new Simulation({ ...slowCores, idle: (lanes) => LIMIT - lanes });
  simulation.run(5_000);
  simulation.passed = 0;
  simulation.run(60_000);
  ok(simulation.passed > 0.95 * 60_000 * slowCores.rate(LIMIT));
});

Deno.test("lanes that use all processors themselves are not doubted while the throughput stays", () => {
  const simulation = new Simulation({ ...slowCores, idle: (lanes) => 1.5 - lanes / 2 });
  simulation.run(2_000);
  equal(Math.min(...simulation.run(60_000)), LIMIT);
});

Deno.test("a full machine whose speed varies loses little to trials", () => {
  for (let seed = 1; seed < 20; seed++) {
    let state = seed, level = 1;
    const random = () => (state = Math.imul(state, 48_271) >>> 1) / 2 ** 31;
    const simulation = new Simulation({
      rate: (lanes) => {
        if (random() < 0.02) level = 0.7 + 0.6 * random();
        return level * fullMachine.rate(lanes);
      },
      // Sometimes there seem to be idle processors.
      idle: () => level < 0.8 ? 0.6 : 0.05,
    }, { random: () => 0.5 });
    const used = simulation.run(60_000);
    const part = used.filter((count) => count > 0).length / used.length;
    ok(part < 0.2, `lanes were used for ${part.toFixed(2)} of the time, seed ${seed}`);
  }
});

Deno.test("a number that the user has set is used whenever there is much traffic, busy or not", () => {
  const simulation = new Simulation({ ...fullMachine, busy: () => 0.1 }, { considerate: false });
  const used = simulation.run(2_000);
  ok(when(used, LIMIT) < 500);
});

Deno.test("lanes end after ten seconds without much traffic, and after ten without use", () => {
  const simulation = new Simulation(slowCores);
  simulation.run(5_000);
  simulation.machine = { ...slowCores, rate: () => 10 };
  simulation.run(9_000);
  equal(simulation.lanes, LIMIT);
  simulation.run(2_000);
  equal(simulation.lanes, 0);
  simulation.machine = slowCores;
  simulation.run(5_000);
  simulation.machine = fullMachine;
  simulation.run(11_000);
  equal(simulation.lanes, 0);
});

Deno.test("one handshake does not start a fixed number of lanes", () => {
  const policy = new LanePolicy(LIMIT, false, { idleProcessors: () => 1, busy: () => 1 });
  // Its multiplications count as many bytes, and the next turn may come after a pause.
  for (let now = 1_000; now < 1_005; now++) {
    policy.count(65_536);
    policy.turnEnded(now, now, 0);
  }
  policy.turnEnded(1_085, 1_085, 0);
  for (let now = 1_086; now < 1_300; now++) policy.turnEnded(now, now, 0);
  equal(policy.wanted, 0);
});
