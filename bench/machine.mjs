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

/** What a process and all below it have taken, those that have ended too; in seconds. */
function treeSeconds(pid) {
    if (!pid) return 0;
    let stat;
    let direct;
    try {
        stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
        direct = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8');
    } catch {
        return 0; // it has just ended, and the one above it has its time
    }
    const { own, children } = processTimes(stat);
    return direct
        .split(' ')
        .filter((text) => text !== '')
        .reduce((seconds, child) => seconds + treeSeconds(Number(child)), own + children);
}

/**
 * Begins to watch the processors and the disk. The function returned ends it and says, in CPU
 * seconds, what the servers with the process ids `pids` took, how that was split between their
 * network threads (a process's first) and their lanes (of the others the busiest), what PostgreSQL
 * with all its processes, Redis and the children of this process (the load generator) took; how
 * many bytes the servers had written; and what share of the machine was taken by anybody else, from
 * 0 to 1.
 */
export function watch(pids, { postgres, redis } = {}) {
    const look = () => ({
        servers: pids.map((pid) => ({
            own: processTimes(readFileSync(`/proc/${pid}/stat`, 'utf8')).own,
            threads: threadTimes(pid),
            written: writtenBytes(pid),
        })),
        postgres: treeSeconds(postgres),
        redis: treeSeconds(redis),
        bench: processTimes(readFileSync('/proc/self/stat', 'utf8')),
        machine: machineTimes(),
    });
    const before = look();
    return () => {
        const after = look();
        const total = (valueOf) =>
            pids
                .map((pid, i) => valueOf(pid, after.servers[i], before.servers[i]))
                .reduce((sum, value) => sum + value, 0);
        const spent = (tid, now, then) => now.threads.get(tid) - (then.threads.get(tid) ?? 0);
        const taken = {
            serverSeconds: total((pid, now, then) => now.own - then.own),
            networkSeconds: total((pid, now, then) => spent(pid, now, then)),
            laneSeconds: total((pid, now, then) => {
                const others = [...now.threads.keys()].filter((tid) => tid !== pid);
                return Math.max(0, ...others.map((tid) => spent(tid, now, then)));
            }),
            postgresSeconds: after.postgres - before.postgres,
            redisSeconds: after.redis - before.redis,
            loadSeconds: after.bench.children - before.bench.children,
            writtenBytes: total((pid, now, then) => now.written - then.written),
        };
        const ours =
            taken.serverSeconds +
            taken.postgresSeconds +
            taken.redisSeconds +
            taken.loadSeconds +
            (after.bench.own - before.bench.own);
        const busy = after.machine.busy - before.machine.busy - ours;
        const othersShare = Math.max(0, busy / (after.machine.all - before.machine.all));
        return { ...taken, othersShare };
    };
}
