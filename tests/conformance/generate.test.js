// POST /coupon/generate/:id and /coupon/jobs: codes that are made by the pattern of a book.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { assertRefused, nextPage, numbered } from '../support/client.js';
import { suiteServer, testServer } from '../support/harness.js';
import { settledEntries, verifyLedger } from '../support/ledger.js';
import { checks, Pattern } from '../support/patterns.js';
import { refusals } from '../support/refusals.js';
import {
    assertBook,
    assertCodeValues,
    assertJob,
    assertTime,
    bookMembers,
    codeDefaults,
    codeMembers,
} from '../support/shapes.js';
import { metadataOf, unfitMetadata, unfitTimes, unfitWait } from '../support/unfit.js';

const free = { status: 'free', assignedTo: null, lockedUntil: null, redeemedAt: null };
const keyed = (key) => ({ headers: { 'idempotency-key': key } });
const textsOf = (codes) => codes.map(({ code }) => code);
const invalid = (answer, messages) => assertRefused(answer, 400, messages, 'validation_failed');
const countsOf = async (client, bookId) => (await client.get(`/coupon/${bookId}`)).body.counts;
const totalOf = async (client, bookId) => (await countsOf(client, bookId)).total;
const begun = ({ created }) => created > 0;
const exhausted = {
    code: 'code_pattern_exhausted',
    message: 'The code pattern has too few codes left',
};
const archived = { code: 'coupon_book_archived', message: 'Coupon book has been archived' };

/** `count` codes that `<prefix>{2:digits}` stands for, from one on. */
const twoDigits = (prefix, count, from = 0) =>
    Array.from({ length: count }, (_, index) => prefix + `${from + index}`.padStart(2, '0'));

/** Takes such codes into a book by hand. */
async function takeIn(client, bookId, ...which) {
    const codes = twoDigits(...which);
    assert.equal((await client.upload(bookId, codes)).status, 201);
    return codes;
}

/** All of them fit the pattern, and no two are the same. */
function assertCodes(texts, codePattern) {
    const pattern = new Pattern(codePattern);
    for (const text of texts) assert.ok(pattern.fits(text), `${text} is not of ${codePattern}`);
    assert.equal(new Set(texts).size, texts.length, `a code of ${codePattern} twice`);
}

function assertReplayed(answer, first) {
    assert.equal(answer.headers['idempotent-replayed'], 'true', answer.text.slice(0, 500));
    assert.deepEqual([answer.status, answer.text], [first.status, first.text]);
    for (const name of ['location', 'coupond-guess-probability']) {
        assert.equal(answer.headers[name], first.headers[name]);
    }
}

describe('POST /coupon/generate/:id with wait', () => {
    const c = suiteServer();

    it('answers 201 with the codes in order, each with its book', async () => {
        const book = await c.client.newBook({ codePattern: 'W-{8}', discountAmount: 5.5 });
        const answer = await c.client.generate(book.id, 7, { wait: true });
        assert.equal(answer.status, 201, answer.text);
        assert.equal(answer.headers.location, undefined);
        assert.equal(answer.body.length, 7);
        answer.body.forEach((entry, index) => {
            assert.deepEqual(Object.keys(entry), [...codeMembers, 'couponBook']);
            assertCodeValues(entry);
            assertTime(entry.createdAt, Date.now());
            assert.deepEqual(Object.keys(entry.couponBook), bookMembers);
            assertBook(entry.couponBook, book);
            if (index > 0) assert.ok(entry.id > answer.body[index - 1].id);
        });
        assertCodes(textsOf(answer.body), book.codePattern);
        const listed = await c.client.bookWithCodes(book.id);
        assert.deepEqual(
            listed.codes,
            answer.body.map(({ couponBook, ...code }) => code),
        );
        assert.deepEqual(listed.counts, {
            ...{ total: 7, available: 7, assigned: 0, locked: 0, redeemed: 0 },
        });
    });

    it('adds to what the book holds, and what is taken in by hand to that', async () => {
        const book = await c.client.newBookWith(['by hand'], { codePattern: 'A-{8}' });
        const first = await c.client.mustGenerate(book.id, 1);
        assert.equal((await c.client.upload(book.id, ['by hand too'])).status, 201);
        const second = await c.client.mustGenerate(book.id, 2);
        assert.deepEqual(textsOf(await c.client.allCodes(book.id)), [
            ...['by hand', ...textsOf(first), 'by hand too', ...textsOf(second)],
        ]);
        const answer = await c.client.upload(book.id, ['new', first[0].code]);
        assertRefused(answer, ...refusals.codesExist);
    });

    it('makes codes that live as others do', async () => {
        const book = await c.client.newBook({ codePattern: 'L-{8}' });
        const [{ code }, ...others] = await c.client.mustGenerate(book.id, 3);
        await c.client.mustAssign(code, 'ann');
        await c.client.mustLock(code, 'ann');
        await c.client.mustRedeem(code, 'ann');
        const given = [];
        for (const user of ['bob', 'cid']) {
            given.push((await c.client.assignAny(user, book.id)).body.code);
        }
        assert.deepEqual(given.sort(), textsOf(others).sort());
        assertRefused(await c.client.assignAny('ann', book.id), ...refusals.noneAvailable);
    });

    it('makes codes of a book that is open, everybody’s', async () => {
        const book = await c.client.newBook({ codePattern: 'O-{8}', assignment: 'open' });
        const [{ code }] = await c.client.mustGenerate(book.id, 1);
        await c.client.mustLock(code, 'ann');
        await c.client.mustRedeem(code, 'ann');
        assertRefused(await c.client.assignAny('ann', book.id), ...refusals.bookOpen);
    });

    it('takes no notice of whether codes of the book can be used now', async () => {
        for (const members of [
            { active: false },
            { endsAt: '2020-01-01' },
            { startsAt: '2090-01-01' },
        ]) {
            const book = await c.client.newBook({ codePattern: 'N-{8}', ...members });
            assert.equal((await c.client.mustGenerate(book.id, 2)).length, 2);
        }
    });

    it('makes up to 10,000', async () => {
        const book = await c.client.newBook({ codePattern: 'M-{10}' });
        const codes = await c.client.mustGenerate(book.id, 10_000);
        assert.equal(codes.length, 10_000);
        assertCodes(textsOf(codes), book.codePattern);
        assert.equal(await totalOf(c.client, book.id), 10_000);
        invalid(await c.client.generate(book.id, 10_001, { wait: true }), [
            'count must be an integer from 1 to 10000 where wait is true',
        ]);
        assert.equal(await totalOf(c.client, book.id), 10_000);
    });

    it('agrees with the ledger', async () => {
        await verifyLedger(c.client);
        await c.server.data.verify();
    });
});

