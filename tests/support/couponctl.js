// couponctl, the program, beside the coupond under test.
import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';

import { binary, sanitizers } from './binary.js';

const file = path.join(path.dirname(binary()), 'couponctl');

/** Kilobytes that a process has had resident at most; 0 when it is gone. */
function peakKiB(pid) {
    try {
        return Number(/VmHWM:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? 0);
    } catch {
        return 0;
    }
}

/** A million codes, in the order of their bytes. */
export function million(prefix) {
    const codes = [];
    for (let i = 0; i < 1_000_000; i += 1) codes.push(`${prefix}${String(i).padStart(7, '0')}`);
    return codes;
}

/** A user of couponctl with a home of their own, for the life of a test. */
export class Ctl {
    constructor(t, port) {
        this.port = port;
        this.home = mkdtempSync(path.join(tmpdir(), 'couponctl-'));
        t.after(() => rmSync(this.home, { recursive: true }));
    }

    get file() {
        return file;
    }

    get environment() {
        return {
            HOME: this.home,
            PATH: process.env.PATH,
            TZ: 'Europe/Berlin',
            COUPOND_URL: `http://127.0.0.1:${this.port}`,
            ...sanitizers(),
        };
    }

    /** Begins to run; `stdin` is text, or left open where it is null. */
    begin(args, { stdin = '', env = {} } = {}) {
        const child = spawn(file, args, {
            cwd: this.home,
            env: { ...this.environment, ...env },
            stdio: ['pipe', 'pipe', 'pipe'],
        });
        const told = { stdout: '', stderr: '', peakKiB: 0, bytes: 0 };
        child.stdout.on('data', (data) => {
            told.bytes += data.length;
            if (told.stdout.length < 4_000_000) told.stdout += data;
        });
        child.stderr.on('data', (data) => {
            told.stderr += data;
        });
        child.stdin.on('error', () => {}); // it may end before it has read all
        if (stdin !== null) child.stdin.end(stdin);
        const watch = setInterval(() => {
            told.peakKiB = Math.max(told.peakKiB, peakKiB(child.pid));
        }, 10);
        const ended = new Promise((resolve, reject) => {
            child.on('error', reject);
            child.on('close', (status, signal) => {
                clearInterval(watch);
                resolve({ ...told, status, signal });
            });
        });
        return { child, ended, told };
    }

    /** Runs to the end. */
    run(args, options) {
        return this.begin(args, options).ended;
    }

    /** The same, which must succeed; what it printed, as JSON. */
    async json(...args) {
        const { status, stdout, stderr } = await this.run(['--output', 'json', ...args]);
        if (status !== 0) throw new Error(`${args.join(' ')}: ${status}: ${stderr}`);
        return JSON.parse(stdout);
    }
}
