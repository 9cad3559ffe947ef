// A disk that can lose its power: an xfs of its own on a loop device. What was written to a file but
// not flushed is gone when the power is back.
//
//   const disk = LossyDisk.make()      null, and a loud line, where loop mounts are not allowed
//   disk.folder                        where it is mounted
//   disk.losePower()                   from now on everything on it fails
//   disk.restorePower()                mounts it again; nobody may have files of it open
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { chmodSync, chownSync, mkdirSync, truncateSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { temporaryFolder } from './processes.js';

const mebibytes = 512; // mkfs.xfs makes none below 300

function run(command, ...words) {
    return spawnSync(command, words, {
        encoding: 'utf8',
        env: { PATH: '/usr/bin:/bin:/usr/sbin:/sbin' },
    });
}

function succeed(command, ...words) {
    const { status, stderr, error } = run(command, ...words);
    assert.equal(status, 0, `${command} ${words.join(' ')}: ${error ?? stderr}`);
}

export class LossyDisk {
    #image;

    static make() {
        const folder = temporaryFolder();
        chmodSync(folder, 0o711); // on the way to a folder that is somebody else's
        const image = path.join(folder, 'image');
        const mountPoint = path.join(folder, 'disk');
        writeFileSync(image, '');
        truncateSync(image, mebibytes * 1024 * 1024);
        mkdirSync(mountPoint);
        succeed('mkfs.xfs', '-q', image);
        const { status, stderr } = run('mount', '-o', 'loop', image, mountPoint);
        if (status !== 0) {
            console.error(`*** NO LOOP MOUNTS HERE, SO POWER LOSS IS NOT TESTED: ${stderr} ***`);
            return null;
        }
        process.prependListener('exit', () => run('umount', '--lazy', mountPoint));
        return new LossyDisk(image, mountPoint);
    }

    constructor(image, folder) {
        this.#image = image;
        this.folder = folder;
    }

    /** A folder on it; `user` ({uid, gid}) owns it. */
    makeFolder(name, user) {
        const folder = path.join(this.folder, name);
        mkdirSync(folder);
        if (user) chownSync(folder, user.uid, user.gid);
        return folder;
    }

    losePower() {
        // With -f, which writes out the file system's own log before: without, xfs answers an
        // fdatasync with success at times that is under way meanwhile and whose data is then lost.
        succeed('xfs_io', '-x', '-c', 'shutdown -f', this.folder);
    }

    restorePower() {
        succeed('umount', this.folder);
        succeed('mount', '-o', 'loop', this.#image, this.folder);
    }
}