describe('what generated codes are set to', () => {
    const c = suiteServer();

    // [the book's zone, what is sent, which moment it is].
    for (const [timeZone, sent, moment] of [
        ['UTC', '2027-03-28', '2027-03-29T00:00:00.000Z'],
        ['Europe/Berlin', '2027-03-28', '2027-03-28T22:00:00.000Z'],
        ['Europe/Berlin', '2027-10-31', '2027-10-31T23:00:00.000Z'],
        ['Asia/Tokyo', '2026-11-22T14:00:00.123Z', '2026-11-22T14:00:00.123Z'],
        ['Asia/Tokyo', '2027-10-31T02:30:00+02:00', '2027-10-31T00:30:00.000Z'],
        ['UTC', null, null],
        ['UTC', undefined, null],
    ]) {
        it(`is, of ${sent} in ${timeZone}, to expire at ${moment}`, async () => {
            const { id } = await c.client.newBook({ codePattern: 'E-{10}', timeZone });
            for (const code of await c.client.mustGenerate(id, 2, { expiresAt: sent })) {
                assertCodeValues(code, { expiresAt: moment });
            }
            const job = await c.client.mustBegin(id, 2, { expiresAt: sent });
            assert.equal(job.expiresAt, moment);
            await c.client.untilJob(job.id);
            const codes = await c.client.allCodes(id);
            assert.equal(codes.length, 4);
            for (const code of codes) assert.equal(code.expiresAt, moment);
        });
    }

    it('is metadata, as it was sent', async () => {
        const { id } = await c.client.newBook({ codePattern: 'D-{10}' });
        const given = [{ 'ü 🎟': ['\u0000', 1.5, null, {}] }, metadataOf(16_384), {}, null];
        for (const [index, metadata] of given.entries()) {
            for (const code of await c.client.mustGenerate(id, 1, { metadata })) {
                assertCodeValues(code, { metadata: metadata ?? {} });
            }
            const job = await c.client.mustBegin(id, 1, { metadata });
            assert.deepEqual(job.metadata, metadata ?? {});
            assert.deepEqual((await c.client.untilJob(job.id)).metadata, metadata ?? {});
            const codes = (await c.client.allCodes(id)).slice(2 * index);
            assert.equal(codes.length, 2);
            for (const code of codes) assert.deepEqual(code.metadata, metadata ?? {});
        }
    });

    it('can be changed, and is what the change starts from', async () => {
        const { id } = await c.client.newBook({ codePattern: 'C-{10}' });
        const set = { expiresAt: '2028-01-02T03:04:05.678Z', metadata: { print: 7 } };
        const [{ code }] = await c.client.mustGenerate(id, 1, set);
        await c.client.mustPatchCode(code, { metadata: { print: 8 } });
        const entries = await settledEntries(c.client, { code });
        assert.deepEqual(entries.at(-1).before, { ...codeDefaults, ...set });
        assert.deepEqual(entries.at(-1).after, {
            ...codeDefaults,
            ...set,
            metadata: { print: 8 },
        });
    });

    it('may be an end that is over: nobody gets them', async () => {
        const { id } = await c.client.newBook({ codePattern: 'P-{10}' });
        const [{ code }] = await c.client.mustGenerate(id, 1, { expiresAt: '2020-02-02' });
        assertRefused(await c.client.assignAny('ann', id), ...refusals.noneAvailable);
        assertRefused(await c.client.assign(code, 'ann'), ...refusals.expired);
        assert.equal((await countsOf(c.client, id)).available, 1);
        await c.client.mustPatchCode(code, { expiresAt: null });
        assert.equal((await c.client.assignAny('ann', id)).body.code, code);
    });

    it('agrees with the ledger', async () => {
        await verifyLedger(c.client);
        await c.server.data.verify();
    });
});

describe('codes that a pattern stands for', () => {
    const c = suiteServer();

    for (const codePattern of [
        'SUMMER-{6}',
        'D{9:digits}',
        'L{7:letters}',
        'N{6:alnum}',
        'H{8:hex}',
        'O{12:[ABC23]}',
        '{20:[🎟é☃x]}',
        'E{4:[\\[\\]\\\\}{-]}{6}',
        '\\{{8}\\}\\\\é',
        '{3:letters}-{5:digits}/{2}',
        '{64}{64}',
        'C-{8}{check}',
        'C-{9:digits}{check}',
        'C-{7:letters}{check}',
        'C-{7:alnum}{check}',
        'C-{9:hex}{check}',
        '{check}C-{5:letters}{5:digits}',
        'C{4:hex}{check}{5}.',
        'C-{14:[AB]}{check}{2:[é☃]}',
    ]) {
        it(`are made: ${codePattern}`, async () => {
            const { id } = await c.client.newBook({ codePattern });
            assertCodes(textsOf(await c.client.mustGenerate(id, 200)), codePattern);
            const job = await c.client.mustBegin(id, 300);
            assert.equal((await c.client.untilJob(job.id)).status, 'completed');
            const codes = textsOf(await c.client.allCodes(id));
            assert.equal(codes.length, 500);
            assertCodes(codes, codePattern);
        });
    }

    it('have the check character of ISO 7064 MOD 11-2 and MOD 37-2', async () => {
        const sum = (values, modulus) =>
            values.reduce((total, value) => ((total + value) * 2) % modulus, 0);
        for (const [codePattern, symbols, modulus] of [
            ['{15:digits}{check}', '0123456789', 11],
            ['{13:alnum}{check}', '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ', 37],
        ]) {
            const { id } = await c.client.newBook({ codePattern });
            for (const { code } of await c.client.mustGenerate(id, 500)) {
                const values = [...code].map((character) => symbols.indexOf(character));
                const check = values.pop();
                assert.equal(check, (modulus + 1 - sum(values, modulus)) % modulus, code);
                // Nobody types one of them for another by one wrong character, or by two that
                // have changed places.
                const typed = [...values, check];
                for (const [at, value] of typed.entries()) {
                    for (let other = 0; other < symbols.length; other += 1) {
                        if (other === value) continue;
                        assert.ok(!checks(typed.with(at, other), modulus), code);
                    }
                    if (at === 0 || typed[at - 1] === value) continue;
                    const swapped = typed.with(at, typed[at - 1]).with(at - 1, value);
                    assert.ok(!checks(swapped, modulus), code);
                }
            }
        }
    });

    it('are chosen from all over, so that none tells of another', async () => {
        const chosen = async (prefix) => {
            const { id } = await c.client.newBook({ codePattern: `${prefix}{6:digits}` });
            const codes = textsOf(await c.client.mustGenerate(id, 1_000));
            return codes.map((code) => Number(code.slice(1))).sort((a, b) => a - b);
        };
        const numbers = await chosen('X');
        // Each digit some 100 times in each place: 70 more or fewer are seven standard deviations.
        for (let place = 0; place < 6; place += 1) {
            const often = Array(10).fill(0);
            for (const number of numbers) often[Math.floor(number / 10 ** place) % 10] += 1;
            for (const times of often) assert.ok(times > 30 && times < 190, `${often}`);
        }
        // Some 790 different ones are to be expected.
        const steps = new Set(numbers.slice(1).map((number, index) => number - numbers[index]));
        assert.ok(steps.size > 600, `${steps.size} steps`);
        // Another book's are others: one of them is to be expected to be the same.
        const others = new Set(await chosen('Y'));
        const same = numbers.filter((number) => others.has(number));
        assert.ok(same.length < 20, `${same.length} are the same`);
    });

    it('agree with the ledger', async () => {
        await verifyLedger(c.client);
        await c.server.data.verify();
    });
});

