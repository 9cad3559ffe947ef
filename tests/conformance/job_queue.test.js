// JOB_QUEUE_URL: workers take jobs from a queue of SQS, which is fauxqs; the database stays the truth.
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { numbered } from '../support/client.js';
import { startWorker } from '../support/coupond.js';
import { defaultBackend } from '../support/data.js';
import { Fauxqs } from '../support/fauxqs.js';
import { testServer } from '../support/harness.js';
import { temporaryFolder } from '../support/processes.js';
import { filesBelow } from '../support/qr.js';
import { assertJob } from '../support/shapes.js';

async function until(condition, what, withinMs = 60_000) {
    for (const deadline = Date.now() + withinMs; !(await condition()); await sleep(20)) {
        assert.ok(Date.now() < deadline, `${what} within ${withinMs} ms`);
    }
}

const messageOf = ({ id }) => `{"jobId":${id}}`;
const isUnderway = ({ created }) => created > 0;
/** So large that it is worked on for some seconds. */
const slow = { format: 'png', size: 2_000 };

let aws;
let made = 0;
before(async () => {
    aws = await Fauxqs.start();
});
after(() => aws.stop());

/** A server of a queue of its own: `{server, client, url, env}`. */
async function queueServer(t, more) {
    made += 1;
    const url = await aws.makeQueue(`jobs-${made}`);
    const env = { ...aws.env, JOB_QUEUE_URL: url, QR_DIR: temporaryFolder(), ...more };
    const { server, client } = await testServer(t, { env });
    return { server, client, url, env };
}

/** A worker that outlives no test. */
async function testWorker(t, data, env) {
    const worker = await startWorker(data, { env });
    t.after(() => worker.kill('SIGKILL'));
    return worker;
}

/** No message is left, soon. */
async function untilEmpty(url, withinMs = 20_000) {
    const left = () => Object.values(aws.messages(url)).flat();
    await until(() => left().length === 0, 'an empty queue', withinMs).catch((error) => {
        throw new Error(`${error.message}: ${left()}`);
    });
}

/** A job whose codes begin with this, of each kind. */
async function oneOfEach(client, prefix, codes = 20_000) {
    const book = await client.newBook({ codePattern: `${prefix}G{8}` });
    const drawn = await client.newBookWith(numbered(`${prefix}D-`, 300));
    const file = `code\n${numbered(`${prefix}I-`, codes).join('\n')}\n`;
    return [
        [await client.mustBegin(book.id, codes), codes],
        // Not all or none, which keeps others from adding codes for a while.
        [await client.mustImport(book.id, file, { onConflict: 'skip' }), codes],
        [await client.mustDraw(drawn.id), 300],
    ];
}

async function assertAllDone(client, jobs) {
    for (const [{ id }, created] of jobs) {
        const job = await client.untilJob(id);
        assertJob(job, { status: 'completed', requested: created, created, failed: 0 });
        if (job.type === 'qr') assert.equal(filesBelow(job.location).size, created);
    }
}

const several = { skip: defaultBackend() === 'sqlite' && 'one process a file' };

