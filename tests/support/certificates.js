// A certificate authority of the tests' own, and a server's certificate for the loopback address
// that it has signed.
import { chownSync } from 'node:fs';
import path from 'node:path';
import { outputOf } from './processes.js';

const openssl = (...words) => outputOf(['openssl', ...words]);

const newKey = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-noenc'];

/**
 * Makes them in `folder`: `{authority, certificate, key}`, PEM files. They are valid for 127.0.0.1
 * and localhost, and for a day; `user` may read the key.
 */
export async function makeCertificates(folder, { user } = {}) {
    const file = (name) => path.join(folder, name);
    const authority = file('authority.crt');
    const authorityKey = file('authority.key');
    const request = file('server.csr');
    const certificate = file('server.crt');
    const key = file('server.key');
    await openssl(
        ...['req', '-x509', ...newKey, '-keyout', authorityKey, '-out', authority],
        ...['-days', '1', '-subj', '/CN=coupond test authority'],
        ...['-addext', 'keyUsage=critical,keyCertSign'],
    );
    await openssl(
        ...['req', ...newKey, '-keyout', key, '-out', request, '-subj', '/CN=localhost'],
        ...['-addext', 'subjectAltName=IP:127.0.0.1,DNS:localhost'],
    );
    await openssl(
        ...['x509', '-req', '-in', request, '-out', certificate, '-days', '1'],
        ...['-CA', authority, '-CAkey', authorityKey, '-CAcreateserial'],
        ...['-copy_extensions', 'copy'],
    );
    if (user) for (const name of [certificate, key]) chownSync(name, user.uid, user.gid);
    return { authority, certificate, key };
}