describe('a pattern', () => {
    const c = suiteServer();

    it('is used up to the last code', async () => {
        const { id } = await c.client.newBook({ codePattern: '{2:digits}' });
        const codes = [];
        for (const count of [1, 7, 32, 40]) {
            codes.push(...textsOf(await c.client.mustGenerate(id, count)));
        }
        for (const more of [{}, { wait: true }]) {
            const answer = await c.client.generate(id, 21, more);
            assertRefused(answer, ...refusals.patternExhausted);
        }
        const job = await c.client.mustBegin(id, 20);
        assertJob(await c.client.untilJob(job.id), { status: 'completed', created: 20 });
        const all = textsOf(await c.client.allCodes(id));
        assert.deepEqual(all.slice(0, 80), codes);
        assert.deepEqual(all.sort(), twoDigits('', 100));
        for (const more of [{}, { wait: true }]) {
            assertRefused(await c.client.generate(id, 1, more), ...refusals.patternExhausted);
        }
    });

    it('takes no more metadata at once than may be waited for', async () => {
        const { id } = await c.client.newBook({ codePattern: '{12}' });
        const metadata = metadataOf(16_384);
        const message = 'count must be at most 1024 where wait is true and metadata is so long';
        invalid(await c.client.generate(id, 1_025, { metadata, wait: true }), [message]);
        await c.client.mustGenerate(id, 1_024, { metadata });
        const job = await c.client.mustBegin(id, 1_025, { metadata });
        assertJob(await c.client.untilJob(job.id), { status: 'completed', created: 1_025 });
    });

    it('has nothing left that a job is still to make', async () => {
        const { id } = await c.client.newBook({ codePattern: 'P{4:digits}' });
        const [first, second] = [await c.client.mustBegin(id, 6_000), await c.client.mustBegin(id, 3_990)];
        assert.ok(second.guessProbability > 0.99, `${second.guessProbability}`);
        for (const more of [{}, { wait: true }]) {
            assertRefused(await c.client.generate(id, 11, more), ...refusals.patternExhausted);
        }
        assertJob(await c.client.untilJob(first.id), { status: 'completed', created: 6_000 });
        assertJob(await c.client.untilJob(second.id), { status: 'completed', created: 3_990 });
        await c.client.mustGenerate(id, 10);
        assertRefused(await c.client.generate(id, 1), ...refusals.patternExhausted);
    });

    it('with a check character has as many codes as there are', async () => {
        const codePattern = 'K{3:digits}{check}';
        const { id } = await c.client.newBook({ codePattern });
        const count = Number(new Pattern(codePattern).codes);
        assert.ok(count > 900 && count < 1_000);
        for (const more of [{}, { wait: true }]) {
            const answer = await c.client.generate(id, count + 1, more);
            assertRefused(answer, ...refusals.patternExhausted);
        }
        assertCodes(textsOf(await c.client.mustGenerate(id, count)), codePattern);
        assertRefused(await c.client.generate(id, 1), ...refusals.patternExhausted);
    });

    it('without anything random has one code', async () => {
        const { id } = await c.client.newBook({ codePattern: 'WELCOME10' });
        assertRefused(await c.client.generate(id, 2), ...refusals.patternExhausted);
        assert.deepEqual(textsOf(await c.client.mustGenerate(id, 1)), ['WELCOME10']);
        assertRefused(await c.client.generate(id, 1), ...refusals.patternExhausted);
    });

    it('passes over what was brought in by hand, and ends a job where there is no more', async () => {
        const { id } = await c.client.newBook({ codePattern: 'B{2:digits}' });
        const byHand = await takeIn(c.client, id, 'B', 30);
        const job = await c.client.mustBegin(id, 100);
        const ended = await c.client.untilJob(job.id);
        const status = 'failed';
        assertJob(ended, { status, created: 70, failed: 30, error: exhausted });
        const all = textsOf(await c.client.allCodes(id));
        assertCodes(all, 'B{2:digits}');
        assert.equal(all.length, 100);
        assert.deepEqual(all.slice(0, 30), byHand);
        for (const more of [{}, { wait: true }]) {
            assertRefused(await c.client.generate(id, 1, more), ...refusals.patternExhausted);
        }
    });

    it('with wait makes all or none of them', async () => {
        const { id } = await c.client.newBook({ codePattern: 'Q{2:digits}' });
        const other = await c.client.newBook();
        // Whichever book has them.
        for (const [book, from] of [[id, 0], [other.id, 15]]) {
            await takeIn(c.client, book, 'Q', 15, from);
        }
        for (let times = 0; times < 3; times += 1) {
            const answer = await c.client.generate(id, 71, { wait: true });
            assertRefused(answer, ...refusals.patternExhausted);
            assert.equal(await totalOf(c.client, id), 15);
        }
        const made = textsOf(await c.client.mustGenerate(id, 70));
        assert.deepEqual(made.sort(), twoDigits('Q', 70, 30));
    });

    it('that two books have, is used up by both', async () => {
        const [one, other] = [
            await c.client.newBook({ codePattern: 'T{2:digits}' }),
            await c.client.newBook({ codePattern: 'T{2:digits}' }),
        ];
        const first = textsOf(await c.client.mustGenerate(one.id, 90));
        assertRefused(
            await c.client.generate(other.id, 11, { wait: true }),
            ...refusals.patternExhausted,
        );
        const second = textsOf(await c.client.mustGenerate(other.id, 10));
        assertCodes([...first, ...second], 'T{2:digits}');
        assertRefused(
            await c.client.generate(other.id, 1, { wait: true }),
            ...refusals.patternExhausted,
        );
        const { id } = await c.client.mustBegin(one.id, 10);
        const ended = await c.client.untilJob(id);
        assertJob(ended, { status: 'failed', created: 0, failed: 10, error: exhausted });
    });

    it('of a book that is not case sensitive makes no two codes that are spelled alike', async () => {
        const folding = { caseSensitive: false };
        const letters = await c.client.newBook({ codePattern: 'S{2:[aAbB]}', ...folding });
        const { id } = await c.client.mustBegin(letters.id, 16);
        const ended = await c.client.untilJob(id);
        assertJob(ended, { status: 'failed', created: 4, failed: 12, error: exhausted });
        const codes = textsOf(await c.client.allCodes(letters.id));
        assertCodes(codes, 'S{2:[aAbB]}');
        const spelled = codes.map((code) => code.toLowerCase()).sort();
        assert.deepEqual(spelled, ['saa', 'sab', 'sba', 'sbb']);
        // Neither with another book's, nor where dashes and spaces make the difference.
        await c.client.newBookWith(['r00', 'r-01', 'R 02'], folding);
        const digits = await c.client.newBook({ codePattern: 'R-{2:digits}', ...folding });
        const over = await c.client.generate(digits.id, 98, { wait: true });
        assertRefused(over, ...refusals.patternExhausted);
        const made = textsOf(await c.client.mustGenerate(digits.id, 97));
        assertCodes(made, 'R-{2:digits}');
        for (const code of ['R-00', 'R-01', 'R-02']) assert.ok(!made.includes(code), code);
        // Nor one that has nothing but those.
        const dashes = await c.client.newBook({ codePattern: '{2:[-Z]}', ...folding });
        const job = await c.client.mustBegin(dashes.id, 4);
        assertJob(await c.client.untilJob(job.id), { status: 'failed', created: 2 });
        const left = textsOf(await c.client.allCodes(dashes.id));
        const bare = left.map((code) => code.replaceAll('-', ''));
        assert.deepEqual(bare.sort(), ['Z', 'ZZ']);
    });

    it('of a book that is case sensitive has codes that differ in case only', async () => {
        const { id } = await c.client.newBook({ codePattern: '{2:[xXyY]}' });
        assertCodes(textsOf(await c.client.mustGenerate(id, 16)), '{2:[xXyY]}');
    });

    it('that is changed is left where it is, and gone on with when it comes back', async () => {
        const { id } = await c.client.newBook({ codePattern: 'F{2:digits}' });
        const codes = textsOf(await c.client.mustGenerate(id, 60));
        await c.client.mustPatchBook(id, { codePattern: 'G{2:letters}' });
        assertCodes(textsOf(await c.client.mustGenerate(id, 100)), 'G{2:letters}');
        await c.client.mustPatchBook(id, { codePattern: 'F{2:digits}' });
        assertRefused(
            await c.client.generate(id, 41, { wait: true }),
            ...refusals.patternExhausted,
        );
        codes.push(...textsOf(await c.client.mustGenerate(id, 40)));
        assertCodes(codes, 'F{2:digits}');
        await c.client.mustPatchBook(id, { codePattern: 'G{2:letters}' });
        const count = 26 * 26 - 100;
        assertRefused(await c.client.generate(id, count + 1), ...refusals.patternExhausted);
        await c.client.mustGenerate(id, count);
        assertCodes(textsOf((await c.client.allCodes(id)).slice(60, 160)), 'G{2:letters}');
    });

    it('agrees with the ledger', async () => {
        await verifyLedger(c.client);
        await c.server.data.verify();
    });
});