// Side by side, because they often wait.
describe('a queue of jobs', { concurrency: true }, () => {
    it('is told of jobs of every kind, which are done, and is empty then', async (t) => {
        const { server, client, url } = await queueServer(t);
        const jobs = await oneOfEach(client, 'Q');
        await until(() => Object.values(aws.messages(url)).flat().length > 0, 'a message');
        const said = Object.values(aws.messages(url)).flat();
        const known = jobs.map(([job]) => messageOf(job));
        for (const message of said) assert.ok(known.includes(message), message);
        await assertAllDone(client, jobs);
        await untilEmpty(url);
        assert.doesNotMatch(server.stderr, /queue of jobs|wait for their queue/);
        assert.ok(!(server.stderr + server.stdout).includes(aws.secret));
    });

    it('may hold what is none of coupond’s, or of no job here: others go on', async (t) => {
        const { server, client, url } = await queueServer(t);
        const foreign = [
            ...['hello', '{}', '{"jobId":"1"}', '{"jobId":0}', '{"jobId":-1}', '{"jobId":1.5}'],
            ...['{"jobId":1', '{"jobId":1}}', ' {"jobId":1}', '{"jobId": 1}', '{"jobId":99999999999999999999}'],
            ...['{"jobId":1,"more":2}', '{"jobId":}', '[1]', 'null'],
        ];
        for (const body of foreign) await aws.send(url, body);
        await aws.send(url, '{"jobId":4711}');
        const jobs = await oneOfEach(client, 'F');
        await assertAllDone(client, jobs);
        const none = /a message in the queue of jobs is none of coupond's message=/g;
        await until(() => (server.stderr.match(none) ?? []).length >= foreign.length, 'the log');
        assert.match(server.stderr, /a message in the queue of jobs is of none in this database .*job=4711/);
        // They are left alone, for whoever they are of.
        await until(() => Object.values(aws.messages(url)).flat().length === foreign.length + 1, 'the rest');
        const left = Object.values(aws.messages(url)).flat();
        assert.deepEqual(left.sort(), [...foreign, '{"jobId":4711}'].sort());
        assert.doesNotMatch(server.stderr, /hello/);
    });

    it('may hold a message more than once', async (t) => {
        const { client, url } = await queueServer(t);
        const { id } = await client.newBookWith(numbered('TWICE-', 300));
        const job = await client.mustDraw(id, slow);
        for (let turn = 0; turn < 12; turn += 1) await aws.send(url, messageOf(job));
        await assertAllDone(client, [[job, 300]]);
        // And of one that has ended long since.
        await aws.send(url, messageOf(job));
        await untilEmpty(url);
        assert.equal((await client.allJobs()).length, 1);
    });

    it('may lose a message: whoever is started again tells of the job again', async (t) => {
        const { server, client, url } = await queueServer(t);
        const { id } = await client.newBookWith(numbered('LOST-', 600));
        const job = await client.mustDraw(id, slow);
        await client.untilJob(job.id, isUnderway);
        await server.kill9();
        await aws.purge(url);
        await server.data.execute('UPDATE job SET claimed_until = 0 WHERE claimed_until IS NOT NULL');
        await server.start();
        await assertAllDone(client, [[job, 600]]);
        await untilEmpty(url);
    });

    it('may lose it while somebody works on the job, too', async (t) => {
        const { server, client, url } = await queueServer(t);
        const { id } = await client.newBookWith(numbered('PURGE-', 4_000));
        const job = await client.mustDraw(id, slow);
        await client.untilJob(job.id, isUnderway);
        await aws.purge(url);
        // As long as it takes until the message would be kept for longer, and then it goes on.
        await until(
            async () => /wait for their queue/.test(server.stderr) || (await client.job(job.id)).body.finishedAt,
            'the message to be missed',
        );
        const { body: before } = await client.job(job.id);
        if (before.finishedAt === null) {
            const isFurther = ({ created, finishedAt }) => finishedAt !== null || created > before.created;
            await client.untilJob(job.id, isFurther, 30_000);
            await client.cancel(job.id);
        }
        await untilEmpty(url);
    });

    it('is shared by several workers, and no job is done twice', several, async (t) => {
        const { server, client, url, env } = await queueServer(t);
        const workers = [await testWorker(t, server.data, env), await testWorker(t, server.data, env)];
        const jobs = [];
        for (const prefix of ['W', 'X', 'Y']) jobs.push(...(await oneOfEach(client, prefix)));
        await assertAllDone(client, jobs);
        for (const worker of workers) {
            worker.kill('SIGTERM');
            assert.deepEqual(await worker.exit(10_000), { code: 0, signal: null }, worker.output);
            assert.ok(!worker.output.includes(aws.secret));
        }
        // What somebody else had received comes again to be removed.
        await untilEmpty(url, 100_000);
        await server.data.verify();
    });

    it('has others go on with what a worker had that is killed', several, async (t) => {
        const { server, client, url, env } = await queueServer(t);
        await server.kill9();
        const worker = await testWorker(t, server.data, env);
        await server.start();
        const { id } = await client.newBookWith(numbered('KILL-', 1_500));
        const job = await client.mustDraw(id, slow);
        await client.untilJob(job.id, isUnderway);
        // Whoever has it: the others go on, whichever is left.
        worker.kill('SIGKILL');
        await worker.exited;
        const { created } = (await client.job(job.id)).body;
        const other = await testWorker(t, server.data, env);
        await client.untilJob(job.id, (now) => now.finishedAt !== null || now.created > created);
        await server.kill9();
        await server.start();
        await assertAllDone(client, [[job, 1_500]]);
        other.kill('SIGTERM');
        assert.deepEqual(await other.exit(10_000), { code: 0, signal: null }, other.output);
        await untilEmpty(url, 100_000);
    });
});

describe('a queue of jobs that is away', () => {
    it('is waited for from the start, which is said once', async (t) => {
        await aws.down();
        made += 1;
        const url = `${aws.url}/000000000000/jobs-${made}`;
        const env = { ...aws.env, JOB_QUEUE_URL: url, QR_DIR: temporaryFolder() };
        const { server, client } = await testServer(t, { env });
        const { id } = await client.newBookWith(['AWAY-1']);
        const job = await client.mustDraw(id);
        const waits = /jobs wait for their queue.*reason=/g;
        await until(() => waits.test(server.stderr), 'the log');
        // Others are served.
        await client.mustAssign('AWAY-1', 'ann');
        await sleep(8_000);
        assertJob((await client.job(job.id)).body, { status: 'queued' });
        // There, but without the queue: that is said to be the same.
        await aws.up();
        await sleep(3_000);
        assertJob((await client.job(job.id)).body, { status: 'queued' });
        assert.equal(server.stderr.match(waits).length, 1, server.stderr);
        assert.equal(await aws.makeQueue(`jobs-${made}`), url);
        await assertAllDone(client, [[job, 1]]);
        await untilEmpty(url);
        assert.equal(server.stderr.match(/the queue of jobs answers again/g).length, 1);
        assert.ok(!server.stderr.includes(aws.secret));
    });

    it('lets the server stop at once, whatever it waits for', async (t) => {
        const { server, client, url } = await queueServer(t);
        await sleep(1_500);
        const stop = async () => {
            const since = Date.now();
            await server.stop();
            assert.ok(Date.now() - since < 5_000, `${Date.now() - since} ms`);
        };
        await stop();
        await server.start();
        const { id } = await client.newBookWith(numbered('STOP-', 1_000));
        const job = await client.mustDraw(id, slow);
        await client.untilJob(job.id, isUnderway);
        await stop();
        await aws.down();
        await server.start();
        await until(() => /jobs wait for their queue/.test(server.stderr), 'the log');
        await stop();
        await aws.up();
        await aws.purge(url);
    });
});
