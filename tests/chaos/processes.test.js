// Three coupond processes on one database and one Redis, under load: one of them is killed, or
// stands still, and the others go on as if nothing were.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { PostgresData } from '../support/data.js';
import { underLoad } from '../support/under_load.js';

const kills = 6;
const connections = 8;

const threeProcesses = (t) =>
    underLoad(t, { data: new PostgresData({ redis: true }), processes: 3, connections });

/** How many changes a load has been answered, and how many errors it has met. */
const changes = (load) => load.count(201);
const errors = (load) => load.count(503) + load.failures;

describe('one of three processes under load', () => {
    it(`killed, ${kills} times, costs the others nothing`, async (t) => {
        const work = await threeProcesses(t);
        for (let round = 0; round < kills; round += 1) {
            const index = round % 3;
            const victim = work.servers[index];
            await work.progress(100);
            const before = work.loads.map(({ failures }) => failures);
            await victim.kill9();
            await work.until(() => work.loads[index].failures > before[index], 'the kill');
            await work.loads[index].stop();
            await work.progress(60);
            await victim.start();
            work.pids[index] = victim.pid;
            await work.clients[index].untilReady();
            work.startOne(index);
            work.loads.forEach(({ failures }, other) => {
                if (other !== index) assert.equal(failures, before[other], work.said());
            });
            assert.equal(work.count(503), 0, work.said());
            if (round % 3 === 2) {
                await work.check();
                work.start();
            }
        }
        await work.check();
        work.report(t);
    });

    it('standing still holds nobody up, and goes on as if nothing were', async (t) => {
        const work = await threeProcesses(t);
        for (let index = 0; index < 3; index += 1) {
            await work.progress(100);
            const still = work.servers[index];
            const others = work.loads.filter((_, other) => other !== index);
            still.signal('SIGSTOP');
            t.after(() => still.running && still.signal('SIGCONT'));
            const goals = others.map((load) => changes(load) + 30);
            const held = 'changes beside one that stands still';
            await work.until(() => others.every((load, at) => changes(load) >= goals[at]), held);
            await work.during(1_000);
            for (const load of others) assert.equal(errors(load), 0, work.said());
            still.signal('SIGCONT');
            const stood = work.loads[index];
            const target = changes(stood) + 50;
            await work.until(() => changes(stood) >= target, 'the one that stood still');
            work.assertNoError();
        }
        await work.check();
        work.report(t);
    });
});