describe('guessProbability', () => {
    const c = suiteServer();

    // [the pattern, how many codes, how many others before].
    for (const [codePattern, count, before = 0] of [
        ['P-{6:digits}', 1],
        ['P-{6:digits}!', 2],
        ['P-{6:digits}.', 2, 1],
        ['P{4:digits}{check}', 91],
        ['P{8}', 100, 752],
        ['P{12}', 10_000],
        ['P{64}-{20}', 1],
        ['PLAIN', 1],
        ['P{1:digits}', 3, 6],
    ]) {
        it(`of ${count} codes of ${codePattern} after ${before}`, async () => {
            const { id } = await c.client.newBook({ codePattern });
            if (before > 0) await c.client.mustGenerate(id, before);
            const { codes } = new Pattern(codePattern);
            const expected = (before + count) / Number(codes);
            const isClose = (number) =>
                assert.ok(Math.abs(number / expected - 1) < 1e-12, `${number}, not ${expected}`);
            const job = await c.client.mustBegin(id, count); // its warning is held against it
            isClose(job.guessProbability);
            const ended = await c.client.untilJob(job.id);
            assert.equal(ended.guessProbability, job.guessProbability);
            assert.equal(ended.warning, job.warning);
            const other = await c.client.newBook({ codePattern: codePattern.replace('P', 'R') });
            if (before > 0) await c.client.mustGenerate(other.id, before);
            const answer = await c.client.generate(other.id, count, { wait: true });
            assert.equal(answer.status, 201, answer.text.slice(0, 500));
            isClose(Number(answer.headers['coupond-guess-probability']));
        });
    }

    it('warns in so many words', async () => {
        const { id } = await c.client.newBook({ codePattern: 'V{6:digits}' });
        assert.equal((await c.client.mustBegin(id, 1)).warning, null);
        const { id: other } = await c.client.newBook({ codePattern: 'U{6:digits}' });
        const job = await c.client.mustBegin(other, 1_000);
        assertJob(job, {
            guessProbability: 0.001,
            warning: 'One guess in 1000 hits a code: make the pattern longer',
        });
    });
});

describe('POST /coupon/generate/:id without wait', () => {
    const c = suiteServer();

    it('answers 202 with a job, which makes all the codes', async () => {
        const book = await c.client.newBook({ codePattern: 'J-{10}' });
        const answer = await c.client.generate(book.id, 9_000);
        assert.equal(answer.status, 202, answer.text);
        assert.equal(answer.headers.location, `/coupon/jobs/${answer.body.id}`);
        assert.equal(answer.headers['coupond-guess-probability'], undefined);
        assertJob(answer.body, {
            status: 'queued',
            couponBookId: book.id,
            codePattern: 'J-{10}',
            progress: 0,
            requested: 9_000,
            created: 0,
            failed: 0,
            warning: null,
            expiresAt: null,
            metadata: {},
            error: null,
            startedAt: null,
            finishedAt: null,
        });
        assertTime(answer.body.createdAt, Date.now());
        const job = await c.client.untilJob(answer.body.id);
        const { status, progress, created, startedAt, finishedAt, ...rest } = job;
        assert.deepEqual({ status, progress, created }, {
            ...{ status: 'completed', progress: 1, created: 9_000 },
        });
        assert.ok(answer.body.createdAt <= startedAt && startedAt <= finishedAt);
        const same = Object.fromEntries(
            Object.keys(rest).map((name) => [name, answer.body[name]]),
        );
        assert.deepEqual(rest, same);
        const codes = await c.client.allCodes(book.id);
        assert.equal(codes.length, 9_000);
        assertCodes(textsOf(codes), 'J-{10}');
        for (const code of codes) assert.equal(code.status, 'free');
        assert.deepEqual(await countsOf(c.client, book.id), {
            ...{ total: 9_000, available: 9_000, assigned: 0, locked: 0, redeemed: 0 },
        });
        const head = await c.client.request('HEAD', `/coupon/jobs/${job.id}`);
        assert.equal(head.status, 200);
    });

    it('takes wait false and null for none', async () => {
        const { id } = await c.client.newBook({ codePattern: 'N-{10}' });
        for (const wait of [false, null]) {
            const job = await c.client.mustBegin(id, 2, { wait, expiresAt: null, metadata: null });
            assert.equal((await c.client.untilJob(job.id)).created, 2);
        }
    });

    it('hands codes out while there are more to come', async () => {
        const { id } = await c.client.newBook({ codePattern: 'H-{12}' });
        const job = await c.client.mustBegin(id, 5_000_000);
        await c.client.untilJob(job.id, begun);
        for (const user of numbered('user-', 20)) {
            const answer = await c.client.assignAny(user, id);
            assert.equal(answer.status, 201, answer.text);
            await c.client.mustLock(answer.body.code, user);
            await c.client.mustRedeem(answer.body.code, user);
        }
        const cancelled = await c.client.mustCancel(job.id);
        const { total, redeemed } = await countsOf(c.client, id);
        assert.deepEqual([total, redeemed], [cancelled.created, 20]);
    });

    it('keeps the pattern of the book as it was asked for', async () => {
        const { id } = await c.client.newBook({ codePattern: 'OLD-{12}' });
        const job = await c.client.mustBegin(id, 40_000);
        await c.client.untilJob(job.id, begun);
        await c.client.mustPatchBook(id, { codePattern: 'NEW-{12}' });
        const [{ code }] = await c.client.mustGenerate(id, 1);
        assertCodes([code], 'NEW-{12}');
        const ended = await c.client.untilJob(job.id);
        assertJob(ended, { status: 'completed', codePattern: 'OLD-{12}', created: 40_000 });
        const codes = textsOf(await c.client.allCodes(id));
        assertCodes(codes.filter((one) => one !== code), 'OLD-{12}');
        assert.equal(codes.length, 40_001);
        const next = await c.client.mustBegin(id, 3);
        assert.equal(next.codePattern, 'NEW-{12}');
        await c.client.untilJob(next.id);
        assertCodes(textsOf(await c.client.allCodes(id)).slice(-3), 'NEW-{12}');
    });

    it('works on the jobs of a book one after the other', async () => {
        const { id } = await c.client.newBook({ codePattern: 'Q-{12}' });
        const jobs = [];
        for (const count of [3_000, 1, 2_000, 500]) jobs.push(await c.client.mustBegin(id, count));
        let before = '';
        for (const { id: job } of jobs) {
            const { status, startedAt, finishedAt } = await c.client.untilJob(job);
            assert.equal(status, 'completed');
            assert.ok(before <= startedAt && startedAt <= finishedAt);
            before = finishedAt;
        }
        assert.equal(await totalOf(c.client, id), 5_501);
    });
});

