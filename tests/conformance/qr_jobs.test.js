// POST /coupon/qr/:id: the QR codes of all codes of a book, drawn by a job into a folder. What is
// drawn is read back by ZBar.
import assert from 'node:assert/strict';
import { existsSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { assertRefused, nextPage, numbered } from '../support/client.js';
import { defaultBackend } from '../support/data.js';
import { suiteServer, testServer } from '../support/harness.js';
import { temporaryFolder } from '../support/processes.js';
import { filesBelow, nameOf, pixels, scanned } from '../support/qr.js';
import { refusals } from '../support/refusals.js';
import { isReplayed } from '../support/retry.js';
import { assertJob } from '../support/shapes.js';
import { smallDisk } from '../support/small_disk.js';

const encode = encodeURIComponent;
/** The one folder of a book of no more than 10,000 codes. */
const inOne = (names) => names.map((name) => `00001/${name}`).sort();
const pathsOf = (images) => [...images.keys()].sort();
const imagesRefused = {
    code: 'images_refused',
    message: 'The images could not be stored where they are to be: the log of coupond says why',
};

async function until(condition, what, withinMs = 60_000) {
    for (const deadline = Date.now() + withinMs; !(await condition()); await sleep(20)) {
        assert.ok(Date.now() < deadline, `${what} within ${withinMs} ms`);
    }
}

/** No PNG that was cut off. */
function assertWhole(image) {
    assert.equal(image.subarray(0, 8).toString('latin1'), '\x89PNG\r\n\x1a\n');
    assert.equal(image.subarray(-8, -4).toString('latin1'), 'IEND');
}

/** It has completed with so many images, and a reason for each other code. */
function assertCompleted(job, created, rejected = 0) {
    assertJob(job, {
        ...{ status: 'completed', progress: 1, requested: created + rejected, created, rejected },
        ...{ failed: rejected, error: null },
    });
}

describe('a job of images', () => {
    const folder = temporaryFolder({ inMemory: true }); // tens of thousands of files
    const c = suiteServer({ env: { QR_DIR: folder } });
    /** The images of a job that was begun, which are where it says. */
    const imagesOf = (job) => {
        const own = path.join(folder, String(job.couponBookId), String(job.id));
        assert.equal(job.location, own);
        return filesBelow(own);
    };
    const shown = async (code, { format = 'svg', ...query } = {}) => {
        const asked = `${new URLSearchParams(query)}`.replaceAll('+', '%20');
        const answer = await c.client.get(`/coupon/qr/${encode(code)}.${format}?${asked}`);
        assert.equal(answer.status, 200, answer.text);
        return answer.bytes;
    };

    const defaults = { format: 'svg', size: 400, margin: 4, errorLevel: 'M', url: null };
    const nulls = { format: null, size: null, margin: null, errorLevel: null, url: null };
    const url = 'https://shop.example/?c={code}&from=print';
    for (const [index, [what, wish, said = wish]] of [
        ['where nothing is said', undefined, {}],
        ['where an empty object is sent', {}],
        ['where all of it is null', nulls, {}],
        ['as PNG', { format: 'png' }],
        ['of a size', { size: 100 }],
        ['without margins, more of which may be lost', { format: 'png', margin: 0, errorLevel: 'H' }],
        ['of a url', { url, errorLevel: 'L', size: 300 }],
    ].entries()) {
        it(`draws what GET shows of each code: ${what}`, async () => {
            const codes = ['ONE', 'two', 'Grüße', 'x'.repeat(90)].map((code) => `${code}-${index}`);
            const book = await c.client.newBookWith(codes);
            const begun = await c.client.drawQr(book.id, wish);
            assert.equal(begun.status, 202, begun.text);
            assert.equal(begun.headers.location, `/coupon/jobs/${begun.body.id}`);
            assertJob(begun.body, {
                ...{ type: 'qr', couponBookId: book.id, status: 'queued', requested: 0 },
                ...{ ...defaults, ...said },
            });
            const job = await c.client.untilJob(begun.body.id);
            assertCompleted(job, codes.length);
            assertJob(job, { ...defaults, ...said });
            const images = imagesOf(job);
            const format = said.format ?? 'svg';
            assert.deepEqual(pathsOf(images), inOne(codes.map((code) => nameOf(code, format))));
            for (const code of codes) {
                const image = images.get(`00001/${nameOf(code, format)}`);
                assert.deepEqual(image, await shown(code, said), code);
                if (said.margin === 0) continue; // nobody has to find it
                const text = said.url ? url.replace('{code}', encode(code)) : code;
                assert.equal(await scanned(image), text);
            }
        });
    }

    it('names images so that every code has its own, in its folder', async () => {
        const codes = [
            ...['/', '..', '.', '.x', '../../../up', 'a/b', 'a\\b', '%2F', '%2E', '%', '~', '-rf', '*'],
            ...['😀', 'クーポン', 'é', 'e\u0301', 'A b', "'\"<>|&;$(`", 'CON', 'same', 'SAME', '.svg', 'x.svg'],
            ...['a'.repeat(128), '\u{10FFFF}'.repeat(128), `${'\u{10FFFF}'.repeat(127)}x`, 'é'.repeat(34)],
        ];
        const book = await c.client.newBookWith(codes);
        const job = await c.client.drawn(book.id, { size: 600 });
        assertCompleted(job, codes.length);
        const images = imagesOf(job);
        assert.equal(images.size, codes.length);
        const isLong = (code) => encode(code).length > 200;
        const known = codes.filter((code) => !isLong(code)).map((code) => nameOf(code));
        for (const name of known) {
            assert.match(name, /^[A-Za-z0-9_~%-][A-Za-z0-9._~%-]*\.svg$/);
            assert.ok(images.has(`00001/${name}`), name);
        }
        const read = new Map();
        for (const [name, image] of images) read.set(await scanned(image), name);
        assert.deepEqual([...read.keys()].sort(), [...codes].sort());
        for (const code of codes.filter(isLong)) {
            const begin = encode(code).slice(0, 199);
            assert.match(read.get(code), new RegExp(`^00001/${begin}~[0-9a-f]{32}\\.svg$`));
        }
        // Nothing is beside them.
        assert.ok(!existsSync(path.join(folder, 'up.svg')));
    });

    it('has ten thousand images in a folder, and all of them', async () => {
        const codes = numbered('MANY-', 10_050);
        const book = await c.client.newBookWith(codes);
        const job = await c.client.drawn(book.id, { size: 60 });
        assertCompleted(job, codes.length);
        const images = imagesOf(job);
        const placed = codes.map((code, index) => `${index < 10_000 ? '00001' : '00002'}/${nameOf(code)}`);
        assert.deepEqual(pathsOf(images), placed.sort());
        const different = new Set([...images.values()].map((image) => image.toString()));
        assert.equal(different.size, codes.length);
        for (let index = 7; index < codes.length; index += 997) {
            const image = images.get(placed.find((name) => name.endsWith(`/${nameOf(codes[index])}`)));
            assert.equal(await scanned(image), codes[index]);
        }
    });

    it('tells which codes have no image, and why, and completes', async () => {
        const wide = [1, 2].map((turn) => '\u{10FFFF}'.repeat(127) + turn);
        const fitting = numbered('FIT-', 3);
        const codes = [fitting[0], wide[0], fitting[1], fitting[2], wide[1]];
        const book = await c.client.newBookWith(codes);
        const tooLong = { url: `h:{code}${'x'.repeat(1_000)}`, errorLevel: 'H', size: 2_000 };
        const job = await c.client.drawn(book.id, tooLong);
        assertCompleted(job, 3, 2);
        assert.deepEqual(pathsOf(imagesOf(job)), inOne(fitting.map((code) => nameOf(code))));
        const rows = [2, 5].map((line, index) => ({
            ...{ line, reason: 'qr_text_too_long' },
            message: 'No QR code of this errorLevel holds this code and url',
            text: wide[index],
        }));
        assert.deepEqual(await c.client.rejectedRows(job.id), rows);
        const first = await c.client.get(`/coupon/jobs/${job.id}/rejected?limit=1`);
        assert.deepEqual(first.body, rows.slice(0, 1));
        assert.deepEqual((await c.client.get(nextPage(first))).body, rows.slice(1));
        const file = await c.client.get(`/coupon/jobs/${job.id}/rejected`, {
            headers: { accept: 'text/csv' },
        });
        const lines = rows.map(({ line, reason, message, text }) => `${line},${reason},${message},${text}\r\n`);
        assert.equal(file.text, `line,reason,message,text\r\n${lines.join('')}`);

        // 21 modules and a margin of 4 on either side.
        const small = await c.client.drawn(book.id, { size: 29, format: 'png' });
        assertCompleted(small, 3, 2);
        const reasons = (await c.client.rejectedRows(small.id)).map((row) => [row.line, row.reason, row.message]);
        const message = "The size has less than a pixel for each module of this code's image";
        assert.deepEqual(reasons, [2, 5].map((line) => [line, 'qr_size_too_small', message]));
        for (const image of imagesOf(small).values()) assert.equal(pixels(image).length, 29);
        const none = await c.client.drawn(book.id, { size: 28 });
        assertCompleted(none, 0, 5);
        assert.equal(imagesOf(none).size, 0);
        assert.equal((await c.client.rejectedRows(none.id)).length, 5);
    });

    it('of a book without codes completes with none', async () => {
        const { id } = await c.client.newBook();
        assertCompleted(await c.client.drawn(id), 0);
        const kept = (await c.client.newBookWith(['OTHER-BOOK'])).id;
        assert.ok(kept > id, 'the next book is none of its business');
        const job = await c.client.drawn(id);
        assertCompleted(job, 0);
        assert.equal(imagesOf(job).size, 0);
    });

    it('is begun once by requests with the same key', async () => {
        const { id } = await c.client.newBookWith(['KEY-1']);
        const headers = { 'idempotency-key': 'draw-once' };
        const first = await c.client.drawQr(id, { size: 90, url: 'h:{code}' }, { headers });
        await c.client.untilJob(first.body.id);
        const again = await c.client.drawQr(id, { size: 90, url: 'h:{code}' }, { headers });
        assert.deepEqual([again.status, again.text, isReplayed(again)], [202, first.text, true]);
        assert.equal(again.headers.location, first.headers.location);
        const other = await c.client.drawQr(id, { size: 91 }, { headers });
        assert.equal(other.status, 422, other.text);
        assert.equal((await c.client.allJobs({ couponBookId: id })).length, 1);
    });

    it('is among the jobs, and shown as the others', async () => {
        const { id } = await c.client.newBookWith(['LIST-1']);
        const jobs = [await c.client.drawn(id), await c.client.drawn(id, { format: 'png' })];
        assert.deepEqual(await c.client.allJobs({ couponBookId: id }), jobs.toReversed());
        assert.deepEqual(await c.client.allJobs({ couponBookId: id, status: 'failed' }), []);
        const listed = await c.client.allJobs({ couponBookId: id, status: 'completed' });
        assert.deepEqual(listed, jobs.toReversed());
        for (const job of jobs) {
            assert.deepEqual((await c.client.job(job.id)).body, job);
            assertRefused(await c.client.cancel(job.id), ...refusals.jobFinished);
        }
    });

    it('is not begun for a book that is archived, or not there', async () => {
        const { id } = await c.client.newBookWith(['ARCHIVED-1']);
        await c.client.mustArchive(id);
        assertRefused(await c.client.drawQr(id), ...refusals.bookArchived);
        assertRefused(await c.client.drawQr(999_999), ...refusals.bookNotFound);
        assert.deepEqual(await c.client.allJobs({ couponBookId: id }), []);
    });

    it('is refused by name what does not fit', async () => {
        const { id } = await c.client.newBook();
        const size = 'size must be an integer from 1 to 2000';
        const margin = 'margin must be an integer from 0 to 16';
        const format = 'format must be one of svg, png';
        const errorLevel = 'errorLevel must be one of L, M, Q, H';
        const unfitUrl =
            'url must be an absolute URI of at most 1024 characters that holds {code} once, ' +
            'such as https://shop.example/?c={code}';
        for (const [body, ...messages] of [
            ...[0, -1, 2_001, 1.5, '400', true, [], 1e20].map((value) => [{ size: value }, size]),
            ...[-1, 17, 0.5, '4', {}].map((value) => [{ margin: value }, margin]),
            ...['SVG', 'gif', '', 1, ['svg']].map((value) => [{ format: value }, format]),
            ...['l', 'LM', '', 1, {}].map((value) => [{ errorLevel: value }, errorLevel]),
            ...['', '{code}', 'h:', 'h:{code}{code}', 'h: {code}', 'h:{code}é', 'h:{code}\n', 1, []].map(
                (value) => [{ url: value }, unfitUrl],
            ),
            [{ url: `h:{code}${'x'.repeat(1_017)}` }, unfitUrl],
            [{ colour: 'red' }, 'property colour should not exist'],
            [
                { size: 0, margin: 17, format: 'x', errorLevel: 'x', url: 'x', more: 1 },
                ...[format, size, margin, errorLevel, unfitUrl, 'property more should not exist'],
            ],
        ]) {
            const answer = await c.client.drawQr(id, body);
            assert.deepEqual([...(answer.body.message ?? [])].sort(), messages.sort(), JSON.stringify(body));
            assertRefused(answer, 400, answer.body.message, 'validation_failed');
        }
        for (const unfit of ['0', '-1', 'x', '1.5', '99999999999999999999']) {
            const answer = await c.client.drawQr(unfit, {});
            assertRefused(answer, 400, ['id must be a positive integer'], 'validation_failed');
        }
        for (const [body, code] of [['{', 'malformed_json'], ['[]', undefined], ['null', undefined]]) {
            const answer = await c.client.drawQr(id, body);
            assert.equal(answer.status, 400, answer.text);
            if (code) assert.equal(answer.body.code, code);
        }
        const asForm = { headers: { 'content-type': 'application/x-www-form-urlencoded' } };
        assert.equal((await c.client.drawQr(id, 'size=1', asForm)).status, 415);
        assert.deepEqual(await c.client.allJobs({ couponBookId: id }), []);
        // As long as a url may be.
        await c.client.mustDraw(id, { url: `h:{code}${'x'.repeat(1_016)}` });
    });

    it('draws codes in every state, as they are stored', async () => {
        const codes = ['state-1', 'State 2', 'sTATE-3', 'state-4'];
        const book = await c.client.newBookWith(codes, { caseSensitive: false });
        for (const code of codes.slice(1)) await c.client.mustAssign(code, 'ann');
        for (const code of codes.slice(2)) await c.client.mustLock(code, 'ann');
        await c.client.mustRedeem('state-4', 'ann');
        await c.client.mustPatchCode('state-1', { active: false, expiresAt: '2020-01-01' });
        const job = await c.client.drawn(book.id);
        assertCompleted(job, 4);
        for (const code of codes) {
            assert.equal(await scanned(imagesOf(job).get(`00001/${nameOf(code)}`)), code);
        }
    });

    // Takes a while, for there is something to be done beside.
    const slow = { format: 'png', size: 2_000 };
    const isUnderway = ({ created }) => created > 0;

    it('that is cancelled leaves what is there, and draws no more', async () => {
        const count = 5_000;
        const { id } = await c.client.newBookWith(numbered('CANCEL-', count));
        const { id: jobId } = await c.client.mustDraw(id, slow);
        await c.client.untilJob(jobId, isUnderway);
        const headers = { 'idempotency-key': 'cancel-images' };
        const cancelled = await c.client.cancel(jobId, { headers });
        assert.equal(cancelled.status, 200, cancelled.text);
        const { created } = cancelled.body;
        assertJob(cancelled.body, { status: 'cancelled', failed: count - created, requested: count });
        assert.ok(created > 0 && created < count, `${created}`);
        const again = await c.client.cancel(jobId, { headers });
        assert.deepEqual([again.text, isReplayed(again)], [cancelled.text, true]);
        let [before, now] = [-1, imagesOf(cancelled.body).size];
        // The images of the moment are drawn to their end, and no others.
        await until(async () => {
            await sleep(1_000);
            [before, now] = [now, imagesOf(cancelled.body).size];
            return before === now;
        }, 'the end');
        assert.ok(now >= created && now <= created + 200, `${now} of ${created}`);
        assert.deepEqual((await c.client.job(jobId)).body, cancelled.body);
        for (const image of imagesOf(cancelled.body).values()) assertWhole(image);
    });

    it('ends when its book is archived', async () => {
        const { id } = await c.client.newBookWith(numbered('GONE-', 5_000));
        const { id: jobId } = await c.client.mustDraw(id, slow);
        await c.client.untilJob(jobId, isUnderway);
        await c.client.mustArchive(id);
        const job = await c.client.untilJob(jobId);
        assertJob(job, { status: 'failed', failed: job.requested - job.created });
        assert.equal(job.error.code, 'coupon_book_archived');
        assert.ok(job.created < 5_000);
    });

    it('draws beside others, and beside codes that are made', async () => {
        const books = [];
        for (const prefix of ['SIDE-', 'BY-']) {
            books.push(await c.client.newBookWith(numbered(prefix, 2_000), { codePattern: `${prefix}{8}` }));
        }
        const [images, others] = [await c.client.mustDraw(books[0].id), await c.client.mustDraw(books[1].id)];
        const made = await c.client.mustBegin(books[0].id, 20_000);
        for (const { id } of [made, others]) {
            assertJob(await c.client.untilJob(id), { status: 'completed', error: null });
        }
        const job = await c.client.untilJob(images.id);
        assertJob(job, { status: 'completed', progress: 1, failed: 0 });
        // Those that were there have theirs, and so may others.
        assert.ok(job.created >= 2_000 && job.created <= 22_000, `${job.created}`);
        const names = imagesOf(job);
        assert.equal(names.size, job.created);
        for (const code of numbered('SIDE-', 2_000)) assert.ok(names.has(`00001/${nameOf(code)}`), code);
        assert.equal(imagesOf((await c.client.job(others.id)).body).size, 2_000);
    });

    it('says no code in the log', () => {
        assert.doesNotMatch(c.server.stderr, /MANY-|CANCEL-|SIDE-|FIT-|ONE-|ARCHIVED-/);
    });
});

describe('the folder of images', () => {
    const sqlite = { skip: defaultBackend() !== 'sqlite' };
    it('is qr in the data folder where nothing is said', sqlite, async (t) => {
        const { server, client } = await testServer(t);
        // Nothing has to be put there, which is not made for that.
        assertCompleted(await client.drawn((await client.newBook()).id), 0);
        assert.ok(!existsSync(path.join(server.data.folder, 'qr')));
        const { id } = await client.newBookWith(['DEFAULT-1']);
        const job = await client.drawn(id);
        assertCompleted(job, 1);
        assert.equal(job.location, path.join(server.data.folder, 'qr', `${id}`, `${job.id}`));
        assert.equal(await scanned(readFileSync(path.join(job.location, '00001/DEFAULT-1.svg'))), 'DEFAULT-1');
    });

    it('that cannot be made ends the job, and the log says why, but no code', async (t) => {
        const folder = path.join(temporaryFolder(), 'qr');
        writeFileSync(folder, 'no folder');
        const { server, client } = await testServer(t, { env: { QR_DIR: folder } });
        const { id } = await client.newBookWith(['NOWHERE-1']);
        const job = await client.drawn(id);
        assertJob(job, { status: 'failed', created: 0, failed: 1, requested: 1, error: imagesRefused });
        assert.match(server.stderr, /images of codes are not put.*Not a directory/);
        assert.doesNotMatch(server.stderr, /NOWHERE-1/);
        assert.equal(readFileSync(folder, 'utf8'), 'no folder');
        assertRefused(await client.cancel(job.id), ...refusals.jobFinished);
        // The next one is another one's chance.
        assertJob(await client.drawn(id), { status: 'failed', error: imagesRefused });
    });

    it('keeps what is put elsewhere by a link, and replaces what is there', async (t) => {
        const root = temporaryFolder();
        const folder = path.join(root, 'a/b');
        const { server, client } = await testServer(t, { env: { QR_DIR: folder } });
        const { id } = await client.newBookWith(['OLD-1', 'OLD-2']);
        const first = await client.drawn(id);
        assertCompleted(first, 2);
        const own = (job) => path.join(folder, `${id}`, `${job}`, '00001');
        const next = own(first.id + 1);
        mkdirSync(next, { recursive: true });
        writeFileSync(path.join(next, 'OLD-1.svg'), 'x'.repeat(100_000));
        writeFileSync(path.join(next, 'OLD-2.svg'), '<svg');
        const job = await client.drawn(id);
        assertCompleted(job, 2);
        assert.deepEqual(filesBelow(job.location), filesBelow(first.location));

        const linked = own(first.id + 2);
        mkdirSync(linked, { recursive: true });
        const victim = path.join(root, 'victim');
        writeFileSync(victim, 'mine');
        symlinkSync(victim, path.join(linked, 'OLD-1.svg'));
        assertJob(await client.drawn(id), { status: 'failed', error: imagesRefused });
        assert.equal(readFileSync(victim, 'utf8'), 'mine');
        assert.doesNotMatch(server.stderr, /OLD-1/);
    });

    it('may have any name', async (t) => {
        for (const name of ['two words', 'line\nbreak', 'Grüße 🎟', '"quoted"']) {
            const folder = path.join(temporaryFolder(), name);
            const { client } = await testServer(t, { env: { QR_DIR: folder } });
            const { id } = await client.newBookWith(['ANY-1']);
            const job = await client.drawn(id);
            assertCompleted(job, 1);
            const own = path.join(folder, `${id}`, `${job.id}`);
            assert.deepEqual(pathsOf(filesBelow(own)), ['00001/ANY-1.svg']);
            const isOneLine = !name.includes('\n');
            assert.equal(job.location, isOneLine ? own : own.replace('\n', '?'));
            const list = await client.allJobs();
            assert.deepEqual(list, [job]);
        }
    });

    it('is another one after a restart: what is not done then is all there', async (t) => {
        const folders = [temporaryFolder(), temporaryFolder()];
        const env = { QR_DIR: folders[0] };
        const { server, client } = await testServer(t, { env });
        const wide = '\u{10FFFF}'.repeat(128);
        const codes = [wide, ...numbered('MOVE-', 3_000)];
        const { id } = await client.newBookWith(codes);
        const { id: jobId } = await client.mustDraw(id, { size: 29, format: 'png' });
        await client.untilJob(jobId, ({ created }) => created > 0);
        await server.stop();
        env.QR_DIR = folders[1];
        await server.start();
        const job = await client.untilJob(jobId);
        assertCompleted(job, 3_000, 1);
        assert.equal(job.location, path.join(folders[1], `${id}`, `${jobId}`));
        assert.equal(filesBelow(job.location).size, 3_000);
        const rejected = await client.rejectedRows(jobId);
        assert.deepEqual(rejected.map(({ line, text }) => [line, text]), [[1, wide]]);
    });

    it('that is full is waited for', async (t) => {
        const disk = smallDisk(8);
        t.after(() => disk.remove());
        if (!disk.folder) return t.skip('nothing can be mounted here');
        const { server, client } = await testServer(t, { env: { QR_DIR: disk.dataDir } });
        const codes = numbered('FULL-', 600);
        const { id } = await client.newBookWith(codes);
        disk.fill();
        const { id: jobId } = await client.mustDraw(id);
        const said = /images of codes are not put.*No space left on device/;
        await until(() => said.test(server.stderr), 'the log');
        await sleep(3_000);
        const waiting = (await client.job(jobId)).body;
        assertJob(waiting, { status: 'running', error: null, created: 0 });
        // Others get on meanwhile.
        const other = await client.newBook({ codePattern: 'FULL-{8}' });
        await client.untilJob((await client.mustBegin(other.id, 20_000)).id);
        disk.free();
        const job = await client.untilJob(jobId);
        assertCompleted(job, codes.length);
        const images = filesBelow(job.location);
        assert.equal(images.size, codes.length);
        for (const code of codes.slice(0, 250)) {
            const image = images.get(`00001/${nameOf(code)}`).toString();
            assert.match(image, /^<svg .*<\/svg>$/s);
        }
        assert.equal(await scanned(images.get(`00001/${nameOf(codes[0])}`)), codes[0]);
        assert.doesNotMatch(server.stderr, /FULL-\d/);
    });
});
