// couponctl in a real terminal.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';

import { Ctl } from '../support/couponctl.js';
import { suiteServer } from '../support/harness.js';
import { scanned } from '../support/qr.js';
import { Terminal } from '../support/tmux.js';

const c = suiteServer();

function open(t, ctl, args, options = {}) {
    const { env = {}, ...more } = options;
    return Terminal.open(t, [ctl.file, ...args], {
        env: { ...ctl.environment, ...env },
        cwd: ctl.home,
        ...more,
    });
}

describe('in a terminal', () => {
    it('tables fit, are bold at the head, and plain where NO_COLOR is set', async (t) => {
        const ctl = new Ctl(t, c.server.port);
        await c.client.post('/coupon', { name: 'N'.repeat(200), codePattern: 'T-{6}' });
        const args = ['book', 'list', '--name', 'NNNN'];
        const terminal = await open(t, ctl, args);
        await terminal.until(/ended with 0/);
        const screen = await terminal.screen({ joined: true });
        for (const line of screen.split('\n')) assert.ok([...line.trimEnd()].length <= 80, line);
        assert.match(screen, /N…/);
        assert.match(await terminal.screen({ escapes: true }), /\x1b\[1m *ID/);
        const plain = await open(t, ctl, args, { env: { NO_COLOR: '1' } });
        await plain.until(/ended with 0/);
        assert.doesNotMatch(await plain.screen({ escapes: true }), /\x1b\[1m/);
        const wide = await open(t, ctl, args, { columns: 300 });
        assert.match(await wide.until(/ended with 0/), new RegExp('N'.repeat(200)));
    });

    it('long work shows a bar that follows the width; Ctrl-C says how to go on', async (t) => {
        const ctl = new Ctl(t, c.server.port);
        const { id } = await c.client.newBook({ codePattern: 'B-{12}' });
        const terminal = await open(t, ctl, ['codes', 'generate', String(id), '5000000'], {
            columns: 100,
        });
        await terminal.until(/\[[#>]+ *\] [\d,]+ of 5,000,000 codes, \d+\/s, \d+:\d\d left/);
        await terminal.resize(50, 24);
        const narrow = await terminal.until(/of 5,000,000 codes/);
        for (const line of narrow.split('\n')) assert.ok([...line].length <= 50, line);
        await terminal.keys('C-c');
        await terminal.resize(100, 24);
        const screen = await terminal.until(/ended with 130/);
        const [, job] = /couponctl job wait (\d+)/.exec(screen);
        assert.ok(['queued', 'running'].includes((await ctl.json('job', 'show', job)).status));
        const question = await open(t, ctl, ['job', 'cancel', job]);
        await question.until(/Cancel job \d+\? \[y\/N\]/);
        await question.keys('n', 'Enter');
        await question.until(/nothing was done[^]*ended with 2/);
        const cancel = await open(t, ctl, ['job', 'cancel', job]);
        await cancel.until(/\[y\/N\]/);
        await cancel.keys('y', 'Enter');
        assert.match(await cancel.until(/ended with 0/), /status +cancelled/);
    });

    it('redeem never asks, and events are followed until Ctrl-C', async (t) => {
        const ctl = new Ctl(t, c.server.port);
        await c.client.newBookWith(['term-1']);
        const events = await open(t, ctl, ['events', '--follow', '--code', 'term-1', '--after', '0']);
        await events.until(/WHAT/);
        await ctl.run(['assign', 'term-1', '--user', 'ann']);
        await events.until(/code_assigned/);
        await events.keys('C-c');
        await events.until(/ended with 130/);
        const redeem = await open(t, ctl, ['redeem', 'term-1', '--user', 'ann']);
        assert.match(await redeem.until(/ended with 1/), /coupon_not_locked/);
    });

    it('a code is drawn so that it can be scanned', async (t) => {
        const ctl = new Ctl(t, c.server.port);
        const { status, stdout } = await ctl.run(['codes', 'qr', 'SUMMER-1']);
        assert.equal(status, 0);
        // Without colours a dark terminal: what is drawn is light.
        const light = stdout.trimEnd().split('\n').flatMap((line) => {
            const above = [...line].map((each) => each === '█' || each === '▀');
            const below = [...line].map((each) => each === '█' || each === '▄');
            return [above, below];
        });
        const side = 8;
        const width = light[0].length * side;
        const pgm = [Buffer.from(`P5\n${width} ${light.length * side}\n255\n`)];
        for (const row of light) {
            const line = Buffer.from(row.flatMap((each) => Array(side).fill(each ? 255 : 0)));
            for (let i = 0; i < side; i += 1) pgm.push(line);
        }
        assert.equal(await scanned(Buffer.concat(pgm)), 'SUMMER-1');
    });
});