describe('a job that is cancelled', () => {
    const c = suiteServer();

    it('makes no more codes, and keeps what it has made', async () => {
        const { id } = await c.client.newBook({ codePattern: 'C-{12}' });
        const job = await c.client.mustBegin(id, 5_000_000);
        const running = await c.client.untilJob(job.id, begun);
        assert.equal(running.status, 'running');
        const cancelled = await c.client.mustCancel(job.id);
        const { created, requested, failed } = cancelled;
        assert.ok(created >= running.created && created < requested, JSON.stringify(cancelled));
        assert.equal(failed, requested - created);
        assert.equal(await totalOf(c.client, id), created);
        await new Promise((resolve) => setTimeout(resolve, 500));
        assert.equal(await totalOf(c.client, id), created);
        assert.deepEqual((await c.client.job(job.id)).body, cancelled);
        // Once more changes nothing.
        assert.deepEqual(await c.client.mustCancel(job.id), cancelled);
        // The next one goes on behind it.
        const next = await c.client.mustBegin(id, 1_000);
        assert.equal((await c.client.untilJob(next.id)).status, 'completed');
        assert.equal(await totalOf(c.client, id), created + 1_000);
        const entries = await settledEntries(c.client, { bookId: id, type: 'codes_generated' });
        assert.equal(
            entries.reduce((sum, { codes }) => sum + codes, 0),
            created + 1_000,
        );
    });

    it('leaves all others of its pattern, up to the last one', async () => {
        const { id } = await c.client.newBook({ codePattern: '{5:digits}' });
        const job = await c.client.mustBegin(id, 100_000);
        await c.client.untilJob(job.id, begun);
        const { created } = await c.client.mustCancel(job.id);
        assert.ok(created < 100_000, `${created}`);
        const rest = await c.client.mustBegin(id, 100_000 - created);
        assert.equal((await c.client.untilJob(rest.id)).status, 'completed');
        assert.equal(await totalOf(c.client, id), 100_000);
        assertRefused(await c.client.generate(id, 1), ...refusals.patternExhausted);
    });

    it('may have made none', async () => {
        const { id } = await c.client.newBook({ codePattern: 'N-{12}' });
        const first = await c.client.mustBegin(id, 5_000_000);
        const second = await c.client.mustBegin(id, 1_000);
        const cancelled = await c.client.mustCancel(second.id);
        assertJob(cancelled, { progress: 0, created: 0, failed: 1_000, startedAt: null });
        assertTime(cancelled.finishedAt, Date.now());
        const { created } = await c.client.mustCancel(first.id);
        assert.equal(await totalOf(c.client, id), created);
    });

    it('is so once for a key', async () => {
        const { id } = await c.client.newBook({ codePattern: 'K-{12}' });
        const job = await c.client.mustBegin(id, 5_000_000);
        const first = await c.client.cancel(job.id, keyed('cancel'));
        assert.equal(first.status, 200, first.text);
        assertReplayed(await c.client.cancel(job.id, keyed('cancel')), first);
        const other = await c.client.cancel(job.id + 1, keyed('cancel'));
        assertRefused(other, 422, undefined, 'idempotency_key_reused');
    });

    it('cannot be one that has completed or failed', async () => {
        const { id } = await c.client.newBook({ codePattern: 'F{2:digits}' });
        await takeIn(c.client, id, 'F', 50);
        for (const [count, status] of [[2, 'completed'], [49, 'failed']]) {
            const job = await c.client.mustBegin(id, count);
            const ended = await c.client.untilJob(job.id);
            assert.equal(ended.status, status);
            assertRefused(await c.client.cancel(job.id), ...refusals.jobFinished);
            assert.deepEqual((await c.client.job(job.id)).body, ended);
        }
    });

    it('must be there, and be named by an id', async () => {
        for (const id of [999_999, '9223372036854775807']) {
            assertRefused(await c.client.cancel(id), ...refusals.jobNotFound);
            assertRefused(await c.client.job(id), ...refusals.jobNotFound);
        }
        for (const id of ['x', '0', '-1', '1.5', '%20', '9223372036854775808']) {
            for (const answer of [await c.client.cancel(id), await c.client.job(id)]) {
                invalid(answer, ['id must be a positive integer']);
            }
        }
        invalid(await c.client.request('DELETE', '/coupon/jobs/1?force=1'), [
            'property force should not exist',
        ]);
        invalid(await c.client.get('/coupon/jobs/1?codes=1'), ['property codes should not exist']);
        const malformed = await c.client.cancel(1, keyed('a b'));
        assertRefused(malformed, 400, undefined, 'idempotency_key_malformed');
    });

    it('leaves what agrees with the ledger', async () => {
        await c.server.data.verify();
    });
});

describe('a job', () => {
    it('goes on after kill -9 and SIGTERM, and makes exactly what was asked for', async (t) => {
        const { server, client } = await testServer(t);
        const count = 120_000;
        const { id } = await client.newBook({ codePattern: 'R-{9}{check}' });
        const set = { expiresAt: '2030-01-01T00:00:00.000Z', metadata: { print: 7 } };
        const job = await client.mustBegin(id, count, set);
        let { created } = await client.untilJob(job.id, begun);
        for (const end of [() => server.kill9(), () => server.stop()]) {
            await end();
            await server.data.verify();
            await server.start();
            const { body } = await client.job(job.id);
            assertJob(body);
            assert.ok(body.created >= created, 'made codes are there');
            assert.ok(body.created < count, 'it ended too soon to be interrupted');
            assert.equal(body.finishedAt, null);
            const behind = (now) => now.created > body.created;
            ({ created } = await client.untilJob(job.id, behind));
        }
        assertJob(await client.untilJob(job.id), { ...set, status: 'completed', created: count });
        assert.equal(await totalOf(client, id), count);
        const codes = await client.allCodes(id);
        assert.equal(codes.length, count);
        assertCodes(textsOf(codes), 'R-{9}{check}');
        for (const { expiresAt, metadata } of codes) {
            if (expiresAt !== set.expiresAt || metadata.print !== 7) assert.fail('not as asked for');
        }
        const entries = await settledEntries(client, { bookId: id, type: 'codes_generated' });
        assert.equal(entries.reduce((sum, entry) => sum + entry.codes, 0), count);
    });

    it('that waits for its turn when the server is killed has its turn', async (t) => {
        const { server, client } = await testServer(t);
        const { id } = await client.newBook({ codePattern: 'T-{12}' });
        const first = await client.mustBegin(id, 5_000_000);
        const second = await client.mustBegin(id, 1_000);
        await server.kill9();
        await server.start();
        const { created } = await client.mustCancel(first.id);
        assertJob(await client.untilJob(second.id), { status: 'completed', created: 1_000 });
        assert.equal(await totalOf(client, id), created + 1_000);
    });

    it('fails where its book is archived, and keeps what it has made', async (t) => {
        const { server, client } = await testServer(t);
        const { id } = await client.newBook({ codePattern: 'A-{12}' });
        const job = await client.mustBegin(id, 5_000_000);
        const waiting = await client.mustBegin(id, 10);
        await client.untilJob(job.id, begun);
        await client.mustArchive(id);
        const total = await totalOf(client, id);
        const ended = await client.untilJob(job.id);
        assertJob(ended, { status: 'failed', created: total, error: archived });
        assert.ok(total < 5_000_000);
        assertJob(await client.untilJob(waiting.id), {
            ...{ status: 'failed', created: 0, failed: 10, error: archived },
        });
        for (const more of [{}, { wait: true }]) {
            assertRefused(await client.generate(id, 1, more), ...refusals.bookArchived);
        }
        await client.mustRestore(id);
        assert.deepEqual((await client.job(job.id)).body, ended);
        const next = await client.mustBegin(id, 100);
        assert.equal((await client.untilJob(next.id)).status, 'completed');
        assert.equal(await totalOf(client, id), total + 100);
        await server.data.verify();
    });
});

