// The README's tour says what is true: each of its commands is run, in order, against a fresh server, and answers what
// stands below it; times and ids that no two servers have in common aside.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { describe, it } from 'node:test';
import { promisify } from 'node:util';
import { binary } from '../support/binary.js';
import { suiteServer } from '../support/harness.js';
import { temporaryFolder } from '../support/processes.js';

const readme = readFileSync(new URL('../../README.md', import.meta.url), 'utf8');

/** The commands of the ```console blocks with what stands below each. */
function tour() {
    const blocks = [...readme.matchAll(/```console\n([\s\S]*?)```/g)].map(([, block]) => block);
    return blocks
        .flatMap((block) => block.split(/^\$ /m).slice(1))
        .map((step) => {
            const lines = step.trimEnd().split('\n');
            const end = lines.findIndex((line) => !line.endsWith('\\'));
            return { command: lines.slice(0, end + 1).join('\n'), answer: lines.slice(end + 1) };
        });
}

const withoutWhatVaries = (text) =>
    text
        .replace(/\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d{3}Z)?/g, '<time>')
        .replace(/"requestId":"[^"]+"/g, '"requestId":"<id>"')
        .replace(/"redemption":{"id":\d+/g, '"redemption":{"id":<id>');

describe('the README', () => {
    const c = suiteServer();

    it('answers its tour as it says', async () => {
        const steps = tour();
        assert.ok(steps.length >= 6, 'the tour is there');
        const folder = temporaryFolder();
        const env = {
            ...process.env,
            PATH: `${path.dirname(binary())}:${process.env.PATH}`,
            COUPOND_URL: `http://127.0.0.1:${c.server.port}`,
        };
        let redemption;
        for (const { command, answer } of steps) {
            const here = command
                .replaceAll('localhost:3000', `127.0.0.1:${c.server.port}`)
                .replace(/rollback\/\d+/, `rollback/${redemption}`);
            const { stdout } = await promisify(execFile)('bash', ['-c', here], { env, cwd: folder });
            assert.equal(
                withoutWhatVaries(stdout.trimEnd()),
                withoutWhatVaries(answer.join('\n')),
                command,
            );
            redemption = stdout.match(/"redemption":{"id":(\d+)/)?.[1] ?? redemption;
        }
    });
});
