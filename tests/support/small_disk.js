// A folder on a disk that can be filled and freed: a small tmpfs where mounting is permitted; else
// a limit on how large the server's files may become, which is said out loud because it is the
// weaker test.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import {
    closeSync,
    existsSync,
    mkdirSync,
    openSync,
    readdirSync,
    rmSync,
    statSync,
    writeSync,
} from 'node:fs';
import path from 'node:path';
import { temporaryFolder } from './processes.js';

class MountedDisk {
    constructor(folder) {
        this.folder = folder;
        this.dataDir = path.join(folder, 'data');
        this.ballast = path.join(folder, 'ballast');
        mkdirSync(this.dataDir);
        this.prefix = [];
    }

    /** Takes all the space that is left; again where some has come free. */
    fill() {
        const file = openSync(this.ballast, 'a');
        try {
            for (const size of [1 << 20, 4096, 1]) {
                const block = Buffer.alloc(size);
                for (;;) {
                    try {
                        if (writeSync(file, block) < size) break;
                    } catch (error) {
                        assert.equal(error.code, 'ENOSPC');
                        break;
                    }
                }
            }
        } finally {
            closeSync(file);
        }
    }

    free() {
        rmSync(this.ballast, { force: true });
    }

    remove() {
        spawnSync('umount', ['--lazy', this.folder]);
    }
}

class LimitedFiles {
    constructor(folder) {
        this.dataDir = path.join(folder, 'data');
        mkdirSync(this.dataDir);
        // Without this, the first write beyond the limit would kill the server instead of failing.
        this.prefix = ['/bin/sh', '-c', 'trap "" XFSZ; exec "$@"', 'sh'];
    }

    fill(pid) {
        const sizes = readdirSync(this.dataDir).map(
            (name) => statSync(path.join(this.dataDir, name)).size,
        );
        this.#limit(pid, Math.max(4096, ...sizes));
    }

    free(pid) {
        this.#limit(pid, 'unlimited');
    }

    /** A process that has ended needs no limit. */
    #limit(pid, bytes) {
        const end = spawnSync('prlimit', ['--pid', String(pid), `--fsize=${bytes}:unlimited`]);
        if (end.status !== 0) assert.ok(!existsSync(`/proc/${pid}`), String(end.stderr));
    }

    remove() {}
}

/** `{dataDir, prefix, fill(pid), free(pid), remove()}`; `prefix` is for the server's start. */
export function smallDisk(mebibytes) {
    const folder = temporaryFolder();
    const mounted = spawnSync('mount', [
        '-t',
        'tmpfs',
        '-o',
        `size=${mebibytes}m`,
        'coupond-test',
        folder,
    ]);
    if (mounted.status === 0) {
        // Before the folder is removed at the end, however the test process ends.
        process.prependListener('exit', () => spawnSync('umount', ['--lazy', folder]));
        return new MountedDisk(folder);
    }
    console.error(
        '*** NO MOUNTING HERE: RLIMIT_FSIZE imitates the full disk, which is not the same ***',
    );
    return new LimitedFiles(folder);
}