describe('GET /coupon/jobs', () => {
    const c = suiteServer();
    let books;
    let all; // the last one first

    it('answers an empty array where nothing was ever asked for', async () => {
        const answer = await c.client.get('/coupon/jobs');
        assert.deepEqual([answer.status, answer.text], [200, '[]']);
        assert.equal(answer.headers.link, undefined);
        assert.equal((await c.client.request('HEAD', '/coupon/jobs')).status, 200);
    });

    it('shows each job as it is by itself, the last one first', async () => {
        books = [
            await c.client.newBook({ codePattern: 'X{8}' }),
            await c.client.newBook({ codePattern: 'Y{2:digits}' }),
        ];
        await takeIn(c.client, books[1].id, 'Y', 50);
        all = [];
        for (const [book, count] of [[0, 1], [1, 4], [0, 2], [1, 47], [0, 3], [0, 4], [0, 5]]) {
            const { id } = await c.client.mustBegin(books[book].id, count);
            all.unshift(await c.client.untilJob(id));
        }
        for (const [index, { id }] of all.entries()) {
            assert.deepEqual((await c.client.job(id)).body, all[index]);
            if (index > 0) assert.ok(id < all[index - 1].id);
        }
        assert.deepEqual((await c.client.get('/coupon/jobs')).body, all);
        assert.deepEqual(
            all.map(({ status }) => status),
            [...Array(3).fill('completed'), 'failed', ...Array(3).fill('completed')],
        );
    });

    for (const limit of [1, 2, 3, 6, 7, 1000]) {
        it(`leads through all of them, ${limit} a page`, async () => {
            const seen = [];
            for (let path = `/coupon/jobs?limit=${limit}`; path; ) {
                const answer = await c.client.get(path);
                assert.equal(answer.status, 200, answer.text);
                assert.ok(answer.body.length <= limit);
                seen.push(...answer.body);
                path = nextPage(answer);
            }
            assert.deepEqual(seen, all);
        });
    }

    it('goes on before an id', async () => {
        for (const [index, { id }] of all.entries()) {
            const { body } = await c.client.get(`/coupon/jobs?before=${id}`);
            assert.deepEqual(body, all.slice(index + 1));
            const from = await c.client.get(`/coupon/jobs?before=${id + 1}`);
            assert.deepEqual(from.body, all.slice(index));
        }
        const { body } = await c.client.get('/coupon/jobs?before=9223372036854775807');
        assert.deepEqual(body, all);
    });

    it('shows those of a book, or of a status', async () => {
        const of = (condition) => all.filter(condition);
        for (const { id } of books) {
            assert.deepEqual(
                await c.client.allJobs({ couponBookId: id }),
                of(({ couponBookId }) => couponBookId === id),
            );
        }
        for (const status of ['queued', 'running', 'completed', 'failed', 'cancelled']) {
            assert.deepEqual(
                await c.client.allJobs({ status }),
                of((job) => job.status === status),
            );
        }
        const [one, other] = books.map(({ id }) => id);
        const both = { couponBookId: other, status: 'completed' };
        assert.deepEqual(
            await c.client.allJobs({ ...both, limit: 1 }),
            of((job) => job.couponBookId === other && job.status === 'completed'),
        );
        assert.deepEqual(await c.client.allJobs({ couponBookId: one, status: 'failed' }), []);
        assert.deepEqual(await c.client.allJobs({ couponBookId: 999_999 }), []);
        const page = await c.client.get(`/coupon/jobs?status=completed&couponBookId=${one}&limit=2`);
        const last = page.body.at(-1).id;
        assert.equal(
            page.headers.link,
            `</coupon/jobs?limit=2&before=${last}&couponBookId=${one}&status=completed>; rel="next"`,
        );
    });

    it('shows 100 where it is not asked for another number', async (t) => {
        const { client } = await testServer(t);
        const { id } = await client.newBook({ codePattern: 'H{10}' });
        const ids = [];
        for (let times = 0; times < 101; times += 1) {
            ids.unshift((await client.mustBegin(id, 1)).id);
        }
        const answer = await client.get('/coupon/jobs');
        assert.deepEqual(answer.body.map((job) => job.id), ids.slice(0, 100));
        assert.equal(answer.headers.link, `</coupon/jobs?limit=100&before=${ids[99]}>; rel="next"`);
        const [last, ...others] = (await client.get(nextPage(answer))).body;
        assert.deepEqual([last.id, others], [ids[100], []]);
        for (const job of ids) await client.untilJob(job);
        assert.equal(await totalOf(client, id), 101);
    });

    const limit = 'limit must be an integer from 1 to 1000';
    const before = 'before must be a positive integer';
    const book = 'couponBookId must be a positive integer';
    const status = 'status must be one of queued, running, completed, failed, cancelled';
    for (const [query, message] of [
        ...['limit=0', 'limit=1001', 'limit=x', 'limit='].map((text) => [text, limit]),
        ...['before=0', 'before=-1', 'before=x', 'before='].map((text) => [text, before]),
        ...['couponBookId=0', 'couponBookId=x', 'couponBookId='].map((text) => [text, book]),
        ...['status=', 'status=done', 'status=Running', 'status=1'].map((text) => [text, status]),
        ['limit=1&limit=1', 'limit must be given once'],
        ['before=1&before=1', 'before must be given once'],
        ['couponBookId=1&couponBookId=1', 'couponBookId must be given once'],
        ['status=failed&status=failed', 'status must be given once'],
        ['after=1', 'property after should not exist'],
        ['bookId=1', 'property bookId should not exist'],
    ]) {
        it(`refuses ?${query} by name`, async () => {
            invalid(await c.client.get(`/coupon/jobs?${query}`), [message]);
        });
    }

    it('names everything that it refuses', async () => {
        const query = 'before=0&limit=0&status=x&page=1&couponBookId=0';
        invalid(await c.client.get(`/coupon/jobs?${query}`), [
            ...[book, status, limit, before, 'property page should not exist'],
        ]);
    });
});

