// What couponctl completes, in real shells.
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { describe, it } from 'node:test';

import { Ctl } from '../support/couponctl.js';
import { Terminal } from '../support/tmux.js';

const shells = { bash: ['bash', '--norc', '-i'], zsh: ['zsh', '-f', '-i'] };

describe('completion', () => {
    for (const [shell, words] of Object.entries(shells)) {
        it(`in ${shell} knows commands, flags, values, topics and files`, async (t) => {
            const ctl = new Ctl(t, 1);
            writeFileSync(path.join(ctl.home, 'partner.csv'), '');
            const terminal = await Terminal.open(t, words, {
                env: {
                    ...ctl.environment,
                    PATH: `${path.dirname(ctl.file)}:${process.env.PATH}`,
                    PS1: '> ',
                },
                cwd: ctl.home,
                columns: 120,
            });
            await terminal.until(/^>/m);
            await terminal.keys(`source <(couponctl completion ${shell}); echo so''urced`, 'Enter');
            await terminal.until(/^sourced/m);
            for (const [typed, whole] of [
                ['couponctl --utc bo', 'book'],
                ['couponctl codes ex', 'export'],
                ['couponctl book create --name x --pat', '--pattern'],
                ['couponctl book edit 1 --prof', '--profile'],
                ['couponctl --output js book list --na', '--name'],
                ['couponctl --output ta', 'table'],
                ['couponctl codes list 1 --status red', 'redeemed'],
                ['couponctl codes upload 1 x --on-conflict sk', 'skip'],
                ['couponctl completion zs', 'zsh'],
                ['couponctl help pat', 'patterns'],
                ['couponctl config set serv', 'server'],
                ['couponctl codes upload 1 part', 'partner.csv'],
            ]) {
                await terminal.keys('-l', typed);
                await terminal.keys('Tab');
                const begun = typed.slice(0, typed.lastIndexOf(' ') + 1);
                const line = `> ${begun}${whole}`.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');
                await terminal.until(new RegExp(`^${line}( |$)`, 'm'), 10_000);
                await terminal.keys('C-u', 'C-l');
            }
            await terminal.keys('-l', 'exit');
            await terminal.keys('Enter');
            assert.match(await terminal.until(/ended with/), /ended with/);
        });
    }
});
