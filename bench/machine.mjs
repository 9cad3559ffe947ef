// What the machine is, and what a process takes of it.
import { execFileSync } from 'node:child_process';
import { readFileSync, readdirSync } from 'node:fs';
import os from 'node:os';

const ticksPerSecond = Number(output('getconf', ['CLK_TCK'])) || 100;

function output(command, args, options = {}) {
    try {
        return execFileSync(command, args, {
            encoding: 'utf8',
            stdio: ['ignore', 'pipe', 'ignore'],
            ...options,
        }).trim();
    } catch {
        return '';
    }
}

/** The compilers that left their names in the binary. */
function compiler(binary) {
    const section = output('readelf', ['-p', '.comment', binary]);
    const names = [...section.matchAll(/\[\s*\w+\]\s+(.+)$/gm)].map(([, name]) => name.trim());
    return names.join(', ') || 'unknown compiler';
}

export function describeMachine(root, folder, binary) {
    return {
        cpu: os.cpus()[0].model.trim(),
        cores: os.cpus().length,
        memoryBytes: os.totalmem(),
        kernel: `${os.type()} ${os.release().split('-')[0]}`,
        filesystem: output('df', ['--output=fstype', folder]).split('\n').pop(),
        compiler: compiler(binary),
        date: new Date().toISOString(),
        revision: output('git', ['describe', '--always', '--dirty'], { cwd: root }) || 'unknown',
    };
}

/** user and system, of itself and of its children that have ended; in seconds. */
function processTimes(stat) {
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ').map(Number);
    const [user, system, childUser, childSystem] = fields.slice(11, 15);
    return {
        own: (user + system) / ticksPerSecond,
        children: (childUser + childSystem) / ticksPerSecond,
    };
}

function threadTimes(pid) {
    const times = new Map();
    for (const tid of readdirSync(`/proc/${pid}/task`)) {
        const stat = readFileSync(`/proc/${pid}/task/${tid}/stat`, 'utf8');
        times.set(Number(tid), processTimes(stat).own);
    }
    return times;
}

function machineTimes() {
    const [line] = readFileSync('/proc/stat', 'utf8').split('\n', 1);
    const fields = line.split(/\s+/).slice(1, 9).map(Number);
    const all = fields.reduce((sum, ticks) => sum + ticks, 0);
    const [, , , idle, ioWait] = fields;
    return { all: all / ticksPerSecond, busy: (all - idle - ioWait) / ticksPerSecond };
}

/** What a process has had written to the disk. */
function writtenBytes(pid) {
    return Number(/^write_bytes: (\d+)/m.exec(readFileSync(`/proc/${pid}/io`, 'utf8'))[1]);
}

/**
 * Begins to watch the processors and the disk. The function returned ends it and says, in CPU
 * seconds, what the server took and how that was split between its network thread (the process's
 * first) and its lane (of the others the busiest); how many bytes it had written; and what share
 * of the machine was taken by anybody but the server and the children of this process, from 0 to 1.
 */
export function watch(pid) {
    const look = () => ({
        server: processTimes(readFileSync(`/proc/${pid}/stat`, 'utf8')).own,
        threads: threadTimes(pid),
        written: writtenBytes(pid),
        bench: processTimes(readFileSync('/proc/self/stat', 'utf8')),
        machine: machineTimes(),
    });
    const before = look();
    return () => {
        const after = look();
        const serverSeconds = after.server - before.server;
        const spent = (tid) => after.threads.get(tid) - (before.threads.get(tid) ?? 0);
        const others = [...after.threads.keys()].filter((tid) => tid !== pid).map(spent);
        const ours =
            serverSeconds +
            (after.bench.own - before.bench.own) +
            (after.bench.children - before.bench.children);
        const busy = after.machine.busy - before.machine.busy - ours;
        return {
            serverSeconds,
            networkSeconds: spent(pid),
            laneSeconds: Math.max(0, ...others),
            writtenBytes: after.written - before.written,
            othersShare: Math.max(0, busy / (after.machine.all - before.machine.all)),
        };
    };
}