describe('POST /coupon/generate/:id refuses', () => {
    const c = suiteServer();
    let id;

    it('what is tried on a book', async () => {
        ({ id } = await c.client.newBook({ codePattern: 'R-{8}' }));
    });

    const unfitCount = 'count must be an integer from 1 to 10000000';
    for (const [name, value, message] of [
        ...[0, -1, 1.5, '5', '', null, [], {}, true, 10_000_001, 1e30].map((value) => [
            ...['count', value, unfitCount],
        ]),
        ...unfitTimes('expiresAt'),
        ...unfitMetadata,
        ...unfitWait,
    ]) {
        it(`${name} ${JSON.stringify(value).slice(0, 40)}`, async () => {
            const body = { count: 1, [name]: value };
            invalid(await c.client.post(`/coupon/generate/${id}`, body), [message]);
            if (name === 'wait') return;
            const waiting = await c.client.post(`/coupon/generate/${id}`, { ...body, wait: true });
            assertRefused(waiting, 400, undefined, 'validation_failed');
            assert.match(waiting.body.message.join(), new RegExp(`^${name} must `));
        });
    }

    it('everything that is wrong, in the order of the description', async () => {
        const [[, , expiresAt], [, , metadata], [, , wait]] = [
            unfitTimes('expiresAt')[0],
            unfitMetadata[0],
            unfitWait[0],
        ];
        const sent = { more: 1, wait: 'true', metadata: '{}', expiresAt: '' };
        const messages = [unfitCount, expiresAt, metadata, wait, 'property more should not exist'];
        invalid(await c.client.post(`/coupon/generate/${id}`, sent), messages);
        const unfit = 'id must be a positive integer';
        invalid(await c.client.post('/coupon/generate/x', sent), [unfit, ...messages]);
        for (const path of ['0', '-1', '1.5', '%20', '9223372036854775808']) {
            invalid(await c.client.generate(path, 1), [unfit]);
        }
    });

    it('what it does not have, what is given twice, and what says nothing', async () => {
        const path = `/coupon/generate/${id}`;
        for (const name of ['couponBookId', 'codes', 'active', 'maxRedemptions', 'codePattern']) {
            const answer = await c.client.post(path, { count: 1, [name]: null });
            invalid(answer, [`property ${name} should not exist`]);
        }
        const twice = await c.client.post(path, '{"count":1,"count":1}');
        invalid(twice, ['property count is given twice']);
        invalid(await c.client.post(path, {}), [unfitCount]);
        for (const body of ['[]', 'null', '5', '"text"']) {
            invalid(await c.client.post(path, body), ['body must be an object']);
        }
        invalid(await c.client.post(path, ''), ['body must be an object, but is empty']);
        assertRefused(await c.client.post(path, '{'), 400, undefined, 'malformed_json');
        for (const answer of [
            await c.client.post('/coupon/generate', { count: 1 }),
            await c.client.get(path),
        ]) {
            assertRefused(answer, 404, undefined, 'route_not_found');
        }
    });

    it('a book that is not there', async () => {
        for (const book of [999_999, 2 ** 53 - 1, '9223372036854775807']) {
            for (const more of [{}, { wait: true }]) {
                assertRefused(await c.client.generate(book, 1, more), ...refusals.bookNotFound);
            }
        }
    });

    it('an archived book, before it asks how many codes there are', async () => {
        const { id: book } = await c.client.newBook({ codePattern: 'ONE' });
        await c.client.mustArchive(book);
        for (const more of [{}, { wait: true }]) {
            assertRefused(await c.client.generate(book, 2, more), ...refusals.bookArchived);
        }
        await c.client.mustRestore(book);
        for (const more of [{}, { wait: true }]) {
            assertRefused(await c.client.generate(book, 2, more), ...refusals.patternExhausted);
        }
    });

    it('and has made nothing by all that', async () => {
        assert.deepEqual((await c.client.get('/coupon/jobs')).body, []);
        assert.equal(await totalOf(c.client, id), 0);
        const entries = await settledEntries(c.client, { type: 'codes_generated' });
        assert.deepEqual(entries, []);
        await verifyLedger(c.client);
    });

    it('a pattern of an older version, until it is changed', async (t) => {
        const { server, client } = await testServer(t);
        const book = await client.newBook({ codePattern: 'OLD' });
        await server.stop();
        server.data.damaged = true; // the ledger has another pattern
        await server.data.execute(`UPDATE coupon_book SET code_pattern = 'OLD-{x}'`);
        await server.start();
        assert.equal((await client.get(`/coupon/${book.id}`)).body.codePattern, 'OLD-{x}');
        for (const more of [{}, { wait: true }]) {
            const answer = await client.generate(book.id, 1, more);
            assertRefused(answer, ...refusals.patternUnusable);
        }
        await client.mustPatchBook(book.id, { codePattern: 'NEW-{8}' });
        assertCodes(textsOf(await client.mustGenerate(book.id, 5)), 'NEW-{8}');
    });
});

describe('a key', () => {
    it('has one effect and one answer, to the byte', async (t) => {
        const { server, client } = await testServer(t);
        const book = await client.newBook({ codePattern: 'K{2:digits}', timeZone: 'Asia/Tokyo' });
        const set = { expiresAt: '2030-01-01', metadata: { print: 7 } };
        const asked = [
            [20, { ...set, wait: true }],
            [20, { wait: true }],
            [20, set],
            // What a rule has refused stays refused.
            [90, { wait: true }],
            [90, {}],
        ];
        const ask = (index, key = `key-${index}`) =>
            client.generate(book.id, ...asked[index], keyed(key));
        const firsts = [];
        for (const index of asked.keys()) {
            const first = await ask(index);
            assert.equal(first.headers['idempotent-replayed'], undefined);
            firsts.push(first);
            if (first.status === 202) await client.untilJob(first.body.id);
        }
        assert.deepEqual(firsts.map(({ status }) => status), [201, 201, 202, 409, 409]);
        const assertSame = async () => {
            for (const index of asked.keys()) assertReplayed(await ask(index), firsts[index]);
            assert.equal(await totalOf(client, book.id), 60);
            assert.deepEqual((await client.allJobs()).map(({ id }) => id), [firsts[2].body.id]);
        };
        await assertSame();
        // Whatever becomes of the codes and their book.
        const [{ code }, { code: other }] = firsts[0].body;
        await client.mustAssign(code, 'ann');
        await client.mustPatchCode(other, { active: false, metadata: null });
        await client.mustPatchBook(book.id, { name: 'Other', timeZone: null });
        await assertSame();
        await server.stop();
        await server.start();
        await assertSame();
        for (const answer of [
            await ask(1, 'key-0'),
            await ask(2, 'key-0'),
            await client.generate(book.id + 1, ...asked[0], keyed('key-0')),
            await client.post('/coupon/assign', { userId: 'ann' }, keyed('key-0')),
        ]) {
            assertRefused(answer, 422, undefined, 'idempotency_key_reused');
        }
        const unfit = await client.generate(book.id, 0, { wait: true }, keyed('late'));
        assert.equal(unfit.status, 400); // does not use up the key
        const fit = await client.generate(book.id, 1, { wait: true }, keyed('late'));
        assert.equal(fit.headers['idempotent-replayed'], undefined);
        assert.equal(fit.status, 201, fit.text);
        await verifyLedger(client);
    });

    it('of 10,000 codes has the same 10,000', async (t) => {
        const { client } = await testServer(t);
        const { id } = await client.newBook({ codePattern: 'T{12}' });
        const ask = () => client.generate(id, 10_000, { wait: true }, keyed('many'));
        const first = await ask();
        assert.equal(first.status, 201, first.text.slice(0, 500));
        assertReplayed(await ask(), first);
        assert.equal(await totalOf(client, id), 10_000);
    });
});

