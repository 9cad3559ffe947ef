// A disk on which syncs wait for as long as they are held, of one process:
//
//   const disk = new HeldDisk();    for the server: {env: disk.env}
//   disk.hold(), disk.release()
//   disk.refuse(), disk.accept()    between them what the system writes by and by fails to be
//
// What a process writes can be read by all meanwhile; but it is not on the disk yet.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { sanitizers } from './binary.js';
import { temporaryFolder } from './processes.js';

const source = `
#define _GNU_SOURCE
#include <errno.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>
static void wait_until_released(void) {
    const char* const held = getenv("HELD_DISK");
    while (held && access(held, F_OK) == 0) usleep(2000);
}
int fsync(int file) { wait_until_released(); return syscall(SYS_fsync, file); }
int fdatasync(int file) { wait_until_released(); return syscall(SYS_fdatasync, file); }
int sync_file_range(int file, long at, long count, unsigned flags) {
    const char* const refuses = getenv("REFUSING_DISK");
    if (!refuses || access(refuses, F_OK) != 0) return syscall(SYS_sync_file_range, file, at, count, flags);
    errno = EIO;
    return -1;
}
`;

export class HeldDisk {
    #held;
    #refuses;

    constructor() {
        const folder = temporaryFolder();
        this.#held = path.join(folder, 'held');
        this.#refuses = path.join(folder, 'refuses');
        const library = path.join(folder, 'held_disk.so');
        const { status, stderr } = spawnSync(
            'cc',
            ['-shared', '-fPIC', '-O1', '-x', 'c', '-', '-o', library],
            { input: source, encoding: 'utf8' },
        );
        assert.equal(status, 0, stderr);
        this.env = { LD_PRELOAD: library, HELD_DISK: this.#held, REFUSING_DISK: this.#refuses };
        const { ASAN_OPTIONS: asan } = sanitizers();
        // Else AddressSanitizer, where it is in the server, wants to be loaded first.
        this.env.ASAN_OPTIONS = [asan, 'verify_asan_link_order=0'].filter(Boolean).join(':');
    }

    hold() {
        writeFileSync(this.#held, '');
    }

    refuse() {
        writeFileSync(this.#refuses, '');
    }

    accept() {
        rmSync(this.#refuses, { force: true });
    }

    release() {
        rmSync(this.#held, { force: true });
    }
}
