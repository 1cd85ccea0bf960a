/** The backend of every gateway: an nginx of the bench's own that demands a client certificate. */
import { mkdirSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Pki } from './pki.ts'
import { freePort, type Running, start } from './processes.ts'

/** Bytes of /body.bin, and of every upload. */
export const BODY_BYTES = 100_000_000

export interface Upstream {
  readonly process: Running
  readonly port: number
  /** A file of BODY_BYTES, to upload, and one of 1 KB. */
  readonly bodyFile: string
  readonly smallBodyFile: string
}

/**
 * `/` answers 100 bytes, `/10k.bin`, `/100k.bin` and `/body.bin` what they say and BODY_BYTES, `PUT /upload/…` reads a body to its end before it answers, and
 * `/echo` says in one line what it was told: see `askEcho`.
 */
export async function startUpstream(folder: string, pki: Pki): Promise<Upstream> {
  const port = await freePort()
  const home = join(folder, 'upstream')
  mkdirSync(join(home, 'www', 'upload'), { recursive: true })
  const bodyFile = join(home, 'www', 'body.bin')
  writeFileSync(bodyFile, '')
  truncateSync(bodyFile, BODY_BYTES)
  const smallBodyFile = join(home, 'small.bin')
  writeFileSync(smallBodyFile, 'x'.repeat(1024))
  for (const kilobytes of [10, 100]) writeFileSync(join(home, 'www', `${kilobytes}k.bin`), 'x'.repeat(kilobytes * 1024))
  const config = join(home, 'nginx.conf')
  writeFileSync(config, nginxConfig(home, serverBlock(port, home, pki)))
  const process = await start('nginx', ['-p', home, '-c', config], {}, join(home, 'output.log'))
  return { process, port, bodyFile, smallBodyFile }
}

function serverBlock(port: number, home: string, pki: Pki): string {
  return `
  server {
    listen 127.0.0.1:${port} ssl backlog=1024;
    ssl_certificate ${pki.server.certificate};
    ssl_certificate_key ${pki.server.key};
    ssl_client_certificate ${pki.ca};
    ssl_verify_client on;
    root ${home}/www;
    location = / { return 200 "${'x'.repeat(99)}\\n"; }
    location = /echo { return 200 "$ssl_client_verify|$ssl_client_s_dn|$http_verified|$http_dn|$connection_requests"; }
    location = /body.bin { }
    location = /10k.bin { }
    location = /100k.bin { }
    location /upload/ { dav_methods PUT; }
  }`
}

/** What every nginx of the bench shares: one worker in the foreground, nothing outside `home`, keep-alive without end. */
export function nginxConfig(home: string, http: string): string {
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map((kind) => `${kind}_temp_path ${home}/tmp;`)
  return `
daemon off;
worker_processes 1;
pid ${home}/nginx.pid;
error_log ${home}/error.log error;
${process.getuid?.() === 0 ? 'user root;' : ''}
events { worker_connections 4096; }
http {
  access_log off;
  ${temporary.join('\n  ')}
  ssl_protocols TLSv1.2 TLSv1.3;
  client_max_body_size 0;
  keepalive_requests 1000000000;
  keepalive_time 10h;
  ${http}
}
`
}