describe('what is told of generated codes', () => {
    const c = suiteServer();

    it('in the events, request by request and piece by piece', async () => {
        const { id } = await c.client.newBook({ codePattern: 'E{12}' });
        const waited = await c.client.generate(id, 5, { metadata: { a: 1 }, wait: true });
        const asked = await c.client.generate(id, 50_000);
        await c.client.untilJob(asked.body.id);
        const type = 'codes_generated';
        const entries = await settledEntries(c.client, { bookId: id, type });
        const [first, ...pieces] = entries;
        assert.equal(
            JSON.stringify(first),
            JSON.stringify({
                id: first.id,
                at: waited.body[0].createdAt,
                type,
                bookId: id,
                code: null,
                userId: null,
                codes: 5,
                requestId: waited.headers['x-request-id'],
                before: null,
                after: free,
            }),
        );
        assert.ok(pieces.length > 1, 'a large job has several pieces');
        assert.equal(pieces.reduce((sum, { codes }) => sum + codes, 0), 50_000);
        for (const piece of pieces) {
            assert.deepEqual(Object.keys(piece), Object.keys(first));
            const { codes, requestId, before, after } = piece;
            assert.ok(codes > 0 && codes <= 20_000, JSON.stringify(piece));
            assert.equal(requestId, asked.headers['x-request-id']);
            assert.deepEqual([before, after], [null, free]);
        }
        const types = (await settledEntries(c.client, { bookId: id })).map((entry) => entry.type);
        assert.deepEqual(types, ['book_created', ...entries.map(() => type)]);
    });

    it('and code by code', async () => {
        const { id } = await c.client.newBook({ codePattern: 'H{12}' });
        const job = await c.client.mustBegin(id, 25_000);
        await c.client.untilJob(job.id);
        const codes = textsOf(await c.client.allCodes(id));
        const entries = await settledEntries(c.client, { bookId: id, type: 'codes_generated' });
        let from = 0;
        for (const entry of entries) {
            for (const code of [codes[from], codes[from + entry.codes - 1]]) {
                const { body } = await c.client.get(`/coupon/code/${code}`);
                assert.deepEqual(body.history, [entry]);
                assert.deepEqual(await c.client.allEvents({ code }), [entry]);
            }
            from += entry.codes;
        }
        assert.equal(from, 25_000);
        await c.client.mustAssign(codes[0], 'ann');
        const history = await settledEntries(c.client, { code: codes[0] });
        assert.deepEqual(history.map(({ type }) => type), ['codes_generated', 'code_assigned']);
    });

    it('in the statistics', async () => {
        const stats = async (path) => {
            const { status, body, text } = await c.client.get(path);
            assert.equal(status, 200, text);
            return body;
        };
        const sum = ({ series }, name) => series.reduce((all, piece) => all + piece[name], 0);
        const before = await stats('/coupon/stats');
        const { id } = await c.client.newBook({ codePattern: 'S{4:digits}' });
        assert.equal((await c.client.upload(id, ['a', 'b', 'c', 'd', 'e'])).status, 201);
        await c.client.mustGenerate(id, 7);
        const job = await c.client.mustBegin(id, 1_000);
        await c.client.untilJob(job.id);
        for (const more of [{}, { wait: true }]) {
            const answer = await c.client.generate(id, 9_000, more);
            assertRefused(answer, ...refusals.patternExhausted);
        }
        const own = await stats(`/coupon/${id}/stats?bucket=hour`);
        assert.deepEqual([sum(own, 'uploaded'), sum(own, 'generated')], [5, 1_007]);
        assert.deepEqual([own.totals.total, own.totals.available], [1_012, 1_012]);
        assert.equal(own.funnel[0].codes, 1_012);
        assert.deepEqual(own.refusals, { code_pattern_exhausted: 2 });
        const members = Object.keys(own.series[0]);
        assert.deepEqual(members.slice(0, 4), ['from', 'uploaded', 'generated', 'assigned']);
        const after = await stats('/coupon/stats');
        assert.equal(sum(after, 'generated') - sum(before, 'generated'), 1_007);
        assert.equal(after.totals.total - before.totals.total, 1_012);
    });

    it('agrees with the ledger', async () => {
        await c.server.data.verify();
    });
});

describe('a book with autoGenerate', () => {
    const c = suiteServer();
    const jobsOf = (couponBookId) => c.client.allJobs({ couponBookId });
    /** Its jobs, when there are `count` and all have ended. */
    async function untilJobs(id, count) {
        for (const deadline = Date.now() + 30_000; ; ) {
            const jobs = await jobsOf(id);
            if (jobs.length >= count && jobs.every(({ finishedAt }) => finishedAt)) return jobs;
            assert.ok(Date.now() < deadline, `${count} jobs of book ${id}`);
            await new Promise((resolve) => setTimeout(resolve, 50));
        }
    }
    const looks = () => new Promise((resolve) => setTimeout(resolve, 2_500));

    it('has codes made where it has fewer than that to give away, and only there', async () => {
        const autoGenerate = { below: 3, count: 5 };
        const book = await c.client.newBook({ codePattern: 'A{10}', autoGenerate });
        assert.deepEqual(book.autoGenerate, autoGenerate);
        const [first] = await untilJobs(book.id, 1);
        assertJob(first, { status: 'completed', requested: 5, created: 5, codePattern: 'A{10}' });
        for (const user of ['ann', 'bob']) {
            assert.equal((await c.client.assignAny(user, book.id)).status, 201);
        }
        await looks();
        assert.equal((await jobsOf(book.id)).length, 1, 'there are three left');
        assert.equal((await c.client.assignAny('cem', book.id)).status, 201);
        await untilJobs(book.id, 2);
        assert.deepEqual(await countsOf(c.client, book.id), {
            total: 10,
            available: 7,
            assigned: 3,
            locked: 0,
            redeemed: 0,
        });
        await verifyLedger(c.client);
    });

    it('has as many made as the pattern has, then a job that fails, and no other before it is changed', async () => {
        const autoGenerate = { below: 1_000, count: 60 };
        const { id } = await c.client.newBook({ codePattern: 'F{2:digits}', autoGenerate });
        const [failed, rest, first] = await untilJobs(id, 3);
        assertJob(first, { status: 'completed', created: 60 });
        assertJob(rest, { status: 'completed', requested: 40 });
        assertJob(failed, { status: 'failed', requested: 60, created: 0, error: exhausted });
        await looks();
        assert.equal((await jobsOf(id)).length, 3);
        await c.client.mustPatchBook(id, { codePattern: 'F{12}', autoGenerate: { below: 101, count: 7 } });
        const [more] = await untilJobs(id, 4);
        assertJob(more, { status: 'completed', created: 7 });
    });

    it('has none made once that is taken from it, or it is archived', async () => {
        const autoGenerate = { below: 2, count: 2 };
        const { id } = await c.client.newBook({ codePattern: 'N{10}', autoGenerate });
        await untilJobs(id, 1);
        const { autoGenerate: none } = await c.client.mustPatchBook(id, { autoGenerate: null });
        assert.equal(none, null);
        const other = await c.client.newBook({ codePattern: 'O{10}' });
        assert.equal((await c.client.archive(other.id)).status, 200);
        await c.client.patchBook(other.id, { autoGenerate });
        for (const user of ['ann', 'bob']) await c.client.assignAny(user, id);
        await looks();
        assert.equal((await jobsOf(id)).length, 1);
        assert.equal((await jobsOf(other.id)).length, 0);
    });

    it('has none made where it gives none away', async () => {
        const { id } = await c.client.newBook({
            ...{ codePattern: 'O{10}', assignment: 'open', autoGenerate: { below: 5, count: 5 } },
        });
        await looks();
        await looks();
        assert.deepEqual(await jobsOf(id), []);
        await c.client.mustGenerate(id, 1);
        await looks();
        assert.equal(await totalOf(c.client, id), 1);
    });

    it('has them made once, however many look', async () => {
        const autoGenerate = { below: 1, count: 20_000 };
        const ids = [];
        for (let i = 0; i < 5; i += 1) {
            const { id } = await c.client.newBook({ codePattern: `M${i}{12}`, autoGenerate });
            ids.push(id);
        }
        for (const id of ids) {
            await untilJobs(id, 1);
        }
        await looks();
        for (const id of ids) {
            assert.equal((await jobsOf(id)).length, 1);
            assert.equal(await totalOf(c.client, id), 20_000);
        }
    });
});
