// A real terminal: tmux, without a screen.
import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { promisify } from 'node:util';

const run = promisify(execFile);

export class Terminal {
    /** A command in a terminal of so many columns, for the life of a test. */
    static async open(t, words, { env, cwd, columns = 80, rows = 24 }) {
        const terminal = new Terminal(`coupond-${randomBytes(6).toString('hex')}`);
        t.after(() => terminal.tmux('kill-server').catch(() => {}));
        const quoted = words.map((word) => `'${word.replaceAll("'", "'\\''")}'`).join(' ');
        const settings = Object.entries({ ...env, TERM: 'xterm-256color' })
            .map(([name, value]) => `${name}='${value}'`)
            .join(' ');
        await run(
            'tmux',
            ['-L', terminal.name, '-f', '/dev/null', 'new-session', '-d', '-x', `${columns}`,
                '-y', `${rows}`, '-c', cwd,
                `env -i ${settings} ${quoted}; echo "ended with $?"; sleep 60`],
            { env: { ...process.env, LC_ALL: 'C.UTF-8' } },
        );
        return terminal;
    }

    constructor(name) {
        this.name = name;
    }

    async tmux(...args) {
        return (await run('tmux', ['-L', this.name, ...args])).stdout;
    }

    /** What is on the screen; with colours as escapes, or lines that wrapped as one. */
    screen({ escapes = false, joined = false } = {}) {
        return this.tmux('capture-pane', '-p', ...(escapes ? ['-e'] : []), ...(joined ? ['-J'] : []));
    }

    /** Waits until the screen matches, and returns it. */
    async until(pattern, withinMs = 30_000) {
        for (const deadline = Date.now() + withinMs; ; ) {
            const screen = await this.screen();
            if (pattern.test(screen)) return screen;
            if (Date.now() > deadline) throw new Error(`no ${pattern} in:\n${screen}`);
            await new Promise((resolve) => setTimeout(resolve, 20));
        }
    }

    keys(...keys) {
        return this.tmux('send-keys', ...keys);
    }

    resize(columns, rows) {
        return this.tmux('resize-window', '-x', `${columns}`, '-y', `${rows}`);
    }
}
